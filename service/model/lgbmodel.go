package model

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// lgbModel is what a LightGBM booster computes: sums of trees, and what its objective makes of them.
type lgbModel struct {
	in        int
	margins   int // for a row
	trees     *forest
	linear    [][]lgbLeaf // of linear_tree: the leaves of each tree, of which trees gives the numbers
	average   bool        // the mean of the trees, as in a random forest
	rounds    float64
	transform func(v []float64)
	names     []string
	recoder   *recoder
	infos     string // of the columns: feature_infos
}

// lgbLines are the fields of one part of a model text: name=value, a line each.
type lgbLines map[string]string

// newLGBModel reads a model text (LightGBM's docs/Advanced-Topics and src/boosting/gbdt_model_text.cpp). Rounds: how many
// iterations count, 0 for all.
func newLGBModel(text string, rounds int, l *loader) (*lgbModel, error) {
	if !strings.HasPrefix(text, "tree\n") {
		return nil, errors.New(`it is no model text of LightGBM: want "tree" in its first line`)
	}
	head, rest, ok := strings.Cut(text, "\nTree=")
	if !ok {
		head, rest, _ = strings.Cut(text, "\nend of trees")
		rest = "\nend of trees" + rest
	}
	lines, err := readLGBLines(head, l)
	if err != nil {
		return nil, err
	}
	m, err := newLGBHead(lines)
	if err != nil {
		return nil, err
	}
	body, _, ok := strings.Cut(rest, "\nend of trees")
	if !ok {
		return nil, errors.New(`it is cut off: there is no line "end of trees"`)
	}
	return m, m.readTrees(body, rounds, l)
}

func readLGBLines(text string, l *loader) (lgbLines, error) {
	if err := l.spend(96 * strings.Count(text, "\n")); err != nil {
		return nil, err
	}
	out := lgbLines{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), "=")
		if _, twice := out[name]; !twice {
			out[name] = value
		}
	}
	return out, nil
}

// integer reads a field that is a number of least to most.
func (l lgbLines) integer(name string, least, most int) (int, error) {
	n, err := strconv.Atoi(l[name])
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("%s: want a number of %d to %d, not %.20q", name, least, most, l[name])
	}
	return n, nil
}

func newLGBHead(l lgbLines) (*lgbModel, error) {
	last, err := l.integer("max_feature_idx", 0, maxWidth-1)
	if err != nil {
		return nil, err
	}
	m := &lgbModel{in: last + 1}
	if m.margins, err = l.integer("num_tree_per_iteration", 1, maxWidth); err != nil {
		return nil, err
	}
	_, m.average = l["average_output"]
	if m.infos = l["feature_infos"]; strings.Count(m.infos, " ") != last {
		return nil, fmt.Errorf("feature_infos: want %d of them", m.in)
	}
	names := strings.Split(l["feature_names"], " ")
	if len(names) == m.in && names[0] != "Column_0" {
		m.names = names
	}
	m.transform, err = lgbTransform(l["objective"])
	return m, err
}

// lgbTransform is what an objective such as "binary sigmoid:1" makes of the sums of a row.
func lgbTransform(objective string) (func([]float64), error) {
	words := strings.Fields(objective)
	if len(words) == 0 {
		return func([]float64) {}, nil // an objective of one's own: the sums are the answer
	}
	factor, root := 1.0, false
	for _, word := range words[1:] {
		if v, ok := strings.CutPrefix(word, "sigmoid:"); ok {
			var err error
			if factor, err = strconv.ParseFloat(v, 64); err != nil {
				return nil, fmt.Errorf("objective: %.20q is no number", v)
			}
		}
		root = root || word == "sqrt"
	}
	switch words[0] {
	case "binary", "multiclassova", "cross_entropy":
		return each(func(v float64) float64 { return 1 / (1 + math.Exp(-factor*v)) }), nil
	case "multiclass":
		return softmax, nil
	case "cross_entropy_lambda":
		return each(func(v float64) float64 { return math.Log1p(math.Exp(v)) }), nil
	case "poisson", "gamma", "tweedie":
		return each(math.Exp), nil
	case "regression", "regression_l1", "huber", "fair", "quantile", "mape":
		if root {
			return each(func(v float64) float64 { return math.Copysign(v*v, v) }), nil
		}
		return func([]float64) {}, nil
	case "lambdarank", "rank_xendcg", "custom":
		return func([]float64) {}, nil
	}
	return nil, fmt.Errorf("the objective %.60q is not supported", words[0])
}

func each(f func(float64) float64) func([]float64) {
	return func(v []float64) {
		for i := range v {
			v[i] = f(v[i])
		}
	}
}
