package consul

import (
	"context"
	"sync"
)

// hub brings what a client's shared queries see to the guardians that it concerns. A shared query keeps what it saw
// last and wakes for differences, so that nothing is lost between two answers.
type hub struct {
	ingresses *shared // what each ingress serves of a model
	crowd     *shared // health and requests of all models, for those without queries of their own

	mu    sync.Mutex
	alone int // subscribers with queries of their own
	subs  map[string][]*subscriber
	count int
}

// subscriber is a guardian that watches.
type subscriber struct {
	wake  func()
	alone bool
}

// maxAlone is how many guardians of one client have queries of their own. Consul refuses the 201st connection from one
// address by default (limits.http_max_conns_per_client).
const maxAlone = 8

func newHub(c *Client) *hub {
	h := &hub{subs: map[string][]*subscriber{}}
	h.ingresses = &shared{run: func(ctx context.Context) { c.watchIngresses(ctx, h.wake) }}
	h.crowd = &shared{run: func(ctx context.Context) {
		var both sync.WaitGroup
		defer both.Wait()
		both.Go(func() { c.watchChecks(ctx, h.wake) })
		both.Go(func() { c.watchRequests(ctx, h.wake) })
	}}
	return h
}

func (h *hub) join(model string, wake func()) *subscriber {
	h.mu.Lock()
	s := &subscriber{wake: wake, alone: h.alone < maxAlone}
	if s.alone {
		h.alone++
	}
	h.subs[model] = append(h.subs[model], s)
	h.count++
	h.mu.Unlock()
	h.ingresses.join()
	if !s.alone {
		h.crowd.join()
	}
	return s
}

func (h *hub) leave(model string, s *subscriber) {
	h.mu.Lock()
	left := make([]*subscriber, 0, len(h.subs[model]))
	for _, other := range h.subs[model] {
		if other != s {
			left = append(left, other)
		}
	}
	if h.subs[model] = left; len(left) == 0 {
		delete(h.subs, model)
	}
	if s.alone {
		h.alone--
	}
	h.count--
	h.mu.Unlock()
	if !s.alone {
		h.crowd.leave()
	}
	h.ingresses.leave()
}

func (h *hub) size() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.count
}

// wake wakes the guardians of a model.
func (h *hub) wake(model string) {
	h.mu.Lock()
	subs := h.subs[model]
	h.mu.Unlock()
	for _, s := range subs {
		s.wake()
	}
}

// shared is work that is done for several users at once: it begins with the first and ends with the last of them.
type shared struct {
	run func(context.Context)

	mu    sync.Mutex
	users int
	stop  func()
}

func (s *shared) join() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users++; s.users > 1 {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.run(ctx) })
	s.stop = func() { cancel(); running.Wait() }
}

func (s *shared) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users--; s.users == 0 {
		s.stop()
	}
}
