package consul

import (
	"context"
	"encoding/json"
	"hash/maphash"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/weirhq/weir/internal/traffic"
)

// sight is what a shared query saw of each model, as a number that changes with it.
type sight map[string]uint64

var seed = maphash.MakeSeed()

// see adds something seen of a model. The order doesn't matter.
func (s sight) see(model string, parts ...string) {
	var h maphash.Hash
	h.SetSeed(seed)
	for _, p := range parts {
		_, _ = h.WriteString(p) // never fails
		_ = h.WriteByte(0)      // likewise
	}
	s[model] += h.Sum64()
}

// differ calls wake for each model of which now shows something else than before.
func differ(before, now sight, wake func(string)) {
	for model, n := range now {
		if was, known := before[model]; !known || was != n {
			wake(model)
		}
	}
	for model := range before {
		if _, there := now[model]; !there {
			wake(model)
		}
	}
}

// Pauses between two answers of a shared query: an answer has all models in it, and they change one by one.
const (
	leastPause = 50 * time.Millisecond
	pausePer   = 50 * time.Microsecond // for each entry of the last answer
)

// share runs a query for all models, wakes those that changed, and pauses.
func share(ctx context.Context, wake func(string), look func(*api.QueryOptions) (now sight, entries int, index uint64, err error)) {
	before := sight{}
	follow(ctx, func(q *api.QueryOptions) (uint64, error) {
		now, entries, index, err := look(q)
		if err != nil {
			return 0, err
		}
		differ(before, now, wake)
		before = now
		sleep(ctx, leastPause+time.Duration(entries)*pausePer)
		return index, nil
	}, func() {})
}

// watchIngresses wakes for a model when an ingress serves something else of it, comes or goes.
func (c *Client) watchIngresses(ctx context.Context, wake func(string)) {
	share(ctx, wake, func(q *api.QueryOptions) (sight, int, uint64, error) {
		pairs, meta, err := c.api.KV().List(traffic.IngressPrefix, q)
		if err != nil {
			return nil, 0, 0, err
		}
		now, entries := sight{}, 0
		for _, p := range pairs {
			var in traffic.Ingress
			if p.Session == "" || json.Unmarshal(p.Value, &in) != nil {
				continue
			}
			for model, epoch := range in.Epoch {
				stale := ""
				if in.Stale {
					stale = "stale"
				}
				now.see(model, p.Key, epoch, stale)
			}
			entries += len(in.Epoch)
		}
		return now, entries / 10, meta.LastIndex, nil // short ones
	})
}

// watchChecks wakes for a model when a check of its instances, or of a node that has some, turns, comes or goes.
func (c *Client) watchChecks(ctx context.Context, wake func(string)) {
	const ours = `ServiceName == "" or "` + traffic.ServiceTag + `" in ServiceTags`
	share(ctx, wake, func(q *api.QueryOptions) (sight, int, uint64, error) {
		var checks []struct{ Node, CheckID, Status, ServiceID, ServiceName string }
		q.Filter = ours
		meta, err := c.api.Raw().Query("/v1/health/state/any", &checks, q)
		if err != nil {
			return nil, 0, 0, err
		}
		nodes := map[string]string{}
		for _, check := range checks {
			if check.ServiceName == "" && check.Status != api.HealthPassing {
				nodes[check.Node] += check.CheckID + check.Status
			}
		}
		now := sight{}
		for _, check := range checks {
			if check.ServiceName != "" {
				now.see(check.ServiceName, check.Node, check.CheckID, check.Status, nodes[check.Node])
			}
		}
		return now, len(checks), meta.LastIndex, nil
	})
}

// watchRequests wakes for a model when somebody leaves a request in its record.
func (c *Client) watchRequests(ctx context.Context, wake func(string)) {
	share(ctx, wake, func(q *api.QueryOptions) (sight, int, uint64, error) {
		pairs, meta, err := c.api.KV().List(traffic.AskedPrefix, q)
		if err != nil {
			return nil, 0, 0, err
		}
		now := sight{}
		for _, p := range pairs {
			now[strings.TrimPrefix(p.Key, traffic.AskedPrefix)] = p.ModifyIndex
		}
		return now, len(pairs), meta.LastIndex, nil
	})
}

// Rollouts is which rollouts there are.
type Rollouts struct {
	Newest map[string]string // model → id of its newest record
	Held   map[string]bool   // models whose lease somebody holds
}

// WatchRollouts calls seen after changes of the records and leases of all models, until the context ends; it returns the
// context's error. Several changes may come as one.
func (c *Client) WatchRollouts(ctx context.Context, seen func(Rollouts)) error {
	news := make(chan func(*Rollouts))
	tell := func(change func(*Rollouts)) {
		select {
		case news <- change:
		case <-ctx.Done():
		}
	}
	ends := make(chan struct{}, 2)
	go func() {
		defer func() { ends <- struct{}{} }()
		follow(ctx, func(q *api.QueryOptions) (uint64, error) { return c.newest(ctx, q, tell) }, func() {})
	}()
	go func() {
		defer func() { ends <- struct{}{} }()
		follow(ctx, func(q *api.QueryOptions) (uint64, error) { return c.held(ctx, q, tell) }, func() {})
	}()
	var now Rollouts
	for range cap(ends) {
		for ended := false; !ended; {
			select {
			case change := <-news:
				if change(&now); now.Newest != nil && now.Held != nil {
					seen(now)
				}
			case <-ends:
				ended = true
			}
		}
	}
	return context.Cause(ctx)
}

func (c *Client) newest(ctx context.Context, q *api.QueryOptions, tell func(func(*Rollouts))) (uint64, error) {
	keys, meta, err := c.api.KV().Keys(traffic.RolloutsPrefix, "", q)
	if err != nil {
		return 0, err
	}
	newest := map[string]string{}
	for _, key := range keys {
		model, id, ok := strings.Cut(strings.TrimPrefix(key, traffic.RolloutsPrefix), "/")
		if ok && id > newest[model] {
			newest[model] = id
		}
	}
	tell(func(r *Rollouts) { r.Newest = newest })
	sleep(ctx, leastPause+time.Duration(len(keys))*pausePer)
	return meta.LastIndex, nil
}

func (c *Client) held(ctx context.Context, q *api.QueryOptions, tell func(func(*Rollouts))) (uint64, error) {
	pairs, meta, err := c.api.KV().List(traffic.LeasePrefix, q)
	if err != nil {
		return 0, err
	}
	held := map[string]bool{}
	for _, p := range pairs {
		if p.Session != "" {
			held[strings.TrimPrefix(p.Key, traffic.LeasePrefix)] = true
		}
	}
	tell(func(r *Rollouts) { r.Held = held })
	sleep(ctx, leastPause+time.Duration(len(pairs))*pausePer)
	return meta.LastIndex, nil
}
