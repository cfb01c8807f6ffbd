package consul

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/consul/api"

	"github.com/weirhq/weir/internal/traffic"
)

// ErrNoRecord says that there is no rollout of an id.
var ErrNoRecord = errors.New("there is none")

// Health counts the instances of a model that Consul has checks for.
type Health struct {
	Passing int `json:"passing"`
	All     int `json:"all"`
}

// WatchTraffic calls seen with the traffic keys of all models, at first and after each change, until the context ends.
// A key that can't be read is left out. It blocks; while seen does, no further change is asked for.
func (c *Client) WatchTraffic(ctx context.Context, seen func(map[string]Keys)) {
	follow(ctx, func(q *api.QueryOptions) (uint64, error) {
		pairs, meta, err := c.api.KV().List(traffic.TrafficPrefix, q)
		if err != nil {
			return 0, err
		}
		if meta.LastIndex != q.WaitIndex {
			seen(keysOf(pairs))
		}
		return meta.LastIndex, nil
	}, func() {})
}

func keysOf(pairs api.KVPairs) map[string]Keys {
	out := map[string]Keys{}
	for _, p := range pairs {
		model, kind, _ := strings.Cut(strings.TrimPrefix(p.Key, traffic.TrafficPrefix), "/")
		k := out[model]
		switch kind {
		case "stable":
			if stable := new(traffic.Stable); json.Unmarshal(p.Value, stable) == nil {
				k.Stable, k.StableIndex = stable, p.ModifyIndex
			}
		case "canary":
			if canary := new(traffic.Canary); json.Unmarshal(p.Value, canary) == nil {
				k.Canary, k.CanaryOwner, k.CanaryIndex = canary, p.Session, p.ModifyIndex
			}
		}
		out[model] = k
	}
	return out
}

// WatchHealth calls seen with the health of all models, at first and after each change, until the context ends. It
// blocks as WatchTraffic does.
func (c *Client) WatchHealth(ctx context.Context, seen func(map[string]Health)) {
	follow(ctx, func(q *api.QueryOptions) (uint64, error) {
		q.Filter = fmt.Sprintf("%q in ServiceTags", traffic.ServiceTag)
		checks, meta, err := c.api.Health().State(api.HealthAny, q)
		if err != nil {
			return 0, err
		}
		if meta.LastIndex != q.WaitIndex {
			seen(healthOf(checks))
		}
		return meta.LastIndex, nil
	}, func() {})
}

func healthOf(checks api.HealthChecks) map[string]Health {
	type instance struct{ node, id string }
	failing, model := map[instance]bool{}, map[instance]string{}
	for _, check := range checks {
		in := instance{check.Node, check.ServiceID}
		model[in] = check.ServiceName
		failing[in] = failing[in] || check.Status != api.HealthPassing
	}
	out := map[string]Health{}
	for in, name := range model {
		h := out[name]
		h.All++
		if !failing[in] {
			h.Passing++
		}
		out[name] = h
	}
	return out
}

// WatchIngresses calls seen with what the ingresses serve, at first and after each change, until the context ends. It
// blocks as WatchTraffic does.
func (c *Client) WatchIngresses(ctx context.Context, seen func()) {
	follow(ctx, func(q *api.QueryOptions) (uint64, error) {
		_, meta, err := c.api.KV().List(traffic.IngressPrefix, q)
		return indexOf(meta), err
	}, seen)
}

// WatchRecords calls seen with the newest record of each model, at first and after each change of any, until the context
// ends. Only those that may have changed are read again. It blocks as WatchTraffic does.
func (c *Client) WatchRecords(ctx context.Context, seen func(map[string]Stored)) {
	known := map[string]Stored{}
	follow(ctx, func(q *api.QueryOptions) (uint64, error) {
		keys, meta, err := c.api.KV().Keys(traffic.RolloutsPrefix, "", q)
		if err != nil {
			return 0, err
		}
		if meta.LastIndex == q.WaitIndex {
			return meta.LastIndex, nil
		}
		if err := c.readNewest(ctx, known, keys); err != nil {
			return 0, err
		}
		seen(maps.Clone(known))
		return meta.LastIndex, nil
	}, func() {})
}

