//go:build !linux

package native

import "time"

// Readable is never made without a library.
type Readable struct{}

// NewReadable fails.
func NewReadable(int) (*Readable, error) { return nil, ErrExcluded }

// Take fails.
func (*Readable) Take(func() bool) error { return ErrExcluded }

// Close does nothing.
func (*Readable) Close() {}

// MonotonicUntil is in the past.
func MonotonicUntil(uint64) time.Time { return time.Now() }
