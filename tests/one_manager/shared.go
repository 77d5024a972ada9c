// A library in Go for programs in other languages, which uses pay88.
package main

import "C"

import (
	"context"

	pay88 "github.com/pay88/pay88/go"
)

// Number gets a token, and gives the number of its manager; 0 if that fails.
//
//export Number
func Number() C.ulonglong {
	manager, err := pay88.New(pay88.Config{})
	if err != nil {
		return 0
	}
	defer manager.Close()
	if _, err := manager.Token(context.Background()); err != nil {
		return 0
	}
	return C.ulonglong(manager.ID())
}

func main() {}
