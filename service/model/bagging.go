package model

import (
	"fmt"
	"slices"
)

func ensembleEntries() []entry {
	const e = "sklearn.ensemble."
	return slices.Concat(
		in(e+"_iforest", buildIsolationForest, "IsolationForest"),
		in(e+"_bagging", buildBaggingClassifier, "BaggingClassifier"),
		in(e+"_bagging", buildBaggingRegressor, "BaggingRegressor"),
		in(e+"_voting", buildVotingClassifier, "VotingClassifier"),
		in(e+"_voting", buildVotingRegressor, "VotingRegressor"),
		in(e+"_stacking", buildStackingClassifier, "StackingClassifier"),
		in(e+"_stacking", buildStackingRegressor, "StackingRegressor"),
	)
}

// onColumns makes an estimator of width columns that hands e the given ones of them.
func onColumns(e *estimator, columns []int, width int) (*estimator, error) {
	if e.In != len(columns) && e.In != anyWidth {
		return nil, fmt.Errorf("it takes %d columns, but gets %d", e.In, len(columns))
	}
	c := *e
	c.In, c.Names = width, nil
	same := len(columns) == width
	for i, column := range columns {
		same = same && i == column
	}
	if !same {
		c.origins, c.takesAny, c.columnwise = e.originsAmong(columns), false, false
		c.apply, c.proba, c.decision = gathered(e.apply, columns, width), gathered(e.proba, columns, width),
			gathered(e.decision, columns, width)
		c.sparse = gatheredSparse(e.sparse, columns, width)
	}
	return &c, nil
}

// gathered hands f the given columns of each row.
func gathered(f rowsFunc, columns []int, width int) rowsFunc {
	if f == nil {
		return nil
	}
	return func(x []float64, rows int, out []float64, s *Scratch) error {
		mark := s.mark()
		defer s.release(mark)
		return chosen(f(gather(x, rows, columns, width, s), rows, out, s), columns)
	}
}

func gatheredSparse(f sparseFunc, columns []int, width int) sparseFunc {
	if f == nil {
		return nil
	}
	return func(x []float64, rows int, to *sparse, s *Scratch) error {
		mark := s.mark()
		defer s.release(mark)
		return chosen(f(gather(x, rows, columns, width, s), rows, to, s), columns)
	}
}

// gather returns the given columns of each row, on the stack of s.
func gather(x []float64, rows int, columns []int, width int, s *Scratch) []float64 {
	v := s.floats(rows * len(columns))
	for r := range rows {
		for i, c := range columns {
			v[r*len(columns)+i] = x[r*width+c]
		}
	}
	return v
}

// chosen makes an error about one of the given columns one about the rows that they are from.
func chosen(err error, columns []int) error {
	return moved(err, func(column int) int {
		if column < len(columns) {
			return columns[column]
		}
		return -1
	})
}

// baggingMembers reads estimators_, each on its columns.
func (a attrs) baggingMembers() ([]*estimator, int, error) {
	members, err := a.estimators("estimators_")
	if err != nil {
		return nil, 0, err
	}
	width, err := a.width()
	if err != nil {
		return nil, 0, err
	}
	columns, err := a.columnSets("estimators_features_", len(members), width)
	if err != nil {
		return nil, 0, err
	}
	for i := range members {
		if members[i], err = onColumns(members[i], columns[i], width); err != nil {
			return nil, 0, a.errorf("estimators_", "estimator %d: %w", i, err)
		}
	}
	return members, width, nil
}

// buildBaggingRegressor gives the mean of the members.
func buildBaggingRegressor(a attrs) (*estimator, error) {
	members, width, err := a.baggingMembers()
	if err != nil {
		return nil, err
	}
	first := members[0]
	for _, m := range members {
		if m.Kind != Regressor || m.Out != first.Out {
			return nil, a.errorf("estimators_", "want regressors of the same outputs")
		}
	}
	mean := divided(sumValues(members, ones(len(members)), first.Out, func(e *estimator) rowsFunc { return e.apply }),
		float64(len(members)))
	e, err := a.regressor(width, first.Out, first.Vector, mean)
	if err != nil {
		return nil, err
	}
	e.takingAs(members)
	return e, nil
}

// buildBaggingClassifier averages the members' probabilities; members without any vote.
func buildBaggingClassifier(a attrs) (*estimator, error) {
	labels, err := a.labels()
	if err != nil {
		return nil, err
	}
	members, width, err := a.baggingMembers()
	if err != nil {
		return nil, err
	}
	at, probable, decided := make([][]int, len(members)), true, true
	for i, m := range members {
		if at[i], err = places(m, labels, true); err != nil {
			return nil, a.errorf("estimators_", "estimator %d: %w", i, err)
		}
		probable = probable && m.proba != nil
		decided = decided && m.decision != nil && m.Decision == members[0].Decision
	}
	e, err := a.classifier(width, labels)
	if err != nil {
		return nil, err
	}
	e.takingAs(members)
	n, sum := float64(len(members)), votes(members, at, ones(len(members)), len(labels))
	if probable {
		sum = sumProba(members, at, ones(len(members)), len(labels))
	}
	proba := divided(sum, n)
	e.withProba(len(labels), proba).picks(len(labels), proba)
	if decided {
		e.withDecision(members[0].Decision, divided(
			sumValues(members, ones(len(members)), members[0].Decision, func(e *estimator) rowsFunc { return e.decision }), n))
	}
	return e, nil
}
