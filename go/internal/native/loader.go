//go:build linux && (amd64 || arm64) && !pay88_none

package native

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/ebitengine/purego"
)

// As in dlfcn.h.
const noLoad = 4

func invoke(address uintptr, args []uintptr) (uintptr, uintptr) {
	first, second, _ := purego.SyscallN(address, args...)
	return first, second
}

func symbol(object uintptr, name string) (uintptr, error) {
	return purego.Dlsym(object, name)
}

// The copy that the process has, whoever loaded it; else the system's; else the one inside this program. Whatever was loaded stays.
func open() (uintptr, error) {
	// The loader keeps what it complains about apart for each thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if object, err := ofProcess(); err == nil {
		return object, nil
	}
	if _, err := purego.Dlopen(Soname, purego.RTLD_NOW|purego.RTLD_LOCAL); err != nil {
		if inner := openEmbedded(); inner != nil {
			return 0, fmt.Errorf("%s cannot be loaded: %s, and %w", Soname, sentence(err), inner)
		}
	}
	// Two may come here at the same moment with two files. The loader's answer is the same for both.
	object, err := ofProcess()
	if err != nil {
		return 0, fmt.Errorf("the library that was loaded was renamed: its soname is not %s", Soname)
	}
	return object, nil
}

func ofProcess() (uintptr, error) {
	return purego.Dlopen(Soname, purego.RTLD_NOW|noLoad)
}

// What the dynamic loader complained about, as a part of a sentence.
func sentence(err error) string {
	return strings.TrimSuffix(strings.TrimSpace(err.Error()), ".")
}
