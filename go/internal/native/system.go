//go:build linux && (amd64 || arm64) && !pay88_none && pay88_system

package native

import "errors"

func openEmbedded() error {
	return errors.New("this program was built to use the installed library only (the tag pay88_system): install it")
}
