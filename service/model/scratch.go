package model

// Scratch is working memory for predictions, kept between calls so that they allocate nothing. The zero value is
// ready; one Scratch serves one call at a time.
type Scratch struct {
	float32s []float32
	sums     []float64
	rows     [2][]float64 // what goes from one step of a pipeline to the next
}

// grow returns a slice of n elements that reuses the memory of *buf. Its content is undefined.
func grow[T any](buf *[]T, n int) []T {
	if cap(*buf) < n {
		*buf = make([]T, n)
	}
	return (*buf)[:n]
}
