package consul

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/weirhq/weir/internal/traffic"
)

// Times of a lease. Consul's shortest TTL is 10 s, and it may let a session live for twice that.
const (
	TTL       = 10 * time.Second
	LockDelay = 5 * time.Second
)

// ErrHeld says that another guardian holds the lease.
var ErrHeld = errors.New("another guardian holds the lease")

// Lease is the right to drive the rollouts of a model. It ends with its session: then the canary key goes too.
type Lease struct {
	c       *Client
	model   string
	session *session

	mu       sync.Mutex
	released bool
}

// Acquire takes the lease of a model for who, or returns ErrHeld with the holder's name.
func (c *Client) Acquire(ctx context.Context, model, who string) (*Lease, error) {
	if !c.sessions.reserve(ctx, model) {
		return nil, fmt.Errorf("take the lease of %s: %w: %s", model, ErrHeld, c.Holder(ctx, model))
	}
	for {
		s, err := c.session(ctx, who)
		if err != nil {
			c.sessions.unreserve(model, nil)
			return nil, err
		}
		ok, _, err := c.api.KV().Acquire(&api.KVPair{
			Key: traffic.LeaseKey(model), Value: []byte(who), Session: s.id,
		}, (&api.WriteOptions{}).WithContext(ctx))
		if ok {
			c.sessions.reserved(model, s)
			return &Lease{c: c, model: model, session: s}, nil
		}
		ended := err != nil && s.ended(ctx)
		s.leave(ctx)
		if ended {
			continue // with another one
		}
		c.sessions.unreserve(model, nil)
		if err == nil {
			err = fmt.Errorf("%w: %s", ErrHeld, c.Holder(ctx, model))
		}
		return nil, fmt.Errorf("take the lease of %s: %w", model, err)
	}
}

// Holder says who holds the lease of a model; "" for nobody.
func (c *Client) Holder(ctx context.Context, model string) string {
	pair, _, err := c.api.KV().Get(traffic.LeaseKey(model), consistent(ctx))
	if err != nil || pair == nil || pair.Session == "" {
		return ""
	}
	return string(pair.Value)
}

// AwaitFree returns when nobody holds the lease of a model, or with the context's error. The lock-delay after a
// holder's death may still be running then.
func (c *Client) AwaitFree(ctx context.Context, model string) error {
	q := consistent(ctx)
	for {
		pair, meta, err := c.api.KV().Get(traffic.LeaseKey(model), q)
		if err != nil {
			return fmt.Errorf("wait for the lease of %s: %w", model, err)
		}
		if pair == nil || pair.Session == "" {
			return nil
		}
		if meta.LastIndex < q.WaitIndex {
			meta.LastIndex = 0 // Consul's index went back: it was restored
		}
		q.WaitIndex = meta.LastIndex
	}
}

// Lost is closed when the lease is no longer held for sure.
func (l *Lease) Lost() <-chan struct{} { return l.session.lost }

// Confirmed is the last moment at which the lease was held for sure.
func (l *Lease) Confirmed() time.Time { return l.session.Confirmed() }

// Valid says whether an act may still be begun: within one TTL of the last confirmed renewal.
func (l *Lease) Valid() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.released && !l.session.isLost() && time.Since(l.Confirmed()) < TTL
}

// Session is the Consul session behind the lease.
func (l *Lease) Session() string { return l.session.id }

// Release gives the lease up. The canary key goes with it, at once.
func (l *Lease) Release(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.released {
		return
	}
	l.released = true
	l.session.giveUp(ctx, l.model)
	l.session.leave(ctx)
}

// held is the part of every transaction that fails it where the lease is lost.
func (l *Lease) held() *api.TxnOp {
	return &api.TxnOp{KV: &api.KVTxnOp{
		Verb: api.KVCheckSession, Key: traffic.LeaseKey(l.model), Session: l.session.id,
	}}
}

// SetCanary writes the canary key, owned by the lease's session.
func (l *Lease) SetCanary(ctx context.Context, canary traffic.Canary) error {
	value, err := json.Marshal(canary)
	if err != nil {
		return fmt.Errorf("write the canary of %s: %w", l.model, err)
	}
	_, err = l.c.txn(ctx, api.TxnOps{l.held(), {KV: &api.KVTxnOp{
		Verb: api.KVLock, Key: traffic.CanaryKey(l.model), Value: value, Session: l.session.id,
	}}})
	if err != nil {
		return fmt.Errorf("write the canary of %s: %w", l.model, err)
	}
	return nil
}

// SetStable writes the stable key and deletes the canary key, in one transaction. It fails with ErrConflict if the
// stable key is no longer the one with the index.
func (l *Lease) SetStable(ctx context.Context, stable traffic.Stable, index uint64) error {
	value, err := json.Marshal(stable)
	if err != nil {
		return fmt.Errorf("write the stable of %s: %w", l.model, err)
	}
	_, err = l.c.txn(ctx, api.TxnOps{
		l.held(),
		{KV: &api.KVTxnOp{Verb: api.KVCAS, Key: traffic.StableKey(l.model), Value: value, Index: index}},
		{KV: &api.KVTxnOp{Verb: api.KVDelete, Key: traffic.CanaryKey(l.model)}},
	})
	if err != nil {
		return fmt.Errorf("write the stable of %s: %w", l.model, err)
	}
	return nil
}
