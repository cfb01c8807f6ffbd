package model

import (
	"strconv"
	"strings"

	"github.com/weirhq/weir/service/pickle"
)

// labels returns the classes of a classifier of one output.
func (a attrs) labels() ([]any, error) {
	outputs, err := a.outputLabels()
	if err != nil {
		return nil, err
	}
	if len(outputs) > 1 {
		return nil, a.errorf("classes_", "several outputs are not supported here: want one array of classes")
	}
	return outputs[0], nil
}

// outputLabels returns the classes of each output.
func (a attrs) outputLabels() ([][]any, error) {
	v, err := a.get("classes_")
	if err != nil {
		return nil, err
	}
	if _, err := pickle.ArrayOf(v); err == nil {
		labels, err := a.labelsIn("classes_", v)
		return [][]any{labels}, err
	}
	items, err := pickle.Sequence(v)
	if err != nil || len(items) == 0 || len(items) > maxWidth {
		return nil, a.errorf("classes_", "want an array of classes, or a list of them")
	}
	out := make([][]any, len(items))
	for i, item := range items {
		if out[i], err = a.labelsIn("classes_", item); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (a attrs) labelsIn(name string, v any) ([]any, error) {
	arr, err := pickle.ArrayOf(v)
	if err != nil {
		return nil, a.errorf(name, "%w", err)
	}
	values, err := a.values(name, arr)
	if err != nil {
		return nil, err
	}
	if len(arr.Shape) != 1 || len(values) == 0 {
		return nil, a.errorf(name, "want a list of classes, not the shape %v", arr.Shape)
	}
	for i := range values {
		if values[i], err = pickle.Scalar(values[i]); err != nil {
			return nil, a.errorf(name, "class %d: %w", i, err)
		}
	}
	return values, nil
}

// severalOutputs makes a classifier of several outputs, which picks the class of each by its probabilities.
func (e *estimator) severalOutputs(outputs [][]any, proba rowsFunc) *estimator {
	total := 0
	for _, labels := range outputs {
		total += len(labels)
	}
	e.Labels, e.Outputs, e.Out, e.Vector = nil, outputs, len(outputs), true
	e.withProba(total, proba)
	e.apply = func(x []float64, rows int, out []float64, s *Scratch) error {
		mark := s.mark()
		defer s.release(mark)
		v := s.floats(rows * total)
		if err := proba(x, rows, v, s); err != nil {
			return err
		}
		for i := range out {
			n := len(outputs[i%len(outputs)])
			out[i] = float64(argmax(v[:n]))
			v = v[n:]
		}
		return nil
	}
	return e
}

// text returns an attribute that is text, or "".
func (a attrs) text(name string) string {
	s, _ := a.o.Attrs[name].(string)
	return s
}

// version is that of the scikit-learn that wrote the estimator: 102 for 1.2, 24 for 0.24; 0 if the file doesn't say.
func (a attrs) version() int {
	parts := strings.Split(a.text("_sklearn_version"), ".")
	if len(parts) < 2 {
		return 0
	}
	major, err := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	if err != nil || err2 != nil || major < 0 || major > 1000 {
		return 0
	}
	return 100*major + minor
}

// sequentialLabels are 0 to n-1: the clusters of a clusterer.
func sequentialLabels(n int) []any {
	out := make([]any, n)
	for i := range out {
		out[i] = int64(i)
	}
	return out
}

// sameLabels reports whether two lists of labels are equal.
func sameLabels(a, b []any) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// labelIndex finds a label among others; numbers agree whatever their types.
func labelIndex(label any, in []any) int {
	for i, other := range in {
		if label == other || labelNumber(label) == labelNumber(other) {
			return i
		}
	}
	return -1
}

// labelNumber returns a label that is a number. NaN, which equals nothing, stands for others.
func labelNumber(label any) float64 {
	switch n := label.(type) {
	case int64:
		return float64(n)
	case uint64:
		return float64(n)
	case float64:
		return n
	case bool:
		if n {
			return 1
		}
		return 0
	}
	return nan
}
