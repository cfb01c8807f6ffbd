package nomad

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/nomad/api"
)

// Watch calls wake after every event of a model's job, deployments and allocations, until the context ends. Events
// are hints: the stream may lose some, so each is only a reason to look. It blocks.
//
// The first few models of a client have streams of their own, the others share one.
func (c *Client) Watch(ctx context.Context, model string, wake func()) {
	if !c.streams.join(model, &wake, c.stream) { //nolint:contextcheck // the shared stream outlives this caller
		defer c.streams.leave(model, &wake)
		<-ctx.Done()
		return
	}
	defer c.streams.freeAlone()
	c.stream(ctx, model, func(*api.Event) { wake() })
}

// stream calls seen with each event of a model, or of all with "*", and with nil whenever a stream has ended: what
// happened until the next one is not known.
func (c *Client) stream(ctx context.Context, model string, seen func(*api.Event)) {
	const pause = 500 * time.Millisecond
	topics := map[api.Topic][]string{
		api.TopicJob: {model}, api.TopicDeployment: {model}, api.TopicAllocation: {model},
	}
	for ctx.Err() == nil {
		c.streamOnce(ctx, topics, seen)
		seen(nil)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

func (c *Client) streamOnce(ctx context.Context, topics map[api.Topic][]string, seen func(*api.Event)) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events, err := c.api.EventStream().Stream(ctx, topics, 0, &api.QueryOptions{})
	if err != nil {
		return
	}
	for e := range events {
		if e.Err != nil {
			return
		}
		for i := range e.Events {
			seen(&e.Events[i])
		}
	}
}

// maxAlone is how many models of one client have streams of their own. Nomad refuses the 101st connection from one
// address by default (limits.http_max_conns_per_client).
const maxAlone = 8

// streams are the event streams of a client.
type streams struct {
	mu    sync.Mutex
	alone int
	crowd map[string][]*func() // model → who is to be woken by the stream of all
	stop  func()               // ends that stream
}

// join says whether the caller may have a stream of its own; if not, it is woken by the one of all.
func (s *streams) join(model string, wake *func(), stream func(context.Context, string, func(*api.Event))) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.alone < maxAlone {
		s.alone++
		return true
	}
	if s.crowd == nil {
		s.crowd = map[string][]*func(){}
		ctx, cancel := context.WithCancel(context.Background())
		var running sync.WaitGroup
		running.Go(func() { stream(ctx, "*", s.wake) })
		s.stop = func() { cancel(); running.Wait() }
	}
	s.crowd[model] = append(s.crowd[model], wake)
	return false
}

func (s *streams) freeAlone() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alone--
}

func (s *streams) leave(model string, wake *func()) {
	stop := func() {}
	defer func() { stop() }()
	s.mu.Lock()
	defer s.mu.Unlock()
	left := slices.DeleteFunc(slices.Clone(s.crowd[model]), func(w *func()) bool { return w == wake })
	if s.crowd[model] = left; len(left) == 0 {
		delete(s.crowd, model)
	}
	if len(s.crowd) == 0 {
		stop, s.crowd = s.stop, nil
	}
}

// wake wakes those whom an event concerns; all for nil.
func (s *streams) wake(e *api.Event) {
	s.mu.Lock()
	var wakes []*func()
	if e == nil {
		for _, of := range s.crowd {
			wakes = append(wakes, of...)
		}
	} else {
		wakes = append(wakes, s.crowd[e.Key]...)
		for _, key := range e.FilterKeys {
			wakes = append(wakes, s.crowd[key]...)
		}
	}
	s.mu.Unlock()
	for _, wake := range wakes {
		(*wake)()
	}
}
