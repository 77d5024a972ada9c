//go:build linux && (amd64 || arm64) && !pay88_none && !pay88_system

package native

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"github.com/ebitengine/purego"
	"golang.org/x/sys/unix"
)

// Loads the copy that is inside this program: from a sealed file in memory, or where that cannot be had, from a directory that only
// this user can write to or replace.
func openEmbedded() error {
	library, err := embedded.ReadFile(embeddedName)
	if err != nil {
		return errors.New("this build of pay88's Go module has no copy of it inside: run go/build.sh, or install the library")
	}
	inMemory := loadFromMemory(library)
	if inMemory == nil {
		return nil
	}
	path, err := cached(library)
	if err == nil {
		if _, err = purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL); err == nil {
			return nil
		}
	}
	return fmt.Errorf("the copy inside this program cannot be loaded from memory (%s) nor from a directory (%s)",
		sentence(inMemory), sentence(err))
}

// The file is sealed before it is loaded: a file that somebody shortens meanwhile ends the process with SIGBUS.
func loadFromMemory(library []byte) error {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate(Soname, flags|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) {
		// Linux before 6.3.
		fd, err = unix.MemfdCreate(Soname, flags)
	}
	if err != nil {
		return fmt.Errorf("memfd_create: %w", err)
	}
	file := os.NewFile(uintptr(fd), Soname)
	defer file.Close()
	if err := write(file, library); err != nil {
		return err
	}
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(file.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		return fmt.Errorf("sealing: %w", err)
	}
	// The loader knows what it has loaded by its name, too. Another library that came by this way may have had the same number, so
	// the name is spelled as nobody else spells it.
	_, err = purego.Dlopen("/proc/self/fd/../fd/"+strconv.Itoa(int(file.Fd())), purego.RTLD_NOW|purego.RTLD_LOCAL)
	return err
}

// A write past the limit for files ends the process, unless it asked otherwise.
func write(file *os.File, library []byte) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	if limit.Cur < uint64(len(library)) {
		return fmt.Errorf("the library has %d bytes, and a file of this process may have %d (RLIMIT_FSIZE)", len(library), limit.Cur)
	}
	_, err := file.Write(library)
	return err
}

// The path of a copy whose content is known to be that of the library.
func cached(library []byte) (string, error) {
	directory, err := cacheDirectory()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(library)
	path := filepath.Join(directory, hex.EncodeToString(sum[:8])+"-"+Soname)
	if content, err := os.ReadFile(path); err == nil && bytes.Equal(content, library) {
		return path, nil
	}
	file, err := os.CreateTemp(directory, Soname+"-*")
	if err != nil {
		return "", err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	if err := write(file, library); err != nil {
		return "", err
	}
	if err := file.Chmod(0o500); err != nil {
		return "", err
	}
	// A process that is loading the file that was there goes on with that.
	return path, os.Rename(file.Name(), path)
}

// A directory of this user alone: in the user's cache directory, or where that cannot be used, in the temporary one. None is made but
// the last, because the way to it may be another user's.
func cacheDirectory() (string, error) {
	if hasMoreRights() {
		return "", errors.New("this program runs with more rights than its user has, so no directory is used")
	}
	parent, err := os.UserCacheDir()
	if err == nil {
		var directory string
		if directory, err = privateDirectory(parent, "pay88"); err == nil {
			return directory, nil
		}
	}
	directory, other := privateDirectory(os.TempDir(), "pay88-"+strconv.Itoa(os.Geteuid()))
	if other != nil {
		return "", fmt.Errorf("%w; %w", err, other)
	}
	return directory, nil
}

// Whether somebody else may have set the environment and the working directory (setuid, setgid, capabilities of the file).
func hasMoreRights() bool {
	const secure = 23 // AT_SECURE
	vector, err := unix.Auxv()
	if err != nil || os.Getuid() != os.Geteuid() || os.Getgid() != os.Getegid() {
		return true
	}
	return slices.ContainsFunc(vector, func(entry [2]uintptr) bool { return entry[0] == secure && entry[1] != 0 })
}

// A directory that is this user's alone, and that nobody else can put another in the place of.
func privateDirectory(parent, name string) (string, error) {
	parent, err := filepath.Abs(parent)
	if err != nil {
		return "", err
	}
	// A symbolic link on the way does not matter any more once it is followed.
	if parent, err = filepath.EvalSymlinks(parent); err != nil {
		return "", err
	}
	for at := parent; ; at = filepath.Dir(at) {
		mode, owner, err := rights(at)
		if err != nil {
			return "", err
		}
		if owner != 0 && owner != os.Geteuid() || mode.Perm()&0o022 != 0 && mode&os.ModeSticky == 0 {
			return "", fmt.Errorf("%s is another user's, or others may write to it", at)
		}
		if at == filepath.Dir(at) {
			break
		}
	}
	directory := filepath.Join(parent, name)
	if err := os.Mkdir(directory, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	mode, owner, err := rights(directory)
	if err != nil {
		return "", err
	}
	if !mode.IsDir() || mode.Perm() != 0o700 || owner != os.Geteuid() {
		return "", fmt.Errorf("%s is not a directory of this user alone (mode 0700)", directory)
	}
	return directory, nil
}

// The kind and the permissions of a file, and its owner.
func rights(path string) (os.FileMode, int, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return 0, 0, err
	}
	return info.Mode(), int(info.Sys().(*syscall.Stat_t).Uid), nil
}
