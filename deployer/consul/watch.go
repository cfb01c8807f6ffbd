package consul

import (
	"context"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/weirhq/weir/internal/traffic"
)

// Watch calls wake after every change that a guardian of the model may care about, until the context ends: a request
// in its record, its traffic keys, its instances' health, and what the ingresses serve. It blocks.
//
// The first few models of a client have queries of their own. The others share some, with which a change of the traffic
// keys shows when an ingress serves it.
func (c *Client) Watch(ctx context.Context, model string, wake func()) {
	own := c.hub.join(model, wake) //nolint:contextcheck // what is shared outlives the one who began it
	defer c.hub.leave(model, own)
	if !own.alone {
		<-ctx.Done()
		return
	}
	kv := func(prefix string) func(*api.QueryOptions) (uint64, error) {
		return func(q *api.QueryOptions) (uint64, error) {
			_, meta, err := c.api.KV().List(prefix, q)
			return indexOf(meta), err
		}
	}
	watches := []func(*api.QueryOptions) (uint64, error){
		kv(traffic.TrafficPrefix + model + "/"), kv(traffic.RolloutsPrefix + model + "/"),
		func(q *api.QueryOptions) (uint64, error) {
			_, meta, err := c.api.Health().Service(model, "", false, q)
			return indexOf(meta), err
		},
	}
	done := make(chan struct{}, len(watches))
	for _, w := range watches {
		go func() {
			follow(ctx, w, wake)
			done <- struct{}{}
		}()
	}
	for range watches {
		<-done
	}
}

// Watched is how many guardians watch at present.
func (c *Client) Watched() int { return c.hub.size() }

// WatchAll calls wake after every change of a record, a traffic key, an ingress or a lease of any model, until the
// context ends. It blocks.
func (c *Client) WatchAll(ctx context.Context, wake func()) {
	follow(ctx, func(q *api.QueryOptions) (uint64, error) {
		_, meta, err := c.api.KV().Keys(traffic.Root, "", q)
		return indexOf(meta), err
	}, wake)
}

func indexOf(meta *api.QueryMeta) uint64 {
	if meta == nil {
		return 0
	}
	return meta.LastIndex
}

// maxWait is how long a blocking query waits for a change; one whose connection died without a sign ends a little later.
const maxWait = time.Minute

// follow runs one blocking query again and again. After an error it waits a little: Consul is away.
func follow(ctx context.Context, query func(*api.QueryOptions) (uint64, error), wake func()) {
	const pause = 500 * time.Millisecond
	var index uint64
	for ctx.Err() == nil {
		got, err := ask(ctx, index, query)
		if err != nil {
			sleep(ctx, pause)
			index = 0
			continue
		}
		if got != index {
			wake()
		}
		if got < index {
			got = 0 // Consul's index went back: it was restored
		}
		index = got
	}
}

// ask asks once, for what came after an index.
func ask(ctx context.Context, index uint64, query func(*api.QueryOptions) (uint64, error)) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, maxWait+maxWait/16+10*time.Second) // Consul adds a sixteenth
	defer cancel()
	return query((&api.QueryOptions{WaitIndex: index, WaitTime: maxWait}).WithContext(ctx))
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// FollowRecord sends every new state of a record, beginning with what came after the given one, until the context
// ends. It blocks.
func (c *Client) FollowRecord(ctx context.Context, s Stored, out chan<- Stored) {
	key := traffic.RolloutKey(s.Model, s.ID)
	last := s.Index
	follow(ctx, func(q *api.QueryOptions) (uint64, error) {
		pair, meta, err := c.api.KV().Get(key, q)
		if err != nil || pair == nil || pair.ModifyIndex == last {
			return indexOf(meta), err
		}
		fresh, err := decode(pair)
		if err != nil {
			return 0, err
		}
		last = fresh.Index
		select {
		case out <- fresh:
		case <-ctx.Done():
		}
		return meta.LastIndex, nil
	}, func() {})
}
