//go:build linux && (amd64 || arm64) && !pay88_none && !pay88_system

package native

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ebitengine/purego"
	"golang.org/x/sys/unix"
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
	children["load without files"] = func() {
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 1 << 16, Max: unix.RLIM_INFINITY}); err != nil {
			fmt.Println(err)
		}
		fmt.Println(Load())
		// The next call tries again.
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}); err != nil {
			fmt.Println(err)
		}
		fmt.Println(Load())
	}
	children["directory"] = func() {
		directory, err := cacheDirectory()
		fmt.Println(os.Geteuid(), directory, err)
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

func TestNothingIsWrittenPastALimitForFiles(t *testing.T) {
	library(t)
	told := strings.Split(child(t, "load without files", "LD_LIBRARY_PATH=", "XDG_CACHE_HOME="+own(t)), "\n")
	if len(told) != 2 || strings.Count(told[0], "RLIMIT_FSIZE") != 2 || told[1] != "<nil>" {
		t.Errorf("%q", told)
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

// A directory that only this user can write to, whatever the umask.
func own(t *testing.T) string {
	t.Helper()
	directory := t.TempDir()
	if err := os.Chmod(directory, 0o700); err != nil {
		t.Fatal(err)
	}
	return directory
}

func TestACopyInACacheIsWrittenAnewIfItIsNotWhatItShouldBe(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", own(t))
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
	cache := own(t)
	directory := filepath.Join(cache, "pay88")
	if err := os.Mkdir(directory, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(directory, 0o777); err != nil {
		t.Fatal(err)
	}
	if used, err := privateDirectory(cache, "pay88"); err == nil {
		t.Errorf("%s is used", used)
	}
	if err := os.Remove(directory); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(own(t), directory); err != nil {
		t.Fatal(err)
	}
	if used, err := privateDirectory(cache, "pay88"); err == nil {
		t.Errorf("%s is used", used)
	}
}

func TestADirectoryThatOthersMayReplaceIsRefused(t *testing.T) {
	outer := own(t)
	cache := filepath.Join(outer, "cache")
	if err := os.Mkdir(cache, 0o700); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(own(t), "link")
	if err := os.Symlink(cache, link); err != nil {
		t.Fatal(err)
	}
	for mode, fine := range map[os.FileMode]bool{0o700: true, 0o755: true, 0o777 | os.ModeSticky: true, 0o770: false, 0o702: false} {
		if err := os.Chmod(outer, mode); err != nil {
			t.Fatal(err)
		}
		for _, parent := range []string{cache, link} {
			if used, err := privateDirectory(parent, "pay88"); (err == nil) != fine {
				t.Errorf("%s of %v: %s %v", parent, mode, used, err)
			}
		}
	}
	if os.Getuid() == 0 {
		// As sudo -E has it.
		if err := errors.Join(os.Chmod(outer, 0o755), os.Chown(outer, 65534, 65534)); err != nil {
			t.Fatal(err)
		}
		if used, err := privateDirectory(cache, "pay88"); err == nil {
			t.Errorf("%s is used", used)
		}
	}
}

func TestTheTemporaryDirectoryIsUsedWhereThereIsNoHome(t *testing.T) {
	temporary := own(t)
	t.Setenv("TMPDIR", temporary)
	t.Setenv("XDG_CACHE_HOME", "")
	none := filepath.Join(t.TempDir(), "none")
	t.Setenv("HOME", none)
	used, err := cacheDirectory()
	if err != nil || filepath.Dir(used) != temporary {
		t.Error(used, err)
	}
	if _, err := os.Stat(none); err == nil {
		t.Error("a home was made")
	}
}

// A program that has the rights of its file's owner.
func TestAProgramWithMoreRightsThanItsUserUsesNoDirectory(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give a file away")
	}
	content, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	const other = 65534
	directory := own(t)
	program, home := filepath.Join(directory, "program"), filepath.Join(directory, "home")
	err = errors.Join(
		os.WriteFile(program, content, 0o755), os.Mkdir(home, 0o700), os.Chmod(directory, 0o755),
		os.Chown(program, other, other), os.Chown(home, other, other), os.Chmod(program, 0o755|os.ModeSetuid),
	)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(program)
	command.Env = []string{"PAY88_TEST_CHILD=directory", "XDG_CACHE_HOME=" + home}
	output, err := command.CombinedOutput()
	if strings.HasPrefix(string(output), "0 ") {
		t.Skip("the file system gives nobody the rights of a file's owner")
	}
	if err != nil || !strings.Contains(string(output), "more rights") {
		t.Errorf("%s %v", output, err)
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
