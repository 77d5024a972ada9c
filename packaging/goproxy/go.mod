module github.com/pay88/pay88/packaging/goproxy

go 1.26.0

require golang.org/x/mod v0.43.0
