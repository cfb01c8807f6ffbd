package model

import (
	"math"
	"sort"

	"github.com/weirhq/weir/service/pickle"
)

func neighborEntries() []entry {
	const n = "sklearn.neighbors."
	out := in(n+"_classification", buildKNeighborsClassifier, "KNeighborsClassifier")
	out = append(out, in(n+"_regression", buildKNeighborsRegressor, "KNeighborsRegressor")...)
	return append(out, in(n+"_nearest_centroid", buildNearestCentroid, "NearestCentroid")...)
}

// neighbours finds the k nearest of the rows that the estimator was fitted on, by looking at all of them: whatever tree
// scikit-learn used, the answer is the same.
type neighbours struct {
	rows     []float64
	n, in, k int
	distance func(a, b []float64) float64
	inverse  bool      // weights are 1 / distance
	y        []float64 // n × outputs
	outputs  int
}

// near is one of the k nearest, and its weight.
type near struct {
	row              int
	distance, weight float64
}

// find returns the nearest ones of x, the nearest first.
func (b *neighbours) find(x []float64) []near {
	best := make([]near, 0, b.k+1)
	for i := range b.n {
		d := b.distance(x, b.rows[i*b.in:(i+1)*b.in])
		if len(best) == b.k && !(d < best[b.k-1].distance) {
			continue
		}
		at := sort.Search(len(best), func(j int) bool { return best[j].distance > d })
		best = append(best, near{})
		copy(best[at+1:], best[at:])
		best[at] = near{i, d, 1}
		best = best[:min(len(best), b.k)]
	}
	if b.inverse {
		weigh(best)
	}
	return best
}

// weigh gives weights of 1 / distance. Those at no distance count alone.
func weigh(best []near) {
	exact := best[0].distance == 0
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
	if b.k, err = a.integer("n_neighbors"); err != nil {
		return nil, err
	}
	if b.k < 1 || b.k > b.n {
		return nil, a.errorf("n_neighbors", "it is %d, and there are %d rows", b.k, b.n)
	}
	if b.distance, err = a.metric(); err != nil {
		return nil, err
	}
	switch a.o.Attrs["weights"] {
	case nil, "uniform":
	case "distance":
		b.inverse = true
	default:
		return nil, a.errorf("weights", "want uniform or distance")
	}
	y, shape, err := a.floats("_y")
	if err != nil {
		return nil, err
	}
	if len(shape) == 0 || shape[0] != b.n || len(shape) > 2 || len(y) == 0 {
		return nil, a.errorf("_y", "want a value for each of %d rows, not the shape %v", b.n, shape)
	}
	b.y, b.outputs = y, len(y)/b.n
	return b, nil
}

// metric reads effective_metric_ and its p.
func (a attrs) metric() (func(a, b []float64) float64, error) {
	switch name := a.text("effective_metric_"); name {
	case "euclidean", "l2":
		return func(a, b []float64) float64 { return math.Sqrt(squaredDistance(a, b)) }, nil
	case "manhattan", "l1", "cityblock":
		return func(a, b []float64) float64 {
			sum := 0.0
			for j, v := range a {
				sum += math.Abs(v - b[j])
			}
			return sum
		}, nil
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

func squaredDistance(a, b []float64) float64 {
	sum := 0.0
	for j, v := range a {
		d := v - b[j]
		sum += d * d
	}
	return sum
}

func buildKNeighborsRegressor(a attrs) (*estimator, error) {
	b, err := readNeighbours(a)
	if err != nil {
		return nil, err
	}
	_, shape, _ := a.floats("_y")
	return a.regressor(b.in, b.outputs, len(shape) == 2, eachRow(b.in, b.outputs, func(x, out []float64) {
		clear(out)
		sum := 0.0
		for _, nb := range b.find(x) {
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

func buildKNeighborsClassifier(a attrs) (*estimator, error) {
	outputs, err := a.outputLabels()
	if err != nil {
		return nil, err
	}
	b, err := readNeighbours(a)
	if err != nil {
		return nil, err
	}
	if b.outputs != len(outputs) {
		return nil, a.errorf("_y", "it has %d outputs, and there are classes for %d", b.outputs, len(outputs))
	}
	width := 0
	for _, labels := range outputs {
		width += len(labels)
	}
	for i, v := range b.y {
		if !(v >= 0 && v < float64(len(outputs[i%b.outputs]))) {
			return nil, a.errorf("_y", "it holds a class that there is not")
		}
	}
	proba := eachRow(b.in, width, func(x, out []float64) {
		clear(out)
		found := b.find(x)
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
