//go:build !race

package pay88

const raceDetector = false
