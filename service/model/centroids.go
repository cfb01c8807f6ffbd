package model

import "math"

func mixtureEntries() []entry {
	out := in("sklearn.cluster._kmeans sklearn.cluster.k_means_", buildKMeans, "KMeans", "MiniBatchKMeans")
	return append(out, in("sklearn.mixture._gaussian_mixture", buildGaussianMixture, "GaussianMixture")...)
}

// nearest scores each of k centres by minus its distance.
func nearest(centres []float64, n, k int, distance func(a, b []float64) float64) rowsFunc {
	return eachRow(n, k, func(x, out []float64) {
		for c := range out {
			out[c] = -distance(x, centres[c*n:(c+1)*n])
		}
	})
}

// buildKMeans gives the index of the nearest centre, or within a pipeline the distances to all of them.
func buildKMeans(a attrs) (*estimator, error) {
	centres, n, err := a.matrix("cluster_centers_", -1, -1)
	if err != nil {
		return nil, err
	}
	k := len(centres) / n
	e, err := a.classifier(n, sequentialLabels(k))
	if err != nil {
		return nil, err
	}
	e.picks(k, nearest(centres, n, k, squaredDistance))
	if a.text("algorithm") != "" || a.o.Attrs["inertia_"] != nil {
		e.step, err = a.distances(centres, n, k)
	}
	return e, err
}

// buildNearestCentroid picks the class with the nearest centroid. Since 1.6 it has priors and probabilities.
func buildNearestCentroid(a attrs) (*estimator, error) {
	labels, err := a.labels()
	if err != nil {
		return nil, err
	}
	k := len(labels)
	centres, n, err := a.matrix("centroids_", k, -1)
	if err != nil {
		return nil, err
	}
	e, err := a.classifier(n, labels)
	if err != nil {
		return nil, err
	}
	switch a.text("metric") {
	case "manhattan":
		return e.picks(k, nearest(centres, n, k, manhattan)), nil
	case "euclidean":
		e.picks(k, nearest(centres, n, k, squaredDistance))
	default:
		return nil, a.errorf("metric", "want euclidean or manhattan, not %q", a.text("metric"))
	}
	if a.version() < 106 {
		return e, nil
	}
	return a.centroidScores(e, centres, n)
}

// centroidScores adds decision values: minus the squared distance in units of the deviation, plus 2·log(prior).
func (a attrs) centroidScores(e *estimator, centres []float64, n int) (*estimator, error) {
	k := len(e.Labels)
	deviation, err := a.vector("within_class_std_dev_", n)
	if err != nil {
		return nil, err
	}
	prior, err := a.vector("class_prior_", k)
	if err != nil {
		return nil, err
	}
	equal := true
	for c, p := range prior {
		equal = equal && math.Abs(p-1/float64(k)) <= 1e-8+1e-5/float64(k)
		prior[c] = 2 * math.Log(p)
	}
	for j, d := range deviation {
		if d == 0 {
			deviation[j] = 1
		}
	}
	scores := eachRow(n, k, func(x, out []float64) {
		copy(out, prior)
		for c := range out {
			for j, v := range x {
				d := (v - centres[c*n+j]) / deviation[j]
				out[c] -= d * d
			}
		}
	})
	if !equal {
		e.picks(k, scores)
	}
	e.withProba(k, softmaxOf(scores, k))
	return e.withDecision(decisionOf(scores, k)), nil
}

// buildGaussianMixture gives the most likely component.
func buildGaussianMixture(a attrs) (*estimator, error) {
	components, n, err := a.gaussians()
	if err != nil {
		return nil, err
	}
	weights, err := a.vector("weights_", len(components))
	if err != nil {
		return nil, err
	}
	for c, w := range weights {
		components[c].start += math.Log(w)
	}
	return a.mixture(components, n)
}

// gaussians reads the log densities of a mixture's components, over n columns.
func (a attrs) gaussians() (components []quadratic, n int, err error) {
	means, n, err := a.matrix("means_", -1, -1)
	if err != nil {
		return nil, 0, err
	}
	k := len(means) / n
	precision, _, err := a.floats("precisions_cholesky_")
	if err != nil {
		return nil, 0, err
	}
	components = make([]quadratic, k)
	for c := range components {
		rotation, err := a.precision(precision, c, k, n)
		if err != nil {
			return nil, 0, err
		}
		q := quadratic{0, means[c*n : (c+1)*n], rotation, n}
		for j := range n {
			q.start += math.Log(rotation[j*n+j]) - math.Log(2*math.Pi)/2
		}
		components[c] = q
	}
	return components, n, nil
}

// mixture makes an estimator that picks one of the components.
func (a attrs) mixture(components []quadratic, n int) (*estimator, error) {
	k := len(components)
	return a.byLogLikelihood(n, sequentialLabels(k), eachRow(n, k, func(x, out []float64) {
		for c := range components {
			out[c] = components[c].value(x)
		}
	}))
}

// precision returns component c's matrix in full, of whatever kind the covariances are.
func (a attrs) precision(v []float64, c, k, n int) ([]float64, error) {
	kind := a.text("covariance_type")
	size := map[string]int{"full": k * n * n, "tied": n * n, "diag": k * n, "spherical": k}
	if want, ok := size[kind]; !ok || len(v) != want {
		return nil, a.errorf("precisions_cholesky_", "want %d numbers, not %d", want, len(v))
	}
	if err := a.l.spend(8 * n * n); err != nil {
		return nil, err
	}
	switch kind {
	case "full":
		return v[c*n*n : (c+1)*n*n], nil
	case "tied":
		return v, nil
	}
	out := make([]float64, n*n)
	for j := range n {
		if kind == "diag" {
			out[j*n+j] = v[c*n+j]
		} else {
			out[j*n+j] = v[c]
		}
	}
	return out, nil
}