// readNewest brings the newest records up to date: ended ones stay as they are.
func (c *Client) readNewest(ctx context.Context, known map[string]Stored, keys []string) error {
	newest := map[string]string{}
	for _, key := range keys {
		model, id, ok := strings.Cut(strings.TrimPrefix(key, traffic.RolloutsPrefix), "/")
		if ok && id > newest[model] {
			newest[model] = id
		}
	}
	maps.DeleteFunc(known, func(model string, _ Stored) bool { return newest[model] == "" })
	var stale []string
	for model, id := range newest {
		if s, ok := known[model]; !ok || s.ID != id || !s.Phase.Terminal() {
			stale = append(stale, traffic.RolloutKey(model, id))
		}
	}
	return c.loadAll(ctx, stale, func(s Stored) { known[s.Model] = s })
}

// Past returns the records of a model, newest first, without their jobs. Ended ones that are known are not read again;
// known is brought up to date.
func (c *Client) Past(ctx context.Context, model string, known map[string]Stored) ([]Stored, error) {
	keys, _, err := c.api.KV().Keys(traffic.RolloutsPrefix+model+"/", "", consistent(ctx))
	if err != nil {
		return nil, fmt.Errorf("list the rollouts of %s: %w", model, err)
	}
	there := map[string]bool{}
	var stale []string
	for _, key := range keys {
		id := key[strings.LastIndexByte(key, '/')+1:]
		there[id] = true
		if s, ok := known[id]; !ok || !s.Phase.Terminal() {
			stale = append(stale, key)
		}
	}
	maps.DeleteFunc(known, func(id string, _ Stored) bool { return !there[id] })
	if err := c.loadAll(ctx, stale, func(s Stored) { known[s.ID] = s }); err != nil {
		return nil, err
	}
	newestFirst := func(a, b Stored) int { return strings.Compare(b.ID, a.ID) }
	return slices.SortedFunc(maps.Values(known), newestFirst), nil
}

// inOneTxn is how many operations Consul takes in one transaction.
const inOneTxn = 64

// loadAll reads records, many at once. One that can't be decoded is left out.
func (c *Client) loadAll(ctx context.Context, keys []string, seen func(Stored)) error {
	for some := range slices.Chunk(keys, inOneTxn) {
		ops := make(api.TxnOps, 0, len(some))
		for _, key := range some {
			ops = append(ops, &api.TxnOp{KV: &api.KVTxnOp{Verb: api.KVGetOrEmpty, Key: key}})
		}
		results, err := c.txn(ctx, ops)
		if err != nil {
			return fmt.Errorf("load records: %w", err)
		}
		for _, r := range results {
			if r.KV == nil || len(r.KV.Value) == 0 {
				continue // deleted since
			}
			if s, err := decode(r.KV); err == nil {
				s.Job = nil // long, and nothing that is shown
				seen(s)
			}
		}
	}
	return nil
}

// Check is one health check of an instance.
type Check struct {
	Name   string `json:"name"`
	Status string `json:"status"` // passing, warning, critical
	Output string `json:"output,omitempty"`
}

// Checked is an instance with each of its checks.
type Checked struct {
	Instance
	Checks []Check
}

// Checked returns all registered instances of a model with their checks, those of the node among them.
func (c *Client) Checked(ctx context.Context, model string) ([]Checked, error) {
	entries, _, err := c.api.Health().Service(model, traffic.ServiceTag, false, consistent(ctx))
	if err != nil {
		return nil, fmt.Errorf("read the health of %s: %w", model, err)
	}
	out := make([]Checked, 0, len(entries))
	for _, e := range entries {
		in := Checked{Instance: instance(e)}
		for _, check := range e.Checks {
			in.Checks = append(in.Checks, Check{check.Name, check.Status, strings.TrimSpace(check.Output)})
		}
		out = append(out, in)
	}
	return out, nil
}
