//go:build race

package pay88

// Its own memory grows with each new goroutine.
const raceDetector = true
