package model

// Scratch is working memory for predictions, kept between calls so that they allocate nothing. The zero value is
// ready; one Scratch serves one call at a time.
//
// It is a stack: an estimator takes what it needs, calls those within it, and releases what it took.
type Scratch struct {
	trees32 treeRows[uint32]
	trees64 treeRows[uint64]
	sums32  []float32
	stack   []float64
	used    int
	near    []near // of estimators that look for neighbours
	order   []int  // of estimators that sort

	texts   [][]byte // what cells stand for: of the request, and behind them of estimators
	given   int      // texts of the request
	missing bool     // the request has missing cells

	sparses    []*sparse // a stack as well
	sparseUsed int
	in         *sparse // the rows of the current function where its x is nil

	words words // of estimators that read text
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
	s.used, s.sparseUsed, s.in = 0, 0, nil
	s.texts = s.texts[:s.given]
	s.words.reset()
	if len(s.stack) > maxKept {
		s.stack = nil
	}
	s.trees32.reset()
	s.trees64.reset()
}

// grow returns a slice of n elements that reuses the memory of *buf. Its content is undefined.
func grow[T any](buf *[]T, n int) []T {
	if cap(*buf) < n {
		*buf = make([]T, n)
	}
	return (*buf)[:n]
}
