// Package pay88 is a client for the payment provider 88Pay.
//
// It holds 88Pay's token, which lives 60 seconds, and makes authenticated calls. All goroutines and processes of a user on a host share
// one token. It is renewed before it ends, and 88Pay's limits of 10 tokens a minute and 100 an hour are kept. The library never makes a
// charge twice on its own.
//
//	manager, err := pay88.New(pay88.Config{}) // the credentials come from the environment
//	…
//	answer, err := manager.Do(ctx, &pay88.Request{Method: "POST", Endpoint: "/api/transactions/charges", JSON: charge})
//
// The package calls libpay88, the library of all languages, without cgo. It works on Linux with glibc, on amd64 and arm64. Elsewhere,
// and with the build tag pay88_none, it compiles and New says why there is no manager. With the tag pay88_system it uses the library
// that is installed, and has none inside.
package pay88
