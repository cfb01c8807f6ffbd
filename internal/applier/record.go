package applier

import (
	"cmp"
	"fmt"
	"time"

	"github.com/weirhq/weir/internal/traffic"
)

// record judges the two keys of one model.
type record struct {
	model string
	was   knownModel
	pr    *proof
	at    time.Time // when the keys were staged

	problems  []problem
	wantProof bool
}

func (r *record) problem(format string, args ...any) {
	r.problems = append(r.problems, problem{r.model, fmt.Sprintf(format, args...)})
}

// judge returns what is known of the model after its keys read so.
func (r *record) judge(stableKey, canaryKey *key) knownModel {
	m := r.was
	if canaryKey != nil && r.proved(traffic.CanaryKey(r.model), canaryKey) {
		canaryKey = nil // consul-template has not seen its end yet
	}
	if canaryKey == nil {
		m.Canary = nil // at once, and whatever else is wrong: the dead-man's switch
	}
	stable, stableErr := parseStable(stableKey)
	canary, canaryErr := parseCanary(canaryKey)
	for _, err := range []error{stableErr, canaryErr} {
		if err != nil {
			r.problem("%v; the model stays as it was", err)
		}
	}
	if stableErr != nil || canaryErr != nil {
		return m
	}
	if m.backward(stableKey, stable) {
		if !r.confirmed(traffic.StableKey(r.model), stableKey) {
			r.wantProof = true
			return m
		}
		m.Canary, m.Seen = nil, 0 // Consul's data were lost or restored: epochs start anew
	}
	if m.Stable != nil && stable == nil {
		m.Pool = m.Last[m.Stable.Release] // what served goes on serving until others pass
	}
	m.Stable, m.Made, m.Index = stable, 0, 0
	if stableKey != nil {
		m.Made, m.Index = stableKey.CreateIndex, stableKey.ModifyIndex
	}
	r.acceptCanary(&m, canary)
	if m.Stable != nil {
		m.Seen = max(m.Seen, m.Stable.Epoch)
	}
	return m
}

// acceptCanary applies a canary key whose epoch is above the highest seen, or which is the one that is applied.
func (r *record) acceptCanary(m *knownModel, canary *traffic.Canary) {
	switch {
	case canary == nil || m.Canary != nil && *m.Canary == *canary:
		return
	case m.Stable == nil:
		m.Canary = nil
		r.problem("the canary key is refused: there is no stable key beside it")
	case canary.Epoch <= m.Seen:
		r.problem("the canary key is refused: its epoch %d is not above the highest seen, %d", canary.Epoch, m.Seen)
	default:
		m.Canary, m.Seen = canary, canary.Epoch
	}
}

// backward reports whether a stable key has gone, is older than what was seen, or is another one: what a valid but empty
// answer after an election looks like, or an answer of a leader that is none any more, or a Consul that has lost its data.
func (m knownModel) backward(k *key, is *traffic.Stable) bool {
	switch {
	case m.Stable == nil:
		return false
	case is == nil:
		return true
	default:
		return is.Epoch < m.Stable.Epoch || k.ModifyIndex < m.Index || k.CreateIndex != m.Made
	}
}

// proved reports whether a proof shows that a staged key has been deleted since it was written.
func (r *record) proved(name string, k *key) bool {
	if r.pr == nil {
		return false
	}
	_, there := r.pr.Keys[name]
	return !there && r.pr.Index >= k.ModifyIndex
}

// confirmed reports whether a proof that began after the keys were staged shows this key in the same state.
func (r *record) confirmed(name string, k *key) bool {
	if r.pr == nil || !r.pr.Began.After(r.at) {
		return false
	}
	index, there := r.pr.Keys[name]
	return k == nil && !there || k != nil && there && index == k.ModifyIndex
}

func compareProblems(a, b problem) int {
	return cmp.Or(cmp.Compare(a.Model, b.Model), cmp.Compare(a.Text, b.Text))
}
