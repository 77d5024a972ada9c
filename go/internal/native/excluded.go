//go:build !linux || !(amd64 || arm64) || pay88_none

package native

func open() (uintptr, error) { return 0, ErrExcluded }

func symbol(uintptr, string) (uintptr, error) { return 0, ErrExcluded }

// Nothing is called without a library.
func invoke(uintptr, []uintptr) (uintptr, uintptr) { panic("pay88: there is no library") }
