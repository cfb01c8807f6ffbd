package model

func multiEntries() []entry {
	const m, o = "sklearn.multiclass", "sklearn.multioutput"
	var out []entry
	for _, list := range [][]entry{
		in(m, buildOneVsRest, "OneVsRestClassifier"),
		in(m, buildOneVsOne, "OneVsOneClassifier"),
		in(m, buildConstant, "_ConstantPredictor"),
		in(m, buildOutputCode, "OutputCodeClassifier"),
		in(o, buildMultiOutputRegressor, "MultiOutputRegressor"),
		in(o, buildMultiOutputClassifier, "MultiOutputClassifier"),
		in("sklearn.calibration", buildCalibrated, "CalibratedClassifierCV"),
		in("sklearn.calibration", nil, "_CalibratedClassifier", "_SigmoidCalibration"),
		in("sklearn.isotonic", buildIsotonic, "IsotonicRegression"),
		in(o, buildRegressorChain, "RegressorChain"),
		in(o, buildClassifierChain, "ClassifierChain"),
	} {
		out = append(out, list...)
	}
	return out
}

// binary is a classifier of two classes as one number a row: its decision value, or else the second probability; and
// the number above which the second class is chosen.
func binary(a attrs, e *estimator) (rowsFunc, float64, error) {
	if e.Kind == Classifier && e.Outputs == nil && e.Decision == 1 {
		return e.decision, 0, nil
	}
	if e.Kind != Classifier || e.Proba != 2 {
		return nil, 0, a.errorf("estimators_", "want classifiers of two classes")
	}
	return second(e.proba), 0.5, nil
}

// second keeps the second of two numbers a row.
func second(f rowsFunc) rowsFunc {
	return func(x []float64, rows int, out []float64, s *Scratch) error {
		mark := s.mark()
		defer s.release(mark)
		v := s.floats(2 * rows)
		err := f(x, rows, v, s)
		for r := range out {
			out[r] = v[2*r+1]
		}
		return err
	}
}

// together makes a rowsFunc that gives one number of each function.
func together(parts []rowsFunc) rowsFunc {
	n := len(parts)
	return func(x []float64, rows int, out []float64, s *Scratch) error {
		mark := s.mark()
		defer s.release(mark)
		v := s.floats(rows)
		for i, part := range parts {
			if err := part(x, rows, v, s); err != nil {
				return err
			}
			for r, f := range v {
				out[r*n+i] = f
			}
		}
		return nil
	}
}

// binaries reads estimators_ that are classifiers of two classes each.
func (a attrs) binaries() (members []*estimator, parts []rowsFunc, threshold float64, in int, err error) {
	if members, err = a.estimators("estimators_"); err != nil {
		return nil, nil, 0, 0, err
	}
	if in, err = a.sameWidth(members); err != nil {
		return nil, nil, 0, 0, err
	}
	parts = make([]rowsFunc, len(members))
	for i, m := range members {
		var t float64
		if parts[i], t, err = binary(a, m); err != nil {
			return nil, nil, 0, 0, err
		}
		if i > 0 && t != threshold {
			return nil, nil, 0, 0, a.errorf("estimators_", "they are of different kinds")
		}
		threshold = t
	}
	return members, parts, threshold, in, nil
}

// above chooses the second class where the only number is above a threshold.
func (e *estimator) above(threshold float64, f rowsFunc) *estimator {
	e.apply = func(x []float64, rows int, out []float64, s *Scratch) error {
		err := f(x, rows, out, s)
		for r, v := range out {
			out[r] = 0
			if v > threshold {
				out[r] = 1
			}
		}
		return err
	}
	return e
}

// picksLast makes the estimator choose the largest of n scores a row, and of equal ones the last, as
// scikit-learn did before 1.8.
func (e *estimator) picksLast(n int, scores rowsFunc) {
	e.apply = func(x []float64, rows int, out []float64, s *Scratch) error {
		mark := s.mark()
		defer s.release(mark)
		v := s.floats(rows * n)
		err := scores(x, rows, v, s)
		for r := range rows {
			best := 0
			for k, f := range v[r*n : (r+1)*n] {
				if f >= v[r*n+best] {
					best = k
				}
			}
			out[r] = float64(best)
		}
		return err
	}
}

func buildOneVsRest(a attrs) (*estimator, error) {
	binarizer, err := a.object("label_binarizer_", "LabelBinarizer")
	if err != nil {
		return nil, err
	}
	labels, err := binarizer.labels()
	if err != nil {
		return nil, err
	}
	members, parts, threshold, in, err := a.binaries()
	if err != nil {
		return nil, err
	}
	switch kind := binarizer.text("y_type_"); kind {
	case "binary", "multiclass":
	case "multilabel-indicator":
		return a.severalLabels(members, parts, threshold, in)
	default:
		return nil, a.errorf("label_binarizer_", "a target of kind %.40q is not supported", kind)
	}
	n := len(members)
	if n != len(labels) && (n != 1 || len(labels) != 2) {
		return nil, a.errorf("estimators_", "there are %d for %d classes", n, len(labels))
	}
	e, err := a.classifier(in, labels)
	if err != nil {
		return nil, err
	}
	e.takingAs(members).allSparse(members)
	scores := together(parts)
	switch {
	case n == 1:
		e.above(threshold, scores)
	case a.version() < 108:
		e.picksLast(n, scores)
	default:
		e.picks(n, scores)
	}
	if threshold == 0 {
		e.withDecision(n, scores)
	}
	probas := make([]rowsFunc, n)
	for i, m := range members {
		if m.Proba != 2 {
			return e, nil
		}
		probas[i] = second(m.proba)
	}
	same := func(v float64) float64 { return v }
	return e.withProba(len(labels), oneVersusRest(together(probas), n, len(labels), same)), nil
}

