package consul

import (
	"context"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/weirhq/weir/internal/traffic"
)

// Watch calls wake after every change that a guardian of the model may care about, until the context ends: its
// record, its traffic keys, its instances' health, and what the ingresses serve. It blocks.
func (c *Client) Watch(ctx context.Context, model string, wake func()) {
	kv := func(prefix string) func(*api.QueryOptions) (uint64, error) {
		return func(q *api.QueryOptions) (uint64, error) {
			_, meta, err := c.api.KV().List(prefix, q)
			return indexOf(meta), err
		}
	}
	watches := []func(*api.QueryOptions) (uint64, error){
		kv(traffic.TrafficPrefix + model + "/"), kv(traffic.IngressPrefix), kv(traffic.RolloutsPrefix + model + "/"),
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

// follow runs one blocking query again and again. After an error it waits a little: Consul is away.
func follow(ctx context.Context, query func(*api.QueryOptions) (uint64, error), wake func()) {
	const pause = 500 * time.Millisecond
	var index uint64
	for ctx.Err() == nil {
		q := (&api.QueryOptions{WaitIndex: index, WaitTime: 5 * time.Minute}).WithContext(ctx)
		got, err := query(q)
		if err != nil {
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
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

// WatchModels calls seen with the names of all models after each change of a rollout's record, and again a little
// later where seen returns an error, until the context ends; it returns the context's error.
func (c *Client) WatchModels(ctx context.Context, seen func([]string) error) error {
	follow(ctx, func(q *api.QueryOptions) (uint64, error) {
		_, meta, err := c.api.KV().Keys(traffic.RolloutsPrefix, "", q)
		if err != nil {
			return 0, err
		}
		models, err := c.Models(ctx)
		if err != nil {
			return 0, err
		}
		return indexOf(meta), seen(models)
	}, func() {})
	return context.Cause(ctx)
}
