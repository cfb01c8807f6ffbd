package model

import "slices"

func outlierEntries() []entry {
	const c = "sklearn.covariance."
	return slices.Concat(in(c+"_elliptic_envelope", buildEllipticEnvelope, "EllipticEnvelope"))
}

// buildLocalOutlierFactor compares how densely a row lies with how densely its neighbours do: Breunig et al., "LOF:
// identifying density-based local outliers". It has answers for new rows where it was fitted with novelty=True.
func buildLocalOutlierFactor(a attrs) (*estimator, error) {
	if novelty, err := a.flag("novelty"); err != nil || !novelty {
		return nil, a.errorf("novelty", "want True: without it scikit-learn has no predict for new rows either")
	}
	b, err := readNeighbours(a)
	if err != nil {
		return nil, err
	}
	b.inverse = false
	density, err := a.vector("_lrd", b.n)
	if err != nil {
		return nil, err
	}
	reach, columns, err := a.matrix("_distances_fit_X_", b.n, -1)
	if err != nil {
		return nil, err
	}
	if columns < b.k {
		return nil, a.errorf("_distances_fit_X_", "it has %d columns for %d neighbours", columns, b.k)
	}
	offset, err := a.number("offset_")
	if err != nil {
		return nil, err
	}
	return a.outlierDetector(b.in, b.eachNeighbourhood(1, func(found []near, out []float64) {
		distance, others := 0.0, 0.0
		for _, nb := range found {
			distance += max(nb.distance, reach[nb.row*columns+b.k-1])
			others += density[nb.row]
		}
		k := float64(len(found))
		own := 1 / (distance/k + 1e-10)
		out[0] = -(others / own / k) - offset
	}))
}

// buildEllipticEnvelope decides by minus the squared Mahalanobis distance of a row from location_.
func buildEllipticEnvelope(a attrs) (*estimator, error) {
	centre, err := a.scoresOf("location_")
	if err != nil {
		return nil, err
	}
	n := len(centre)
	precision, _, err := a.matrix("precision_", n, n)
	if err != nil {
		return nil, err
	}
	offset, err := a.number("offset_")
	if err != nil {
		return nil, err
	}
	return a.outlierDetector(n, eachRow(n, 1, func(x, out []float64) {
		sum := 0.0
		for i, v := range x {
			part := 0.0
			for j, w := range x {
				part += (w - centre[j]) * precision[i*n+j]
			}
			sum += (v - centre[i]) * part
		}
		out[0] = -sum - offset
	}))
}
