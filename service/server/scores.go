package server

import (
	"math"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weirhq/weir/service/model"
)

// scoredRows is the number of rows of a request that are scored and come into the ring.
const scoredRows = 16

// scorer says what the score of a model's row is, and counts it. A request counts once, by its first row, because
// requests are what is spread over releases at random. The buckets are fixed, so that the histograms of all instances
// of a release add up, and those of two releases compare.
type scorer struct {
	compute func(m *model.Model, w *work, rows int, out []float64) error // nil where the predictions are the scores
	width   int                                                          // numbers that it computes for a row
	sketch  prometheus.Observer
}

// newScorer returns nil for models without a score: transformers, and classifiers of several outputs.
func newScorer(m *model.Model, to *metrics) *scorer {
	switch {
	case m.Kind == model.Regressor:
		return &scorer{sketch: to.sketch("prediction", numberBuckets)}
	case m.Kind != model.Classifier || m.Outputs != nil:
		return nil
	case m.Proba > 0:
		return &scorer{compute: probabilities, width: m.Proba, sketch: to.sketch("probability", shareBuckets)}
	case m.Decision > 0:
		return &scorer{compute: decisions, width: m.Decision, sketch: to.sketch("decision", numberBuckets)}
	}
	return nil
}

// sketch registers the histogram of scores.
func (m *metrics) sketch(score string, buckets []float64) prometheus.Observer {
	vec := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "weir_request_scores",
		Help:    "Score of a request's first row: the largest probability or decision value, or a regressor's prediction.",
		Buckets: buckets,
	}, []string{"score"})
	m.labelled.MustRegister(vec)
	return vec.WithLabelValues(score)
}

func probabilities(m *model.Model, w *work, rows int, out []float64) error {
	return m.Probabilities(w.rows.X[:rows*w.rows.Width], rows, out, &w.scratch)
}

func decisions(m *model.Model, w *work, rows int, out []float64) error {
	return m.DecisionValues(w.rows.X[:rows*w.rows.Width], rows, out, &w.scratch)
}

// score fills w.scores for the first rows of a request. What the request has not asked for is computed for one of every
// requests only, picked by its id, because it costs as much as the prediction. Rows without a score have NaN.
func (m *served) score(w *work, every int) {
	rows := min(w.rows.Count, scoredRows)
	for r := range rows {
		w.scores[r] = math.NaN()
	}
	s := m.scorer
	if s == nil {
		return
	}
	if s.compute == nil {
		for r := range rows {
			w.scores[r] = w.out[r*m.Out]
		}
		return
	}
	values := w.values
	if m.Proba > 0 {
		values = w.proba
	}
	if len(values) == 0 {
		if every == 0 || hashID(w.id)%uint32(every) != 0 {
			return
		}
		w.sample = resize(w.sample, rows*s.width)
		values = w.sample
		if s.compute(m.Model, w, rows, values) != nil {
			return
		}
	}
	for r := range rows {
		w.scores[r] = slices.Max(values[r*s.width : (r+1)*s.width])
	}
}

// shareBuckets cut [0, 1], finer towards 1, where most top probabilities are.
var shareBuckets = []float64{
	.05, .1, .15, .2, .25, .3, .35, .4, .45, .5, .55, .6, .65, .7, .75, .8, .85, .9, .925, .95, .975, .99, .999, 1,
}

// numberBuckets cut each decade from 0.001 to 1e6 into four, on both sides of 0.
var numberBuckets = func() []float64 {
	var up []float64
	for decade := -3; decade < 6; decade++ {
		for _, step := range []float64{1, 1.8, 3.2, 5.6} {
			up = append(up, step*math.Pow10(decade))
		}
	}
	up = append(up, 1e6)
	all := []float64{0}
	for _, v := range up {
		all = append(all, v, -v)
	}
	slices.Sort(all)
	return all
}()
