package analysis

import (
	"maps"
	"math"
	"slices"
)

// shiftTest tests whether predictions fall differently on canary and stable. Each bin is one class, or one bucket of
// scores; a set is a part of the bins: for classes each class and all others, for scores all below and all above an
// edge. The null hypothesis is that no set is more frequent on the canary by more than the tolerance. Each set has its
// own Excess test; their mean tests all of them together, without dividing alpha.
type shiftTest struct {
	share, ratio, tolerance float64
	canary, stable          []float64 // requests by bin
}

// logE is the logarithm of the e-value. sets gives, for a set's number, its count in a slice of counts by bin.
func (s shiftTest) logE(sets int, in func(set int, counts []float64) float64) float64 {
	if s.tolerance == 0 {
		return anyDifference(s.share, s.canary, s.stable)
	}
	x := Excess{Share: s.share, Ratio: s.ratio, Margin: s.tolerance}.bets()
	n, m := total(s.canary), total(s.stable)
	var logEs []float64
	for set := range sets {
		c, st := Tally{N: n, K: in(set, s.canary)}, Tally{N: m, K: in(set, s.stable)}
		logEs = append(logEs, x.logE(c, st), x.logE(c.rest(), st.rest()))
	}
	return logMean(logEs)
}

// classLogE looks at each class and at all others.
func (s shiftTest) classLogE() float64 {
	return s.logE(len(s.canary), func(class int, counts []float64) float64 { return counts[class] })
}

// scoreLogE looks at all below and at all above each edge: the largest such difference is the Kolmogorov–Smirnov
// distance.
func (s shiftTest) scoreLogE() float64 {
	return s.logE(len(s.canary)-1, func(edge int, counts []float64) float64 { return total(counts[:edge+1]) })
}

// anyDifference tests whether the bin of a request has anything to do with which release answered it. Given the bin, a
// request is the canary's with probability share under the null hypothesis; the alternative gives each bin a share of
// its own, from a beta distribution around the true one that weighs as much as fifty requests. Its likelihood ratio is
// a martingale of the totals.
//
// Source: Lindon and Malek, arXiv 2011.03567 (their Dirichlet mixture, for two arms and each bin).
func anyDifference(share float64, canary, stable []float64) float64 {
	const weight = 50
	a, b := weight*share, weight*(1-share)
	sum := 0.0
	for i := range canary {
		sum += logBeta(a+canary[i], b+stable[i]) - logBeta(a, b) - xlog(canary[i], share) - xlog(stable[i], 1-share)
	}
	return sum
}

// PSI is the population stability index of the canary's bins against stable's. Half a request is added to each bin.
// By custom, below 0.1 is no change and above 0.25 a large one. It is shown as an effect size; it decides nothing.
func PSI(canary, stable []float64) float64 {
	n, m := total(canary)+float64(len(canary))/2, total(stable)+float64(len(stable))/2
	sum := 0.0
	for i := range canary {
		p, q := (canary[i]+0.5)/n, (stable[i]+0.5)/m
		sum += (p - q) * math.Log(p/q)
	}
	return sum
}

// variation is the total variation distance: the part of the requests that would have to change bins.
func variation(canary, stable []float64) float64 {
	n, m := total(canary), total(stable)
	if n == 0 || m == 0 {
		return 0
	}
	sum := 0.0
	for i := range canary {
		sum += math.Abs(canary[i]/n - stable[i]/m)
	}
	return sum / 2
}

// ksDistance is the largest difference of the distribution functions at the edges between bins.
func ksDistance(canary, stable []float64) float64 {
	n, m := total(canary), total(stable)
	if n == 0 || m == 0 {
		return 0
	}
	most, c, s := 0.0, 0.0, 0.0
	for i := range canary {
		c, s = c+canary[i]/n, s+stable[i]/m
		most = math.Max(most, math.Abs(c-s))
	}
	return most
}

// classBins lines up the counts of all classes that either side has.
func classBins(canary, stable map[string]uint64) (names []string, c, s []float64) {
	all := maps.Clone(canary)
	if all == nil {
		all = map[string]uint64{}
	}
	maps.Copy(all, stable)
	names = slices.Sorted(maps.Keys(all))
	for _, name := range names {
		c, s = append(c, float64(canary[name])), append(s, float64(stable[name]))
	}
	return names, c, s
}

// scoreBins lines up the buckets of both sides, on the edges that both have.
func scoreBins(canary, stable Histogram) (edges, c, s []float64) {
	edges = shared(canary.Edges, stable.Edges)
	if len(canary.Counts) == 0 || len(stable.Counts) == 0 {
		return edges, nil, nil
	}
	for _, n := range canary.onto(edges).Counts {
		c = append(c, float64(n))
	}
	for _, n := range stable.onto(edges).Counts {
		s = append(s, float64(n))
	}
	return edges, c, s
}

func total(xs []float64) float64 {
	sum := 0.0
	for _, x := range xs {
		sum += x
	}
	return sum
}
