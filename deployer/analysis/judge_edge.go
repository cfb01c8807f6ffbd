package analysis

import (
	"fmt"

	"github.com/weirhq/weir/deployer/rollout"
)

// errors judges failed requests. Where the ingresses count, it looks twice: at what the instances tell, and at what the
// ingresses saw fail, which an instance that crashes, hangs or resets does not count, and a client whose request was
// tried again doesn't see. Each look compares both releases by one source, and may spend half of the metric's alpha: so
// the one with more evidence may decide (docs/adr/0009-attempts-at-the-edge.md).
func (j judge) errors() Result {
	if j.ev.Attempts == nil || j.spec.Attempts != nil { // attempts are a metric of their own then
		return j.answered(*j.spec.Errors, failed)
	}
	j.alpha /= 2
	told, seen := j.answered(*j.spec.Errors, failed), j.atEdge(*j.spec.Errors)
	switch {
	case seen.Outcome == Skipped:
		return told
	case told.Outcome == Skipped || seen.LogE > told.LogE:
		told, seen = seen, told
	}
	if seen.Outcome != Skipped {
		told.Reason += "; " + seen.Reason
	}
	return told
}

// attempts judges what the ingresses saw as a metric of its own, for those who ask for it.
func (j judge) attempts() Result {
	a := j.ev.Attempts
	switch {
	case a == nil:
		return Result{Outcome: rollout.SourceDown, Reason: "no ingress counts its attempts"}
	case 1-float64(a.Answered)/float64(max(a.Ingresses, 1)) > j.spec.MaxMissing:
		return Result{Outcome: rollout.SourceDown, Reason: fmt.Sprintf("%d of the %d ingresses tell their numbers%s",
			a.Answered, a.Ingresses, colon(a.Trouble))}
	}
	return j.atEdge(*j.spec.Attempts)
}

// atEdge judges the first attempts. An ingress that does not tell its numbers is missing on both sides alike.
func (j judge) atEdge(tolerated Rate) Result {
	a := j.ev.Attempts
	c, s := attempts.of(a.Canary), attempts.of(a.Stable)
	j.share = j.ev.shareOf(c.N, s.N)
	j.ev.Stable.Listed, j.ev.Stable.Answered = 1, 1
	switch {
	case j.ev.Share < 1:
		return j.rate(tolerated, c, s, attempts.words)
	case a.Before != nil && tolerated.Max == 0:
		return j.rateSince(tolerated, c, attempts.of(a.Before), attempts.words)
	}
	return j.rateAlone(tolerated, c, attempts.words)
}
