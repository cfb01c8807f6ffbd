package model

import (
	"github.com/weirhq/weir/service/pickle"
)

// votingMembers reads estimators_ and the weights of those that were not dropped.
func (a attrs) votingMembers() ([]*estimator, []float64, int, error) {
	members, err := a.estimators("estimators_")
	if err != nil {
		return nil, nil, 0, err
	}
	in, err := a.sameWidth(members)
	if err != nil {
		return nil, nil, 0, err
	}
	v := a.o.Attrs["weights"]
	if v == nil {
		return members, ones(len(members)), in, nil
	}
	list, err := numbers(v)
	if err != nil {
		return nil, nil, 0, a.errorf("weights", "%w", err)
	}
	pairs, err := a.sequence("estimators")
	if err != nil || len(pairs) != len(list) {
		return nil, nil, 0, a.errorf("weights", "there are not as many as estimators")
	}
	var weights []float64
	for i, item := range pairs {
		pair, err := pickle.Sequence(item)
		if err != nil || len(pair) != 2 {
			return nil, nil, 0, a.errorf("estimators", "want pairs of name and estimator")
		}
		if pair[1] != nil && pair[1] != "drop" {
			weights = append(weights, list[i])
		}
	}
	if len(weights) != len(members) || total(weights) == 0 {
		return nil, nil, 0, a.errorf("weights", "want %d", len(members))
	}
	return members, weights, in, nil
}

// numbers returns the numbers of a list, tuple or array.
func numbers(v any) ([]float64, error) {
	if arr, err := pickle.ArrayOf(v); err == nil {
		return arr.Floats()
	}
	items, err := pickle.Sequence(v)
	if err != nil {
		return nil, err
	}
	out := make([]float64, len(items))
	for i, item := range items {
		if out[i], err = pickle.Float(item); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// buildVotingRegressor gives the weighted mean.
func buildVotingRegressor(a attrs) (*estimator, error) {
	members, weights, in, err := a.votingMembers()
	if err != nil {
		return nil, err
	}
	for _, m := range members {
		if m.Kind != Regressor || m.Out != 1 {
			return nil, a.errorf("estimators_", "want regressors of one output")
		}
	}
	sum := sumValues(members, weights, 1, func(e *estimator) rowsFunc { return e.apply })
	e, err := a.regressor(in, 1, false, divided(sum, total(weights)))
	if err != nil {
		return nil, err
	}
	e.takingAs(members).allSparse(members)
	return e, nil
}

// buildVotingClassifier counts the votes ("hard"), or averages the probabilities ("soft").
func buildVotingClassifier(a attrs) (*estimator, error) {
	labels, err := a.labels()
	if err != nil {
		return nil, err
	}
	members, weights, in, err := a.votingMembers()
	if err != nil {
		return nil, err
	}
	soft := a.text("voting") == "soft"
	at := make([][]int, len(members))
	for i, m := range members {
		if at[i], err = places(m, labels, true); err != nil {
			return nil, a.errorf("estimators_", "estimator %d: %w", i, err)
		}
		if soft && m.proba == nil {
			return nil, a.errorf("estimators_", "estimator %d has no probabilities", i)
		}
	}
	e, err := a.classifier(in, labels)
	if err != nil {
		return nil, err
	}
	e.takingAs(members).allSparse(members)
	if !soft {
		return e.picks(len(labels), votes(members, at, weights, len(labels))), nil
	}
	proba := divided(sumProba(members, at, weights, len(labels)), total(weights))
	return e.withProba(len(labels), proba).picks(len(labels), proba), nil
}
