module github.com/pay88/pay88/go/oauth2

go 1.26.0

require (
	github.com/pay88/pay88/go v0.0.0
	golang.org/x/oauth2 v0.38.0
)

require (
	github.com/ebitengine/purego v0.11.3 // indirect
	golang.org/x/sys v0.50.0 // indirect
)

replace github.com/pay88/pay88/go => ../
