//go:build linux

package native

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Readable waits for a descriptor of the library, with no thread.
type Readable struct{ file *os.File }

// NewReadable watches a copy of the descriptor, which stays the library's.
func NewReadable(fd int) (*Readable, error) {
	if fd < 0 {
		return nil, errors.New("the library gave no descriptor")
	}
	own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(own), "pay88")
	// NewFile does not say if the descriptor cannot be waited for.
	if err := file.SetReadDeadline(time.Time{}); err != nil {
		file.Close()
		return nil, err
	}
	return &Readable{file}, nil
}

// Take calls take until it says that it has taken something, and waits between the calls. It fails after Close.
func (r *Readable) Take(take func() bool) error {
	conn, err := r.file.SyscallConn()
	if err != nil {
		return err
	}
	return conn.Read(func(uintptr) bool { return take() })
}

// Close ends Take.
func (r *Readable) Close() { r.file.Close() }

// MonotonicUntil is the Go time of an instant on CLOCK_MONOTONIC in nanoseconds. Its wall clock does not count.
func MonotonicUntil(instant uint64) time.Time {
	var clock unix.Timespec
	now := time.Now()
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &clock); err != nil {
		return now
	}
	return now.Add(time.Duration(int64(instant) - clock.Nano()))
}
