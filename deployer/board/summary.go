package board

import (
	"maps"
	"time"

	"github.com/weirhq/weir/deployer/consul"
	"github.com/weirhq/weir/deployer/rollout"
)

// Summary is a model in the list of all.
type Summary struct {
	Model   string        `json:"model"`
	Stable  string        `json:"stable"` // release that owns the traffic; "" where nothing is recorded
	Canary  string        `json:"canary,omitempty"`
	Weight  int           `json:"weight"` // percent of the requests that the canary is to get
	Shadow  int           `json:"shadow,omitempty"`
	Health  consul.Health `json:"health"`
	Rollout *Brief        `json:"rollout,omitempty"` // the newest, under way or over
}

// Brief is a rollout in a line.
type Brief struct {
	ID       string        `json:"id"`
	Release  string        `json:"release"`
	Phase    rollout.Phase `json:"phase"`
	Active   bool          `json:"active"`
	Step     int           `json:"step"` // from 0
	Steps    int           `json:"steps"`
	Reason   string        `json:"reason,omitempty"`
	Since    time.Time     `json:"since"`
	Deadline *time.Time    `json:"deadline,omitempty"`
}

// equal compares what is shown.
func (s Summary) equal(o Summary) bool {
	a, b := s.Rollout, o.Rollout
	s.Rollout, o.Rollout = nil, nil
	if s != o || (a == nil) != (b == nil) {
		return false
	}
	return a == nil || a.equal(*b)
}

func (b Brief) equal(o Brief) bool {
	if !b.Since.Equal(o.Since) || (b.Deadline == nil) != (o.Deadline == nil) {
		return false
	}
	if b.Deadline != nil && !b.Deadline.Equal(*o.Deadline) {
		return false
	}
	b.Since, b.Deadline, o.Since, o.Deadline = time.Time{}, nil, time.Time{}, nil
	return b == o
}

// overview is what the watches have seen.
type overview struct {
	traffic map[string]consul.Keys
	health  map[string]consul.Health
	records map[string]consul.Stored
}

// summaries puts together what is known of each model.
func (o overview) summaries() map[string]Summary {
	names := map[string]bool{}
	for name := range maps.Keys(o.traffic) {
		names[name] = true
	}
	for name := range maps.Keys(o.health) {
		names[name] = true
	}
	for name := range maps.Keys(o.records) {
		names[name] = true
	}
	out := make(map[string]Summary, len(names))
	for name := range names {
		out[name] = o.summary(name)
	}
	return out
}

func (o overview) summary(model string) Summary {
	s := Summary{Model: model, Health: o.health[model]}
	keys := o.traffic[model]
	if keys.Stable != nil {
		s.Stable = keys.Stable.Release
	}
	if keys.Canary != nil {
		s.Canary, s.Weight, s.Shadow = keys.Canary.Release, keys.Canary.Weight, keys.Canary.Shadow
	}
	if rec, ok := o.records[model]; ok {
		s.Rollout = brief(rec.Record)
	}
	return s
}

func brief(r rollout.Record) *Brief {
	b := &Brief{
		ID: r.ID, Release: r.Release, Phase: r.Phase, Active: !r.Phase.Terminal(), Step: r.Step,
		Steps: len(r.Spec.Steps), Reason: r.Reason, Since: r.Since,
	}
	if !r.Deadline.IsZero() {
		b.Deadline = &r.Deadline
	}
	return b
}
