package model

import (
	"math"
	"slices"
	"strings"

	"github.com/weirhq/weir/service/pickle"
)

func neighborEntries() []entry {
	const n = "sklearn.neighbors."
	return slices.Concat(
		in(n+"_classification", buildKNeighborsClassifier, "KNeighborsClassifier"),
		in(n+"_classification", buildRadiusClassifier, "RadiusNeighborsClassifier"),
		in(n+"_regression", buildNeighborsRegressor, "KNeighborsRegressor", "RadiusNeighborsRegressor"),
		in(n+"_lof", buildLocalOutlierFactor, "LocalOutlierFactor"),
		in(n+"_nearest_centroid", buildNearestCentroid, "NearestCentroid"),
	)
}

// neighbours finds the k nearest of the rows that the estimator was fitted on, by looking at all of them: whatever tree
// scikit-learn used, the answer is the same.
type neighbours struct {
	rows     []float64
	n, in, k int // k is 0 where radius counts
	distance func(a, b []float64) float64
	inverse  bool                           // weights are 1 / distance
	weight   func(distance float64) float64 // or what this says
	y        []float64                      // n × outputs
	outputs  int
	vector   bool    // y is a list for each row
	radius   float64 // in place of k: all that are as near
}

// near is one of the k nearest, and its weight.
type near struct {
	row              int
	distance, weight float64
}

// find returns the nearest ones of x, the nearest first. They are valid until the next call with the same Scratch.
func (b *neighbours) find(x []float64, s *Scratch) []near {
	best := s.near[:0]
	for i := range b.n {
		d := b.distance(x, b.rows[i*b.in:(i+1)*b.in])
		switch {
		case b.k == 0 && d <= b.radius:
			best = append(best, near{i, d, 1})
		case b.k > 0:
			best = insertNear(best, near{i, d, 1}, b.k)
		}
	}
	s.near = best
	if b.inverse {
		weigh(best)
	}
	for i := range best {
		if b.weight != nil {
			best[i].weight = b.weight(best[i].distance)
		}
	}
	return best
}

// insertNear adds a neighbour to the k nearest ones. Of equally near ones those that came first stay.
func insertNear(best []near, n near, k int) []near {
	if len(best) == k {
		if !(n.distance < best[k-1].distance) {
			return best
		}
		best = best[:k-1]
	}
	at := len(best)
	for at > 0 && best[at-1].distance > n.distance {
		at--
	}
	best = append(best, near{})
	copy(best[at+1:], best[at:])
	best[at] = n
	return best
}

// weigh gives weights of 1 / distance. Those at no distance count alone.
func weigh(best []near) {
	exact := slices.ContainsFunc(best, func(n near) bool { return n.distance == 0 })
	for i := range best {
		switch {
		case !exact:
			best[i].weight = 1 / best[i].distance
		case best[i].distance != 0:
			best[i].weight = 0
		}
	}
}

func readNeighbours(a attrs) (*neighbours, error) {
	b := &neighbours{}
	var err error
	if b.rows, b.in, err = a.matrix("_fit_X", -1, -1); err != nil {
		return nil, err
	}
	b.n = len(b.rows) / b.in
	if b.distance, err = a.metric(); err != nil {
		return nil, err
	}
	if b.inverse, err = a.inverseWeights(); err != nil {
		return nil, err
	}
	return b, b.readReach(a)
}

// readReach reads how far neighbours may be, or how many there are.
func (b *neighbours) readReach(a attrs) (err error) {
	if strings.HasPrefix(a.class(), "Radius") {
		b.radius, err = a.number("radius")
		return err
	}
	name := "n_neighbors"
	if _, ok := a.o.Attrs["n_neighbors_"]; ok { // of outlier factors
		name = "n_neighbors_"
	}
	if b.k, err = a.integer(name); err != nil {
		return err
	}
	if b.k < 1 || b.k > b.n {
		return a.errorf(name, "it is %d, and there are %d rows", b.k, b.n)
	}
	return nil
}

// readTargets reads what is known of each row.
func (b *neighbours) readTargets(a attrs) error {
	y, shape, err := a.floats("_y")
	if err != nil {
		return err
	}
	if len(shape) == 0 || shape[0] != b.n || len(shape) > 2 || len(y) == 0 {
		return a.errorf("_y", "want a value for each of %d rows, not the shape %v", b.n, shape)
	}
	b.y, b.outputs, b.vector = y, len(y)/b.n, len(shape) == 2
	return nil
}

// metric reads effective_metric_ and its p.
func (a attrs) metric() (func(a, b []float64) float64, error) {
	switch name := a.text("effective_metric_"); name {
	case "euclidean", "l2":
		return euclidean, nil
	case "manhattan", "l1", "cityblock":
		return manhattan, nil
	case "chebyshev":
		return func(a, b []float64) float64 {
			top := 0.0
			for j, v := range a {
				top = max(top, math.Abs(v-b[j]))
			}
			return top
		}, nil
	case "minkowski":
		return a.minkowski()
	default:
		return nil, a.errorf("metric", "%q is not supported: want euclidean, manhattan, chebyshev or minkowski", name)
	}
}

