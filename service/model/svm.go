package model

import (
	"math"
)

func svmEntries() []entry {
	const m = "sklearn.svm._classes sklearn.svm.classes"
	out := in(m, buildSVC, "SVC", "NuSVC")
	out = append(out, in(m, buildSVR, "SVR", "NuSVR")...)
	return append(out, in(m, buildOneClassSVM, "OneClassSVM")...)
}

// svmKernel reads the kernel of libsvm: https://www.csie.ntu.edu.tw/~cjlin/papers/libsvm.pdf
func (a attrs) svmKernel() (kernel, error) {
	gamma, err := a.number("_gamma")
	if err != nil {
		return nil, err
	}
	coef0, err := a.number("coef0")
	if err != nil {
		return nil, err
	}
	degree, err := a.number("degree")
	if err != nil {
		return nil, err
	}
	switch a.text("kernel") {
	case "linear":
		return dot, nil
	case "poly":
		return func(x, y []float64) float64 { return math.Pow(gamma*dot(x, y)+coef0, degree) }, nil
	case "rbf":
		return func(x, y []float64) float64 { return math.Exp(-gamma * squaredDistance(x, y)) }, nil
	case "sigmoid":
		return func(x, y []float64) float64 { return math.Tanh(gamma*dot(x, y) + coef0) }, nil
	}
	return nil, a.errorf("kernel", "want linear, poly, rbf or sigmoid")
}

// supportVectors are what all these machines consist of.
type supportVectors struct {
	in, count int
	vectors   []float64
	coef      []float64 // (classes-1) × count
	intercept []float64
	kernel    kernel
}

func readSupportVectors(a attrs, functions int) (*supportVectors, error) {
	v := &supportVectors{}
	var err error
	if v.vectors, v.in, err = a.matrix("support_vectors_", -1, -1); err != nil {
		return nil, err
	}
	v.count = len(v.vectors) / v.in
	if v.coef, _, err = a.matrix("_dual_coef_", functions, v.count); err != nil {
		return nil, err
	}
	if v.intercept, _, err = a.floats("_intercept_"); err != nil {
		return nil, err
	}
	if v.kernel, err = a.svmKernel(); err != nil {
		return nil, err
	}
	return v, nil
}

// single is the value of the only function.
func (v *supportVectors) single(x, out []float64) {
	out[0] = v.intercept[0]
	for i := range v.count {
		out[0] += v.coef[i] * v.kernel(x, v.vectors[i*v.in:(i+1)*v.in])
	}
}

func buildSVR(a attrs) (*estimator, error) {
	v, err := readSupportVectors(a, 1)
	if err != nil {
		return nil, err
	}
	if len(v.intercept) != 1 {
		return nil, a.errorf("_intercept_", "want one number")
	}
	return a.regressor(v.in, 1, false, eachRow(v.in, 1, v.single))
}

func buildOneClassSVM(a attrs) (*estimator, error) {
	v, err := readSupportVectors(a, 1)
	if err != nil {
		return nil, err
	}
	if len(v.intercept) != 1 {
		return nil, a.errorf("_intercept_", "want one number")
	}
	return a.outlierDetector(v.in, eachRow(v.in, 1, v.single))
}

// svc decides between each two of its classes.
type svc struct {
	*supportVectors
	classes int
	from    []int // where each class's vectors begin; one more at the end
	pairs   int
}

// values computes the decision between each pair: positive for the first of the two.
func (v *svc) values(x []float64, rows int, out []float64, s *Scratch) error {
	mark := s.mark()
	defer s.release(mark)
	k := s.floats(v.count)
	for r := range rows {
		row := x[r*v.in : (r+1)*v.in]
		for i := range k {
			k[i] = v.kernel(row, v.vectors[i*v.in:(i+1)*v.in])
		}
		to := out[r*v.pairs : (r+1)*v.pairs]
		p := 0
		for i := range v.classes {
			for j := i + 1; j < v.classes; j++ {
				to[p] = v.intercept[p] + v.part(k, j-1, i) + v.part(k, i, j)
				p++
			}
		}
	}
	return nil
}

