package applier

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/weirhq/weir/internal/traffic"
	"github.com/weirhq/weir/nginx"
)

// known is what the ingress remembers: the last known good of each model. It survives restarts in state.json.
type known struct {
	Models map[string]knownModel `json:"models"`
}

// knownModel is the last known good of one model.
type knownModel struct {
	Stable *traffic.Stable             `json:"stable,omitempty"`
	Canary *traffic.Canary             `json:"canary,omitempty"`
	Seen   uint64                      `json:"seen,omitempty"`   // highest epoch seen
	Made   uint64                      `json:"made,omitempty"`   // CreateIndex of the stable key
	Index  uint64                      `json:"index,omitempty"`  // ModifyIndex of the stable key
	Last   map[string][]nginx.Instance `json:"last,omitempty"`   // by recorded release: the instances that passed last
	Pool   []nginx.Instance            `json:"pool,omitempty"`   // without a record: the instances that passed last
	GoneAt time.Time                   `json:"gone_at,omitzero"` // since when there is neither a record nor an instance
}

// proof is a read of all traffic keys that the ingress did itself, from the leader.
type proof struct {
	Keys  map[string]uint64 // name → ModifyIndex
	Index uint64            // Consul's index at the read
	Began time.Time         // before the read
}

// merged is what follows from what is staged, what was known and what is proved.
type merged struct {
	Known     known
	Problems  []problem
	WantProof bool // something is held back until a newer proof confirms it
}

// merge judges what is staged against what was known. It is pure. What is wrong for one model leaves that model at its
// last known good and does not touch the others; only the absence of a canary key applies whatever else is wrong.
func merge(was known, in staged, pr *proof, forgetAfter time.Duration, now time.Time) merged {
	out := merged{Known: known{Models: map[string]knownModel{}}, Problems: slices.Clone(in.Problems)}
	keys := map[string]map[string]key{}
	for name, k := range in.Keys {
		model, which, ok := splitKey(name)
		if !ok {
			out.Problems = append(out.Problems, problem{"", fmt.Sprintf("key %.200q is left out: not a traffic key", name)})
			continue
		}
		if keys[model] == nil {
			keys[model] = map[string]key{}
		}
		keys[model][which] = k
	}
	passing := byModel(in.Instances)
	for model := range names(was.Models, keys, passing) {
		m := was.Models[model]
		if in.Keys != nil {
			r := record{model: model, was: m, pr: pr, at: in.KeysAt}
			m = r.judge(lookup(keys[model], "stable"), lookup(keys[model], "canary"))
			out.Problems = append(out.Problems, r.problems...)
			out.WantProof = out.WantProof || r.wantProof
		}
		if in.Instances != nil {
			m = m.remember(passing[model])
		}
		if in.Keys != nil && in.Instances != nil {
			m.GoneAt = goneAt(m, now, m.Stable != nil || len(keys[model]) > 0 || len(passing[model]) > 0)
		}
		if !m.GoneAt.IsZero() && now.Sub(m.GoneAt) > forgetAfter {
			continue
		}
		out.Known.Models[model] = m
	}
	slices.SortFunc(out.Problems, compareProblems)
	return out
}

func goneAt(m knownModel, now time.Time, there bool) time.Time {
	switch {
	case there:
		return time.Time{}
	case m.GoneAt.IsZero():
		return now
	default:
		return m.GoneAt
	}
}

func names(was map[string]knownModel, keys map[string]map[string]key, passing map[string][]instance) map[string]bool {
	all := map[string]bool{}
	for name := range was {
		all[name] = true
	}
	for name := range keys {
		all[name] = true
	}
	for name := range passing {
		all[name] = true
	}
	return all
}

func lookup(keys map[string]key, which string) *key {
	if k, ok := keys[which]; ok {
		return &k
	}
	return nil
}

func byModel(instances []instance) map[string][]instance {
	out := map[string][]instance{}
	for _, in := range instances {
		out[in.Model] = append(out[in.Model], in)
	}
	return out
}

// remember renews the last known good instances: those of recorded releases, or of all where nothing is recorded. A
// release none of whose instances pass keeps what it had; one that is no longer recorded is dropped.
func (m knownModel) remember(passing []instance) knownModel {
	if m.Stable == nil {
		m.Last = nil
		if pool := pick(passing, func(in instance) bool { return !in.Canary }); len(pool) > 0 {
			m.Pool = pool
		}
		return m
	}
	m.Pool = nil
	last := map[string][]nginx.Instance{}
	for _, release := range m.recorded() {
		now := pick(passing, func(in instance) bool { return in.Release == release })
		if len(now) == 0 {
			now = m.Last[release]
		}
		if len(now) > 0 {
			last[release] = now
		}
	}
	m.Last = last
	return m
}

func (m knownModel) recorded() []string {
	var out []string
	if m.Stable != nil && m.Stable.Release != traffic.NoRelease {
		out = append(out, m.Stable.Release)
	}
	if m.Canary != nil {
		out = append(out, m.Canary.Release)
	}
	return out
}

// pick returns the wanted instances in the order of their addresses, each address once.
func pick(instances []instance, want func(instance) bool) []nginx.Instance {
	found := map[string]nginx.Instance{}
	for _, in := range instances {
		if want(in) {
			found[in.Addr.String()] = in.Instance
		}
	}
	return slices.SortedFunc(maps.Values(found), func(a, b nginx.Instance) int { return a.Addr.Compare(b.Addr) })
}