func (a attrs) minkowski() (func(a, b []float64) float64, error) {
	p := 2.0
	entries, _ := pickle.Entries(a.o.Attrs["effective_metric_params_"])
	for _, e := range entries {
		if e.Key == "w" && e.Value == nil {
			continue
		}
		var err error
		if p, err = pickle.Float(e.Value); err != nil || e.Key != "p" || p <= 0 {
			return nil, a.errorf("metric_params", "only p is supported")
		}
	}
	return func(a, b []float64) float64 {
		sum := 0.0
		for j, v := range a {
			sum += math.Pow(math.Abs(v-b[j]), p)
		}
		return math.Pow(sum, 1/p)
	}, nil
}

func euclidean(a, b []float64) float64 { return math.Sqrt(squaredDistance(a, b)) }

func squaredDistance(a, b []float64) float64 {
	sum := 0.0
	for j, v := range a {
		d := v - b[j]
		sum += d * d
	}
	return sum
}

// eachNeighbourhood makes a rowsFunc of a function of the neighbours of one row.
func (b *neighbours) eachNeighbourhood(width int, f func(found []near, out []float64)) rowsFunc {
	return func(x []float64, rows int, out []float64, s *Scratch) error {
		for r := range rows {
			f(b.find(x[r*b.in:(r+1)*b.in], s), out[r*width:(r+1)*width])
		}
		return nil
	}
}

// buildNeighborsRegressor gives the mean of the neighbours. Without any it is NaN.
func buildNeighborsRegressor(a attrs) (*estimator, error) {
	b, err := readNeighbours(a)
	if err != nil {
		return nil, err
	}
	if err := b.readTargets(a); err != nil {
		return nil, err
	}
	return a.regressor(b.in, b.outputs, b.vector, b.eachNeighbourhood(b.outputs, func(found []near, out []float64) {
		clear(out)
		sum := 0.0
		for _, nb := range found {
			sum += nb.weight
			for o := range out {
				out[o] += nb.weight * b.y[nb.row*b.outputs+o]
			}
		}
		for o := range out {
			out[o] /= sum
		}
	}))
}

// readClasses reads the targets of a classifier and returns the classes of each output.
func (b *neighbours) readClasses(a attrs) ([][]any, int, error) {
	outputs, err := a.outputLabels()
	if err != nil {
		return nil, 0, err
	}
	if err := b.readTargets(a); err != nil {
		return nil, 0, err
	}
	if b.outputs != len(outputs) {
		return nil, 0, a.errorf("_y", "it has %d outputs, and there are classes for %d", b.outputs, len(outputs))
	}
	width := 0
	for _, labels := range outputs {
		width += len(labels)
	}
	for i, v := range b.y {
		if !(v >= 0 && v < float64(len(outputs[i%b.outputs]))) {
			return nil, 0, a.errorf("_y", "it holds a class that there is not")
		}
	}
	return outputs, width, nil
}

func buildKNeighborsClassifier(a attrs) (*estimator, error) {
	b, err := readNeighbours(a)
	if err != nil {
		return nil, err
	}
	outputs, width, err := b.readClasses(a)
	if err != nil {
		return nil, err
	}
	proba := b.eachNeighbourhood(width, func(found []near, out []float64) {
		clear(out)
		for o, labels := range outputs {
			for _, nb := range found {
				out[int(b.y[nb.row*b.outputs+o])] += nb.weight
			}
			normalise(out[:len(labels)])
			out = out[len(labels):]
		}
	})
	e, err := a.classifier(b.in, outputs[0])
	if err != nil {
		return nil, err
	}
	if len(outputs) > 1 {
		return e.severalOutputs(outputs, proba), nil
	}
	return e.withProba(width, proba).picks(width, proba), nil
}

// buildRadiusClassifier has no answer for rows without neighbours, unless outlier_label_ is one of the classes.
func buildRadiusClassifier(a attrs) (*estimator, error) {
	b, err := readNeighbours(a)
	if err != nil {
		return nil, err
	}
	outputs, width, err := b.readClasses(a)
	if err != nil {
		return nil, err
	}
	if len(outputs) > 1 {
		return nil, a.errorf("classes_", "several outputs are not supported")
	}
	lonely, err := a.outlierLabel(outputs[0])
	if err != nil {
		return nil, err
	}
	e, err := a.classifier(b.in, outputs[0])
	if err != nil {
		return nil, err
	}
	proba := func(x []float64, rows int, out []float64, s *Scratch) error {
		clear(out)
		for r := range rows {
			found, to := b.find(x[r*b.in:(r+1)*b.in], s), out[r*width:(r+1)*width]
			for _, nb := range found {
				to[int(b.y[nb.row])] += nb.weight
			}
			if len(found) == 0 {
				if lonely < 0 {
					return &RangeError{Row: r, Reason: "there is no row of training near it, and the model has no class for that"}
				}
				to[lonely] = 1
			}
			normalise(to)
		}
		return nil
	}
	return e.withProba(width, proba).picks(width, proba), nil
}

// outlierLabel returns the class of rows without neighbours, or -1.
func (a attrs) outlierLabel(labels []any) (int, error) {
	v := a.o.Attrs["outlier_label_"]
	if v == nil {
		return -1, nil
	}
	if items, err := pickle.Sequence(v); err == nil && len(items) == 1 {
		v = items[0]
	}
	label, err := pickle.Scalar(v)
	if err != nil {
		return 0, a.errorf("outlier_label_", "%w", err)
	}
	at := labelIndex(label, labels)
	if at < 0 {
		return 0, a.errorf("outlier_label_", "a class that training did not have is not supported")
	}
	return at, nil
}
