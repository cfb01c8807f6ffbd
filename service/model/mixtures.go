package model

import (
	"math"
	"slices"

	"github.com/weirhq/weir/service/pickle"
)

func clusterEntries() []entry {
	const c = "sklearn.cluster."
	return slices.Concat(
		in("sklearn.mixture._bayesian_mixture", buildBayesianMixture, "BayesianGaussianMixture"),
		in(c+"_birch", buildBirch, "Birch"),
		in(c+"_birch", nil, "_CFNode", "_CFSubcluster"),
		in(c+"_mean_shift", buildKMeans, "MeanShift"),
		in(c+"_affinity_propagation", buildKMeans, "AffinityPropagation"),
		in(c+"_bisect_k_means", buildBisecting, "BisectingKMeans"),
		in(c+"_bisect_k_means", nil, "_BisectingTree"),
	)
}

// buildBirch gives the label of the nearest sub-cluster.
func buildBirch(a attrs) (*estimator, error) {
	centres, n, err := a.matrix("subcluster_centers_", -1, -1)
	if err != nil {
		return nil, err
	}
	k := len(centres) / n
	of, err := a.vector("subcluster_labels_", k)
	if err != nil {
		return nil, err
	}
	top := 0.0
	for _, v := range of {
		if !(v >= 0 && v < float64(k)) {
			return nil, a.errorf("subcluster_labels_", "want 0 to %d", k-1)
		}
		top = max(top, v)
	}
	e, err := a.classifier(n, sequentialLabels(int(top)+1))
	if err != nil {
		return nil, err
	}
	e.picks(k, nearest(centres, n, k, squaredDistance))
	pick := e.apply
	e.apply = func(x []float64, rows int, out []float64, s *Scratch) error {
		err := pick(x, rows, out, s)
		for r, v := range out {
			out[r] = of[int(v)]
		}
		return err
	}
	e.step, err = a.distances(centres, n, k)
	return e, err
}

// distances makes a transformer of the distances to each of k centres: what a clusterer is within a pipeline.
func (a attrs) distances(centres []float64, n, k int) (*estimator, error) {
	return a.transformer(n, k, eachRow(n, k, func(x, out []float64) {
		for c := range out {
			out[c] = euclidean(x, centres[c*n:(c+1)*n])
		}
	}))
}

// buildBayesianMixture gives the most likely component: Bishop, "Pattern Recognition and Machine Learning", 10.2.
func buildBayesianMixture(a attrs) (*estimator, error) {
	components, n, err := a.gaussians()
	if err != nil {
		return nil, err
	}
	k := len(components)
	weights, err := a.logWeights(k)
	if err != nil {
		return nil, err
	}
	freedom, err := a.spread("degrees_of_freedom_", k)
	if err != nil {
		return nil, err
	}
	precision, err := a.spread("mean_precision_", k)
	if err != nil {
		return nil, err
	}
	for c := range components {
		lambda := float64(n) * math.Log(2)
		for j := range n {
			lambda += digamma((freedom[c] - float64(j)) / 2)
		}
		components[c].start += weights[c] - float64(n)*math.Log(freedom[c])/2 + (lambda-float64(n)/precision[c])/2
	}
	return a.mixture(components, n)
}

// logWeights are the expected logarithms of the components' weights.
func (a attrs) logWeights(k int) ([]float64, error) {
	pair, err := pickle.Sequence(a.o.Attrs["weight_concentration_"])
	if err != nil {
		v, err := a.vector("weight_concentration_", k)
		if err != nil {
			return nil, err
		}
		all := digamma(total(v))
		for c := range v {
			v[c] = digamma(v[c]) - all
		}
		return v, nil
	}
	parts, err := a.arrays("weight_concentration_", 2)
	if err != nil {
		return nil, err
	}
	if len(pair) != 2 || len(parts[0]) != k || len(parts[1]) != k {
		return nil, a.errorf("weight_concentration_", "want two lists of %d", k)
	}
	out, rest := make([]float64, k), 0.0
	for c := range out {
		first, second := parts[0][c], parts[1][c]
		all := digamma(first + second)
		out[c] = digamma(first) - all + rest
		rest += digamma(second) - all
	}
	return out, nil
}

// digamma is the derivative of the logarithm of the gamma function, for numbers above 0: by its recurrence up to where
// the asymptotic series is exact.
func digamma(x float64) float64 {
	if !(x > 0) {
		return nan
	}
	sum := 0.0
	for x < 12 {
		sum -= 1 / x
		x++
	}
	f := 1 / (x * x)
	series := f * (1.0/12 - f*(1.0/120-f*(1.0/252-f*(1.0/240-f*(1.0/132-f*691.0/32760)))))
	return sum + math.Log(x) - 1/(2*x) - series
}

// split is a node of a tree of clusters.
type clusterSplit struct {
	left, right           []float64 // their centres
	leftChild, rightChild int       // of a leaf: 0
	label                 float64
}

// buildBisecting goes down _bisecting_tree to the nearer centre each time.
func buildBisecting(a attrs) (*estimator, error) {
	centres, n, err := a.matrix("cluster_centers_", -1, -1)
	if err != nil {
		return nil, err
	}
	k := len(centres) / n
	mean := make([]float64, n)
	if _, ok := a.o.Attrs["_X_mean"]; ok {
		if mean, err = a.vector("_X_mean", n); err != nil {
			return nil, err
		}
	}
	var tree []clusterSplit
	root, err := a.object("_bisecting_tree", "_BisectingTree")
	if err != nil {
		return nil, err
	}
	if _, err = root.readSplits(&tree, mean, k, 0); err != nil {
		return nil, err
	}
	e, err := a.classifier(n, sequentialLabels(k))
	if err != nil {
		return nil, err
	}
	e.apply = eachRow(n, 1, func(x, out []float64) {
		at := 0
		for tree[at].leftChild > 0 {
			if squaredDistance(x, tree[at].right) < squaredDistance(x, tree[at].left) {
				at = tree[at].rightChild
			} else {
				at = tree[at].leftChild
			}
		}
		out[0] = tree[at].label
	})
	e.step, err = a.distances(centres, n, k)
	return e, err
}

// readSplits appends a node and those below it, and returns its place. K leaves are k labels.
func (a attrs) readSplits(tree *[]clusterSplit, mean []float64, k, depth int) (int, error) {
	if depth > k || len(*tree) > 2*k {
		return 0, a.errorf("left", "there are more than %d clusters in the tree", k)
	}
	at := len(*tree)
	*tree = append(*tree, clusterSplit{})
	if a.o.Attrs["left"] == nil {
		label, err := a.integer("label")
		if err == nil && (label < 0 || label >= k) {
			err = a.errorf("label", "it is %d: want 0 to %d", label, k-1)
		}
		(*tree)[at].label = float64(label)
		return at, err
	}
	var s clusterSplit
	for name, to := range map[string]*[]float64{"left": &s.left, "right": &s.right} {
		below, err := a.object(name, "_BisectingTree")
		if err != nil {
			return 0, err
		}
		if *to, err = below.vector("center", len(mean)); err != nil {
			return 0, err
		}
		for j, m := range mean {
			(*to)[j] += m
		}
		child, err := below.readSplits(tree, mean, k, depth+1)
		if err != nil {
			return 0, err
		}
		if name == "left" {
			s.leftChild = child
		} else {
			s.rightChild = child
		}
	}
	(*tree)[at] = s
	return at, nil
}