// part adds up what the vectors of a class say by one row of coefficients.
func (v *svc) part(k []float64, row, class int) float64 {
	from, to := v.from[class], v.from[class+1]
	return dot(v.coef[row*v.count+from:row*v.count+to], k[from:to])
}

// maxPairClasses caps the classes that are decided in pairs.
const maxPairClasses = 1 << 10

func buildSVC(a attrs) (*estimator, error) {
	labels, err := a.labels()
	if err != nil {
		return nil, err
	}
	n := len(labels)
	if n < 2 || n > maxPairClasses {
		return nil, a.errorf("classes_", "want 2 to %d", maxPairClasses)
	}
	v := &svc{classes: n, pairs: n * (n - 1) / 2, from: make([]int, n+1)}
	if v.supportVectors, err = readSupportVectors(a, n-1); err != nil {
		return nil, err
	}
	counts, err := a.vector("_n_support", n)
	if err != nil {
		return nil, err
	}
	for i, c := range counts {
		if !(c >= 0 && c <= float64(v.count)) {
			return nil, a.errorf("_n_support", "class %d has %v vectors", i, c)
		}
		v.from[i+1] = v.from[i] + int(c)
	}
	if v.from[n] != v.count || len(v.intercept) != v.pairs {
		return nil, a.errorf("_n_support", "they don't add up to %d, or there are not %d intercepts", v.count, v.pairs)
	}
	e, err := a.classifier(v.in, labels)
	if err != nil {
		return nil, err
	}
	return a.svcDecisions(e, v)
}

// svcDecisions adds the choice, the decision values in their two shapes, and the probabilities.
func (a attrs) svcDecisions(e *estimator, v *svc) (*estimator, error) {
	n := v.classes
	e.picks(n, v.perClass(false))
	switch {
	case n == 2:
		e.withDecision(1, negated(v.values))
		e.picks(1, e.decision)
	case a.text("decision_function_shape") == "ovo":
		e.withDecision(v.pairs, v.values)
	default:
		e.withDecision(n, v.perClass(true))
		if ties, err := a.flag("break_ties"); err == nil && ties {
			e.picks(n, e.decision)
		}
	}
	if on, err := a.flag("probability"); err != nil || !on {
		return e, nil //nolint:nilerr // a file without the flag has no probabilities
	}
	return e.withPairProbabilities(a, v)
}

func negated(f rowsFunc) rowsFunc {
	return func(x []float64, rows int, out []float64, s *Scratch) error {
		err := f(x, rows, out, s)
		for i := range out {
			out[i] = -out[i]
		}
		return err
	}
}

// perClass counts the pairs that each class wins. With confidence, what it wins by breaks ties.
func (v *svc) perClass(confidence bool) rowsFunc {
	n := v.classes
	return func(x []float64, rows int, out []float64, s *Scratch) error {
		mark := s.mark()
		defer s.release(mark)
		d, sums := s.floats(rows*v.pairs), s.floats(n)
		if err := v.values(x, rows, d, s); err != nil {
			return err
		}
		for r := range rows {
			countVotes(d[r*v.pairs:(r+1)*v.pairs], out[r*n:(r+1)*n], sums, confidence)
		}
		return nil
	}
}

func countVotes(d, votes, sums []float64, confidence bool) {
	clear(votes)
	clear(sums)
	p := 0
	for i := range votes {
		for j := i + 1; j < len(votes); j++ {
			sums[i] += d[p]
			sums[j] -= d[p]
			if d[p] > 0 {
				votes[i]++
			} else {
				votes[j]++
			}
			p++
		}
	}
	if confidence {
		for i, c := range sums {
			votes[i] += c / (3 * (math.Abs(c) + 1))
		}
	}
}
