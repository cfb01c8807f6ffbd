package board

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/weirhq/weir/deployer/analysis"
	"github.com/weirhq/weir/deployer/consul"
	"github.com/weirhq/weir/deployer/rollout"
)

// Rollout is a rollout as it is shown: without its job, and without addresses and commands that may hold secrets.
type Rollout struct {
	Brief
	Index    uint64                  `json:"index"` // grows with each change of the record
	From     string                  `json:"from"`  // the stable release at its beginning
	Strategy rollout.Strategy        `json:"strategy"`
	Plan     []rollout.Step          `json:"plan"`
	Watch    rollout.Duration        `json:"watch"`
	Weight   int                     `json:"weight"`
	Shadow   bool                    `json:"shadow,omitempty"`
	Epoch    uint64                  `json:"epoch"`
	HeldFrom rollout.Phase           `json:"held_from,omitempty"`
	Paused   bool                    `json:"paused,omitempty"`
	Manual   bool                    `json:"manual,omitempty"` // the weight was set by hand
	By       string                  `json:"by"`
	Created  time.Time               `json:"created"`
	Asked    []rollout.Request       `json:"asked"` // by operators, not yet taken up by the guardian
	Verdicts []Verdict               `json:"verdicts"`
	Hooks    []Hook                  `json:"hooks"`
	Events   []rollout.Event         `json:"events"`
	Evidence []rollout.AllocEvidence `json:"evidence,omitempty"`
}

// Verdict is the judgement of a step with the result of each metric.
type Verdict struct {
	Step     int               `json:"step"`
	Weight   int               `json:"weight"`
	Epoch    uint64            `json:"epoch"`
	Outcome  rollout.Outcome   `json:"outcome"`
	At       time.Time         `json:"at"`
	Evidence string            `json:"evidence"`
	Results  []analysis.Result `json:"results"`
}

// Hook is a hook that was run.
type Hook struct {
	Key  string    `json:"key"`
	OK   bool      `json:"ok"`
	Said string    `json:"said,omitempty"`
	At   time.Time `json:"at"`
}

// Rollout reads one rollout of a model.
func (b *Board) Rollout(ctx context.Context, model, id string) (*Rollout, error) {
	s, err := b.consul.Load(ctx, model, id)
	if err != nil {
		return nil, err
	}
	return view(s), nil
}

func view(s consul.Stored) *Rollout {
	r := s.Record
	v := &Rollout{
		Brief: *brief(r), Index: s.Index, From: r.Stable, Strategy: r.Spec.Strategy, Plan: r.Spec.Steps, Watch: r.Spec.Watch,
		Weight: r.Weight, Shadow: r.Shadow, Epoch: r.Epoch, HeldFrom: r.HeldFrom, Paused: r.Paused, Manual: r.Manual,
		By: r.By, Created: r.Created, Asked: orEmpty(r.Requests), Events: orEmpty(r.Events),
		Verdicts: []Verdict{}, Hooks: []Hook{},
	}
	for _, d := range r.Verdicts {
		v.Verdicts = append(v.Verdicts, Verdict{
			Step: d.Step, Weight: d.Weight, Epoch: d.Epoch, Outcome: d.Outcome, At: d.At, Evidence: d.Evidence,
			Results: results(d.Data),
		})
	}
	for _, h := range r.HookRuns {
		v.Hooks = append(v.Hooks, Hook{Key: h.Key, OK: h.OK, Said: strings.TrimSpace(h.Said), At: h.At})
	}
	if r.Evidence != nil {
		v.Evidence = r.Evidence.Allocs
	}
	return v
}

// results takes the metrics out of a stored judgement; none where it has none.
func results(data json.RawMessage) []analysis.Result {
	var v struct {
		Results []analysis.Result `json:"results"`
	}
	if len(data) > 0 {
		_ = json.Unmarshal(data, &v) // what can't be read is not shown; the verdict's text says the outcome
	}
	return orEmpty(v.Results)
}

// orEmpty makes JSON's [] of nil.
func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
