// Command goproxy makes of Go modules what the go command fetches, in a directory that GOPROXY=file://… names.
//
//	goproxy INTO VERSION MODULE...
//
// Each MODULE is a directory with a go.mod. What its zip holds, and in which form, golang.org/x/mod/zip decides.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

func main() {
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "usage: goproxy INTO VERSION MODULE...")
		os.Exit(2)
	}
	for _, directory := range os.Args[3:] {
		if err := put(os.Args[1], os.Args[2], directory); err != nil {
			fmt.Fprintf(os.Stderr, "goproxy: %s: %s\n", directory, err)
			os.Exit(1)
		}
	}
}

// Puts a module where the go command looks for it: https://go.dev/ref/mod#goproxy-protocol.
func put(into, version, directory string) error {
	mod, err := os.ReadFile(filepath.Join(directory, "go.mod"))
	if err != nil {
		return err
	}
	own := module.Version{Path: modfile.ModulePath(mod), Version: version}
	escaped, err := module.EscapePath(own.Path)
	if err != nil {
		return err
	}
	place := filepath.Join(into, filepath.FromSlash(escaped), "@v")
	if err := os.MkdirAll(place, 0o755); err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(place, version+".zip"))
	if err != nil {
		return err
	}
	return errors.Join(
		zip.CreateFromDir(file, own, directory),
		file.Close(),
		os.WriteFile(filepath.Join(place, version+".mod"), mod, 0o644),
		os.WriteFile(filepath.Join(place, version+".info"), fmt.Appendf(nil, "{\"Version\":%q}\n", version), 0o644),
		os.WriteFile(filepath.Join(place, "list"), []byte(version+"\n"), 0o644),
	)
}
