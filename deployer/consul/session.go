package consul

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/weirhq/weir/internal/traffic"
)

// perSession is how many leases share a session: its renewals are the cost of a lease, and its end ends them all.
const perSession = 64

// sessions are the Consul sessions of a client.
type sessions struct {
	mu   sync.Mutex
	open []*session
	// held are the models whose lease this client holds, with its session, or is taking, with nil: Consul would grant a
	// session its own key again.
	held map[string]*session
}

// session is a Consul session that some leases share. It ends with the last of them.
type session struct {
	c       *Client
	id      string
	cancel  context.CancelFunc
	lost    chan struct{}
	stopped sync.WaitGroup
	leases  int // guarded by sessions.mu

	mu        sync.Mutex
	confirmed time.Time
	left      map[string]bool // models whose lease could not be given up yet
}

// reserve makes sure that this client takes the lease of a model once. A lease whose session has ended is no more.
func (s *sessions) reserve(ctx context.Context, model string) bool {
	s.mu.Lock()
	holder, held := s.held[model]
	s.mu.Unlock()
	if held && (holder == nil || !holder.ended(ctx)) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now, taken := s.held[model]; taken && now != holder {
		return false
	}
	s.held[model] = nil
	return true
}

// reserved notes whose session holds the lease.
func (s *sessions) reserved(model string, holder *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held[model] = holder
}

// unreserve lets the model's lease be taken again, where it is still that holder's.
func (s *sessions) unreserve(model string, holder *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[model] == holder {
		delete(s.held, model)
	}
}

// session returns a session with room for one lease more. Those who need a new one wait for it together.
func (c *Client) session(ctx context.Context, who string) (*session, error) {
	c.sessions.mu.Lock()
	defer c.sessions.mu.Unlock()
	for _, s := range c.sessions.open {
		if s.leases < perSession && !s.isLost() {
			s.leases++
			return s, nil
		}
	}
	ctx, cancelOpen := context.WithTimeout(ctx, TTL/2)
	defer cancelOpen()
	node, err := c.anchor(ctx)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	id, _, err := c.api.Session().CreateNoChecks(&api.SessionEntry{
		Node: node, Name: "weir guardian " + who, TTL: TTL.String(), LockDelay: LockDelay, Behavior: api.SessionBehaviorDelete,
	}, (&api.WriteOptions{}).WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("open a Consul session: %w", err)
	}
	renewing, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := &session{
		c: c, id: id, cancel: cancel, lost: make(chan struct{}), leases: 1, confirmed: began, left: map[string]bool{},
	}
	s.stopped.Go(func() { s.renew(renewing) })
	c.sessions.open = append(c.sessions.open, s)
	return s, nil
}

// leave gives up a lease's part of the session, and the session with the last one.
func (s *session) leave(ctx context.Context) {
	s.c.sessions.mu.Lock()
	s.leases--
	last := s.leases == 0
	if last {
		s.c.sessions.open = slices.DeleteFunc(s.c.sessions.open, func(o *session) bool { return o == s })
	}
	s.c.sessions.mu.Unlock()
	if !last {
		return
	}
	s.cancel()
	s.stopped.Wait()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	// An error leaves the session to its TTL.
	_, _ = s.c.api.Session().Destroy(s.id, (&api.WriteOptions{}).WithContext(ctx))
}

func (s *session) isLost() bool {
	select {
	case <-s.lost:
		return true
	default:
		return false
	}
}

// ended asks Consul whether the session is gone, and marks it so.
func (s *session) ended(ctx context.Context) bool {
	if s.isLost() {
		return true
	}
	entry, _, err := s.c.api.Session().Info(s.id, consistent(ctx))
	if err != nil || entry != nil {
		return false
	}
	s.cancel()
	s.stopped.Wait()
	return true
}

// renew keeps the session alive until its leases are released or it can't be confirmed for a TTL.
func (s *session) renew(ctx context.Context) {
	defer s.abandon()
	defer close(s.lost)
	tick := time.NewTicker(TTL / 4)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		began := time.Now()
		callCtx, cancel := context.WithDeadline(ctx, s.Confirmed().Add(TTL))
		entry, _, err := s.c.api.Session().Renew(s.id, (&api.WriteOptions{}).WithContext(callCtx))
		cancel()
		switch {
		case err == nil && entry != nil:
			s.mu.Lock()
			s.confirmed = began
			s.mu.Unlock()
			s.giveUpLeft(ctx)
		case err == nil || !time.Now().Before(s.Confirmed().Add(TTL)):
			return // the session is gone, or may be
		}
	}
}

// Confirmed is the last moment at which the session lived for sure.
func (s *session) Confirmed() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.confirmed
}

// giveUp releases a model's keys. Gone before the session ends, neither has a lock-delay: the next guardian need not wait.
// What Consul does not take now is tried again, as the session goes on for others.
func (s *session) giveUp(ctx context.Context, model string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	_, err := s.c.txn(ctx, api.TxnOps{
		{KV: &api.KVTxnOp{Verb: api.KVCheckSession, Key: traffic.CanaryKey(model), Session: s.id}},
		{KV: &api.KVTxnOp{Verb: api.KVDelete, Key: traffic.CanaryKey(model)}},
	})
	if err == nil || errors.Is(err, ErrConflict) { // a conflict: there is no such key, or it is another's
		_, _, err = s.c.api.KV().Release(&api.KVPair{Key: traffic.LeaseKey(model), Session: s.id},
			(&api.WriteOptions{}).WithContext(ctx))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && !s.isLost() { // a lost one has no keys any more
		s.left[model] = true
		return
	}
	delete(s.left, model)
	s.c.sessions.unreserve(model, s)
}

// abandon lets go of what was left: it ends with the session.
func (s *session) abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for model := range s.left {
		s.c.sessions.unreserve(model, s)
	}
	clear(s.left)
}

func (s *session) giveUpLeft(ctx context.Context) {
	s.mu.Lock()
	left := slices.Collect(maps.Keys(s.left))
	s.mu.Unlock()
	for _, model := range left {
		s.giveUp(ctx, model)
	}
}
