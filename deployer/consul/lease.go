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
	session string
	cancel  context.CancelFunc
	lost    chan struct{}
	stopped sync.WaitGroup

	mu        sync.Mutex
	confirmed time.Time
}

// Acquire takes the lease of a model for who, or returns ErrHeld with the holder's name.
func (c *Client) Acquire(ctx context.Context, model, who string) (*Lease, error) {
	began := time.Now()
	id, _, err := c.api.Session().CreateNoChecks(&api.SessionEntry{
		Name: "weir guardian of " + model, TTL: TTL.String(), LockDelay: LockDelay, Behavior: api.SessionBehaviorDelete,
	}, (&api.WriteOptions{}).WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("open a Consul session: %w", err)
	}
	ok, _, err := c.api.KV().Acquire(&api.KVPair{
		Key: traffic.LeaseKey(model), Value: []byte(who), Session: id,
	}, (&api.WriteOptions{}).WithContext(ctx))
	if err != nil || !ok {
		c.destroy(ctx, id)
		if err == nil {
			err = fmt.Errorf("%w: %s", ErrHeld, c.Holder(ctx, model))
		}
		return nil, fmt.Errorf("take the lease of %s: %w", model, err)
	}
	renewing, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l := &Lease{c: c, model: model, session: id, cancel: cancel, lost: make(chan struct{}), confirmed: began}
	l.stopped.Go(func() { l.renew(renewing) })
	return l, nil
}

func (c *Client) destroy(ctx context.Context, session string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	// An error leaves the session to its TTL.
	_, _ = c.api.Session().Destroy(session, (&api.WriteOptions{}).WithContext(ctx))
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

// renew keeps the session alive until the lease is released or can't be confirmed for a TTL.
func (l *Lease) renew(ctx context.Context) {
	defer close(l.lost)
	tick := time.NewTicker(TTL / 4)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		began := time.Now()
		callCtx, cancel := context.WithDeadline(ctx, l.Confirmed().Add(TTL))
		entry, _, err := l.c.api.Session().Renew(l.session, (&api.WriteOptions{}).WithContext(callCtx))
		cancel()
		switch {
		case err == nil && entry != nil:
			l.mu.Lock()
			l.confirmed = began
			l.mu.Unlock()
		case err == nil || !time.Now().Before(l.Confirmed().Add(TTL)):
			return // the session is gone, or may be
		}
	}
}

// Lost is closed when the lease is no longer held for sure.
func (l *Lease) Lost() <-chan struct{} { return l.lost }

// Confirmed is the last moment at which the lease was held for sure.
func (l *Lease) Confirmed() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.confirmed
}

// Valid says whether an act may still be begun: within one TTL of the last confirmed renewal.
func (l *Lease) Valid() bool {
	select {
	case <-l.lost:
		return false
	default:
		return time.Since(l.Confirmed()) < TTL
	}
}

// Session is the Consul session behind the lease.
func (l *Lease) Session() string { return l.session }

// Release gives the lease up. The canary key goes with it, at once.
func (l *Lease) Release(ctx context.Context) {
	l.cancel()
	l.stopped.Wait()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	// Gone before the session ends, neither key has a lock-delay: the next guardian need not wait. An error leaves the
	// keys to the end of the session.
	_, _ = l.c.txn(ctx, api.TxnOps{
		{KV: &api.KVTxnOp{Verb: api.KVCheckSession, Key: traffic.CanaryKey(l.model), Session: l.session}},
		{KV: &api.KVTxnOp{Verb: api.KVDelete, Key: traffic.CanaryKey(l.model)}},
	})
	_, _, _ = l.c.api.KV().Release(&api.KVPair{Key: traffic.LeaseKey(l.model), Session: l.session},
		(&api.WriteOptions{}).WithContext(ctx))
	l.c.destroy(ctx, l.session)
}

// held is the part of every transaction that fails it where the lease is lost.
func (l *Lease) held() *api.TxnOp {
	return &api.TxnOp{KV: &api.KVTxnOp{
		Verb: api.KVCheckSession, Key: traffic.LeaseKey(l.model), Session: l.session,
	}}
}

// SetCanary writes the canary key, owned by the lease's session.
func (l *Lease) SetCanary(ctx context.Context, canary traffic.Canary) error {
	value, err := json.Marshal(canary)
	if err != nil {
		return fmt.Errorf("write the canary of %s: %w", l.model, err)
	}
	_, err = l.c.txn(ctx, api.TxnOps{l.held(), {KV: &api.KVTxnOp{
		Verb: api.KVLock, Key: traffic.CanaryKey(l.model), Value: value, Session: l.session,
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
