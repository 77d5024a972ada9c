//go:build linux && (amd64 || arm64) && !pay88_none && !pay88_system

package native

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ebitengine/purego"
)

func library(t *testing.T) []byte {
	t.Helper()
	content, err := embedded.ReadFile(embeddedName)
	if err != nil {
		t.Fatal("there is no library inside: run go/build.sh")
	}
	return content
}

func init() {
	// Where the library came from, by the names of what is mapped.
	from := func() {
		maps, _ := os.ReadFile("/proc/self/maps")
		for _, line := range strings.Split(string(maps), "\n") {
			if fields := strings.Fields(line); strings.Contains(line, Soname) && len(fields) > 5 {
				fmt.Println(fields[5], Version())
				return
			}
		}
		fmt.Println("nowhere")
	}
	children["load"] = func() {
		if err := Load(); err != nil {
			fmt.Println(err)
			return
		}
		from()
	}
	children["cached"] = func() {
		content, _ := embedded.ReadFile(embeddedName)
		path, err := cached(content)
		if err == nil {
			_, err = purego.Dlopen(path, purego.RTLD_NOW)
		}
		if err == nil {
			err = Load()
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		from()
	}
}

func TestTheCopyInsideIsLoadedFromMemory(t *testing.T) {
	library(t)
	if told := child(t, "load", "LD_LIBRARY_PATH="); !strings.HasPrefix(told, "/memfd:"+Soname) {
		t.Error(told)
	}
}

func TestTheInstalledLibraryComesBeforeTheCopyInside(t *testing.T) {
	directory := t.TempDir()
	if err := os.WriteFile(filepath.Join(directory, Soname), library(t), 0o600); err != nil {
		t.Fatal(err)
	}
	if told := child(t, "load", "LD_LIBRARY_PATH="+directory); !strings.HasPrefix(told, directory) {
		t.Error(told)
	}
}

func TestACopyInACacheIsWrittenAnewIfItIsNotWhatItShouldBe(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	told := child(t, "cached", "LD_LIBRARY_PATH=")
	path, err := cached(library(t))
	if err != nil || !strings.HasPrefix(told, path) {
		t.Fatalf("%s, not %s: %v", told, path, err)
	}
	// Loading a file that was cut ends the process.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, library(t)[:1<<16], 0o500); err != nil {
		t.Fatal(err)
	}
	if told := child(t, "cached", "LD_LIBRARY_PATH="); !strings.HasPrefix(told, path) {
		t.Error(told)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Error(left, err)
	}
}

func TestADirectoryThatOthersMayWriteToIsRefused(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	directory := filepath.Join(cache, "pay88")
	if err := os.Mkdir(directory, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(directory, 0o777); err != nil {
		t.Fatal(err)
	}
	if path, err := cached(library(t)); err == nil {
		t.Errorf("%s was written", path)
	}
	if err := os.Remove(directory); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(t.TempDir(), directory); err != nil {
		t.Fatal(err)
	}
	if path, err := cached(library(t)); err == nil {
		t.Errorf("%s was written", path)
	}
}

func TestTheCopyInsideIsLoadedWhereTheInstalledOneIsNone(t *testing.T) {
	// The loader takes the first file of that name.
	directory := t.TempDir()
	if err := os.WriteFile(filepath.Join(directory, Soname), []byte("no library"), 0o600); err != nil {
		t.Fatal(err)
	}
	if told := child(t, "load", "LD_LIBRARY_PATH="+directory); !strings.HasPrefix(told, "/memfd:"+Soname) {
		t.Error(told)
	}
}
