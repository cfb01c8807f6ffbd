//go:build !race

package analysis

// slowed is how many times fewer rollouts the simulations play under the race detector.
const slowed = 1
