package analysis

import (
	"cmp"
	"maps"
)

// Counts is what instances of one release counted: since they started, in a Snapshot; since the step began, in an
// Evidence.
type Counts struct {
	Codes   map[int]uint64    `json:"codes,omitempty"`   // answered requests by HTTP status code
	Latency Histogram         `json:"latency,omitzero"`  // time to answer, in seconds
	Classes map[string]uint64 `json:"classes,omitempty"` // answered requests by predicted class
	Scores  Histogram         `json:"scores,omitzero"`   // answered requests by score
	// ScoreKind says what a score is: a probability, a decision value, a prediction. Only the same kinds compare.
	ScoreKind string `json:"score_kind,omitempty"`
}

// Requests is the number of answered requests.
func (c Counts) Requests() float64 {
	n := uint64(0)
	for _, of := range c.Codes {
		n += of
	}
	return float64(n)
}

func (c Counts) plus(o Counts) Counts {
	return Counts{
		Codes: sum(c.Codes, o.Codes), Classes: sum(c.Classes, o.Classes),
		Latency: c.Latency.plus(o.Latency), Scores: c.Scores.plus(o.Scores),
		ScoreKind: cmp.Or(c.ScoreKind, o.ScoreKind),
	}
}

// since takes earlier counts of the same instance off. Where any of them is above the later one, the instance began
// anew and all that it counts is new.
func (c Counts) since(earlier Counts) (delta Counts, reset bool) {
	codes, ok1 := less(c.Codes, earlier.Codes)
	classes, ok2 := less(c.Classes, earlier.Classes)
	latency, ok3 := c.Latency.minus(earlier.Latency)
	scores, ok4 := c.Scores.minus(earlier.Scores)
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return c, true
	}
	return Counts{Codes: codes, Classes: classes, Latency: latency, Scores: scores, ScoreKind: c.ScoreKind}, false
}

// Since is what was counted after earlier counts of the same release; all of c where they can't be taken off.
func (c Counts) Since(earlier Counts) Counts {
	delta, _ := c.since(earlier)
	return delta
}

func sum[K comparable](a, b map[K]uint64) map[K]uint64 {
	if a == nil && b == nil {
		return nil
	}
	out := make(map[K]uint64, max(len(a), len(b)))
	maps.Copy(out, a)
	for k, n := range b {
		out[k] += n
	}
	return out
}

func less[K comparable](a, b map[K]uint64) (map[K]uint64, bool) {
	out := maps.Clone(a)
	for k, n := range b {
		if n > a[k] {
			return nil, false
		}
		if n > 0 {
			out[k] -= n
		}
	}
	return out, true
}
