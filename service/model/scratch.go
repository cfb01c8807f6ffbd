package model

// Scratch is working memory for predictions, kept between calls so that they allocate nothing. The zero value is
// ready; one Scratch serves one call at a time.
//
// It is a stack: an estimator takes what it needs, calls those within it, and releases what it took.
type Scratch struct {
	float32s []float32
	stack    []float64
	used     int
}

// maxKept is the largest stack that is kept after a call, in numbers.
const maxKept = 1 << 20

// floats takes n numbers. Their content is undefined.
func (s *Scratch) floats(n int) []float64 {
	if s.used+n > len(s.stack) {
		s.stack = make([]float64, s.used+max(2*n, s.used, 256)) // what was taken before stays in the old one
	}
	from := s.used
	s.used += n
	return s.stack[from:s.used:s.used]
}

// mark returns the height of the stack for release.
func (s *Scratch) mark() int { return s.used }

// release gives back all that was taken since mark.
func (s *Scratch) release(mark int) { s.used = mark }

// reset makes the Scratch ready for the next call, also after a panic.
func (s *Scratch) reset() {
	s.used = 0
	if len(s.stack) > maxKept {
		s.stack = nil
	}
	if len(s.float32s) > maxKept {
		s.float32s = nil
	}
}

// grow returns a slice of n elements that reuses the memory of *buf. Its content is undefined.
func grow[T any](buf *[]T, n int) []T {
	if cap(*buf) < n {
		*buf = make([]T, n)
	}
	return (*buf)[:n]
}
