//go:build race

package server_test

// raceDetector makes sync.Pool drop values at random, so allocations can't be counted.
const raceDetector = true
