package analysis

import "time"

// slower tests whether the canary's answers are stochastically slower than is tolerated. Each edge t of stable's
// histogram is paired with the canary's first edge from Ratio·t + Slack on; the event is an answer above the edge. Each
// pair has its own Excess test; their mean tests all together.
//
// Source: the order of distributions as the hypothesis of a canary test is Lindon, Sanden and Shirikian, "Rapid
// regression detection in software deployments through sequential testing" (KDD 2022, arXiv 2205.14762); here on
// histograms, with a tolerance.
func (l Latency) slower(share, ratio float64, canary, stable Histogram) (logE float64, pairs int) {
	x := Excess{Share: share, Ratio: ratio, Margin: l.Margin}.bets()
	var logEs []float64
	for i, edge := range stable.Edges {
		if j, ok := canary.edge(l.Ratio*edge + time.Duration(l.Slack).Seconds()); ok {
			logEs = append(logEs, x.logE(canary.above(j), stable.above(i)))
		}
	}
	return logMean(logEs), len(logEs)
}
