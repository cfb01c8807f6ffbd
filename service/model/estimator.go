package model

import "math"

// Kind says what an estimator computes for a row.
type Kind string

// The kinds of estimators.
const (
	Transformer Kind = "transformer" // a new row
	Regressor   Kind = "regressor"   // numbers
	Classifier  Kind = "classifier"  // the index of a class, for each output
)

// Signature describes the rows that an estimator takes and gives.
type Signature struct {
	Kind     Kind
	In       int      // numbers in a row it takes, -1: any
	Out      int      // numbers that it gives for a row
	Vector   bool     // it gives a list for a row, even where Out is 1
	Labels   []any    // of a classifier of one output: int64, uint64, float64, bool or string
	Outputs  [][]any  // of a classifier of several outputs: the labels of each
	Names    []string // of the columns it takes, if the file has them
	Missing  bool     // it takes NaN, in some columns at least
	Proba    int      // probabilities that it gives for a row, 0 for none
	Decision int      // decision values that it gives for a row, 0 for none

	// Documents: a row is one text, and a list of texts is a list of rows.
	Documents bool
}

// Grouped reports whether probabilities are a list for each output. Where each output is a label that is there or not,
// there is one number for each.
func (s *Signature) Grouped() bool {
	total := 0
	for _, labels := range s.Outputs {
		total += len(labels)
	}
	return s.Outputs != nil && s.Proba == total
}

// rowsFunc computes something for each row: it reads rows*In numbers from x, row by row, and writes to out. It leaves
// x as it is, and is safe for concurrent use with a Scratch for each caller.
type rowsFunc func(x []float64, rows int, out []float64, s *Scratch) error

// estimator is what a builder makes.
type estimator struct {
	Signature
	apply    rowsFunc   // Out numbers for a row
	proba    rowsFunc   // Proba numbers for a row
	decision rowsFunc   // Decision numbers for a row
	sparse   sparseFunc // what apply gives as sparse rows; nil if it can't

	// sparseIfGiven: sparse is of use where the rows that the estimator gets are sparse, too.
	sparseIfGiven bool

	takes    []Takes // what it takes in each column; nil: numbers, and NaN where Missing is set
	takesAny bool    // it takes anything in all columns, and hands it on as it is
	// columnwise: of a transformer: column k that it gives is computed from column k alone, and missing where that is.
	columnwise bool
	origins    []origin // of other transformers: what each column that it gives is from; nil: from more than one
	texts      bool     // of a transformer: what it gives may hold text

	sparseSelf *estimator // see takesSparse
	step       *estimator // what it is where others follow it, if it then transforms rows rather than answers
}

// transforming is what an estimator does to rows that it hands on.
func (e *estimator) transforming() *estimator {
	if e.step != nil {
		return e.step
	}
	return e
}

// withProba adds probabilities.
func (e *estimator) withProba(n int, f rowsFunc) *estimator {
	e.Proba, e.proba = n, f
	return e
}

// withDecision adds decision values.
func (e *estimator) withDecision(n int, f rowsFunc) *estimator {
	e.Decision, e.decision = n, f
	return e
}

// picks makes the estimator choose by n scores a row: the largest, or by the sign of a single one.
func (e *estimator) picks(n int, scores rowsFunc) *estimator {
	e.apply = func(x []float64, rows int, out []float64, s *Scratch) error {
		mark := s.mark()
		defer s.release(mark)
		v := s.floats(rows * n)
		if err := scores(x, rows, v, s); err != nil {
			return err
		}
		for r := range rows {
			out[r] = pick(v[r*n : (r+1)*n])
		}
		if len(e.Labels) == 1 {
			clear(out)
		}
		return nil
	}
	return e
}

// pick is the index of the largest number, or whether a single one is above 0.
func pick(v []float64) float64 {
	if len(v) > 1 {
		return float64(argmax(v))
	}
	if v[0] > 0 {
		return 1
	}
	return 0
}

// scores returns what e chooses by, and how many numbers that is: decision values, or else probabilities.
func (e *estimator) scores() (rowsFunc, int) {
	if e.decision != nil {
		return e.decision, e.Decision
	}
	return e.proba, e.Proba
}

// eachRow makes a rowsFunc of a function of one row.
func eachRow(in, out int, f func(x, out []float64)) rowsFunc {
	return func(x []float64, rows int, o []float64, _ *Scratch) error {
		for r := range rows {
			f(x[r*in:(r+1)*in], o[r*out:(r+1)*out])
		}
		return nil
	}
}

// argmax returns the index of the largest number, the first of equal ones, as numpy does.
func argmax(v []float64) int {
	best, at := math.Inf(-1), 0
	for i, f := range v {
		if f > best {
			best, at = f, i
		}
	}
	return at
}

// softmax turns scores into probabilities.
func softmax(v []float64) {
	top, sum := math.Inf(-1), 0.0
	for _, f := range v {
		top = max(top, f)
	}
	for i, f := range v {
		v[i] = math.Exp(f - top)
		sum += v[i]
	}
	for i := range v {
		v[i] /= sum
	}
}

// sigmoid is the logistic function.
func sigmoid(v float64) float64 {
	if v >= 0 {
		return 1 / (1 + math.Exp(-v))
	}
	e := math.Exp(v)
	return e / (1 + e)
}

// normalise makes numbers add up to 1. If they are all 0 they become equal.
func normalise(v []float64) {
	sum := 0.0
	for _, f := range v {
		sum += f
	}
	for i := range v {
		if sum == 0 {
			v[i] = 1 / float64(len(v))
		} else {
			v[i] /= sum
		}
	}
}

// dot is the inner product. B is at least as long as a.
func dot(a, b []float64) float64 {
	sum := 0.0
	b = b[:len(a)]
	for i, v := range a {
		sum += v * b[i]
	}
	return sum
}