// severalLabels says of each label whether a row has it.
func (a attrs) severalLabels(members []*estimator, parts []rowsFunc, threshold float64, in int) (*estimator, error) {
	n := len(members)
	sig, err := a.signature(Classifier, in, n)
	if err != nil {
		return nil, err
	}
	sig.Vector = true
	var probas []rowsFunc
	for _, m := range members {
		sig.Outputs = append(sig.Outputs, sequentialLabels(2))
		if m.Proba == 2 {
			probas = append(probas, second(m.proba))
		}
	}
	scores := together(parts)
	e := (&estimator{Signature: sig}).above(threshold, scores).takingAs(members)
	if threshold == 0 {
		e.withDecision(n, scores)
	}
	if len(probas) == n {
		e.withProba(n, together(probas))
	}
	return e, nil
}

func buildOneVsOne(a attrs) (*estimator, error) {
	labels, err := a.labels()
	if err != nil {
		return nil, err
	}
	members, parts, threshold, in, err := a.binaries()
	if err != nil {
		return nil, err
	}
	n, pairs := len(labels), len(members)
	if pairs != n*(n-1)/2 {
		return nil, a.errorf("estimators_", "there are %d for %d classes", pairs, n)
	}
	choices := make([]rowsFunc, pairs)
	for i, m := range members {
		choices[i] = m.apply
	}
	values, chosen := together(parts), together(choices)
	scores := func(x []float64, rows int, out []float64, s *Scratch) error {
		mark := s.mark()
		defer s.release(mark)
		v, c, sums := s.floats(rows*pairs), s.floats(rows*pairs), s.floats(n)
		if err := values(x, rows, v, s); err != nil {
			return err
		}
		if err := chosen(x, rows, c, s); err != nil {
			return err
		}
		for r := range rows {
			pairVotes(v[r*pairs:(r+1)*pairs], c[r*pairs:(r+1)*pairs], out[r*n:(r+1)*n], sums)
		}
		return nil
	}
	e, err := a.classifier(in, labels)
	if err != nil {
		return nil, err
	}
	if n == 2 {
		if a.version() < 100 {
			threshold = 0 // so it was then, also for probabilities
		}
		decision := second(scores)
		return e.withDecision(1, decision).above(threshold, decision), nil
	}
	return e.withDecision(n, scores).picks(n, scores), nil
}

// pairVotes counts the pairs that each class wins; what it wins by breaks ties. Value and choice are for the second of
// two classes.
func pairVotes(values, chosen, votes, sums []float64) {
	clear(votes)
	clear(sums)
	p := 0
	for i := range votes {
		for j := i + 1; j < len(votes); j++ {
			sums[i] -= values[p]
			sums[j] += values[p]
			if chosen[p] == 0 {
				votes[i]++
			} else {
				votes[j]++
			}
			p++
		}
	}
	for i, c := range sums {
		votes[i] += c / (3 * (max(c, -c) + 1))
	}
}

// buildOutputCode picks the class whose code is nearest to what the members say.
func buildOutputCode(a attrs) (*estimator, error) {
	labels, err := a.labels()
	if err != nil {
		return nil, err
	}
	members, parts, _, in, err := a.binaries()
	if err != nil {
		return nil, err
	}
	n, k := len(members), len(labels)
	book, _, err := a.matrix("code_book_", k, n)
	if err != nil {
		return nil, err
	}
	code, score := together(parts), nearest(book, n, k, squaredDistance)
	e, err := a.classifier(in, labels)
	if err != nil {
		return nil, err
	}
	return e.picks(k, func(x []float64, rows int, out []float64, s *Scratch) error {
		mark := s.mark()
		defer s.release(mark)
		v := s.floats(rows * n)
		if err := code(x, rows, v, s); err != nil {
			return err
		}
		return score(v, rows, out, s)
	}), nil
}

// buildConstant stands for a classifier of two classes where training saw only one of them.
func buildConstant(a attrs) (*estimator, error) {
	y, _, err := a.floats("y_")
	if err != nil {
		return nil, err
	}
	if len(y) != 1 || y[0] != 0 && y[0] != 1 && y[0] != -1 {
		return nil, a.errorf("y_", "want 0, 1 or -1")
	}
	e := &estimator{Signature: Signature{
		Kind: Classifier, In: anyWidth, Out: 1, Labels: sequentialLabels(2), Missing: true,
	}, takesAny: true}
	e.apply = filled(max(0, y[0]))
	return e.withDecision(1, filled(y[0])).withProba(2, complemented(filled(y[0]))), nil
}

// filled gives the same number for every row.
func filled(v float64) rowsFunc {
	return func(_ []float64, _ int, out []float64, _ *Scratch) error {
		for r := range out {
			out[r] = v
		}
		return nil
	}
}
