package client

import (
	"context"
	"slices"
	"time"

	"github.com/hashicorp/nomad/api"
)

// Update is the state of an allocation as its client sees it.
type Update struct {
	AllocID           string
	ClientStatus      string // api.AllocClientStatus…
	ClientDescription string
	TaskStates        map[string]*api.TaskState
	Healthy           *bool     // health for its deployment; nil while unknown
	HealthAt          time.Time // when that was decided; zero where the allocation failed, as in Nomad
}

// batch is how long changes are gathered, as Nomad's client does.
const batch = 200 * time.Millisecond

// publisher sends the latest state of changed allocations, at most once per batch.
type publisher struct {
	out     chan Update
	changed chan *alloc
	closing chan chan struct{}
	ended   chan struct{}
}

func newPublisher() *publisher {
	return &publisher{
		out: make(chan Update), changed: make(chan *alloc), closing: make(chan chan struct{}), ended: make(chan struct{}),
	}
}

// touch notes that an allocation has changed.
func (p *publisher) touch(a *alloc) {
	select {
	case p.changed <- a:
	case <-p.ended:
	}
}

// close sends what is left, then closes the channel. When ctx ends first, the rest is dropped.
func (p *publisher) close(ctx context.Context) {
	sent := make(chan struct{})
	select {
	case p.closing <- sent:
	case <-p.ended:
		return
	}
	select {
	case <-sent:
	case <-ctx.Done():
	}
}

func (p *publisher) run(ctx context.Context) {
	defer close(p.out)
	defer close(p.ended)
	var q queue
	var due <-chan time.Time
	var out chan Update // p.out while a batch is being sent
	for {
		var next Update
		if out != nil {
			next = q.head()
		}
		select {
		case <-ctx.Done():
			return
		case a := <-p.changed:
			q.add(a)
			if due == nil && out == nil {
				due = time.After(batch)
			}
		case <-due:
			due, out = nil, p.out
		case out <- next:
			if q.pop(); len(q.order) == 0 {
				out = nil
				q.finish()
			}
		case sent := <-p.closing:
			q.onEmpty = append(q.onEmpty, sent)
			if due, out = nil, p.out; len(q.order) == 0 {
				out = nil
				q.finish()
			}
		}
	}
}

// queue holds each changed allocation once, in the order of the first change.
type queue struct {
	order   []*alloc
	onEmpty []chan struct{}
}

func (q *queue) add(a *alloc) {
	if !slices.Contains(q.order, a) {
		q.order = append(q.order, a)
	}
}

func (q *queue) head() Update { return q.order[0].snapshot() }

func (q *queue) pop() { q.order = q.order[1:] }

func (q *queue) finish() {
	for _, sent := range q.onEmpty {
		close(sent)
	}
	q.onEmpty = nil
}
