package devnomad

import (
	"context"
	"sync"
)

// outbox holds the latest update of each allocation until the server has it.
type outbox struct {
	*sync.Mutex
	pending map[string]allocUpdate
	order   []string // by first change
	wake    chan struct{}
	closed  chan struct{}
}

func newOutbox() outbox {
	return outbox{
		Mutex: &sync.Mutex{}, pending: map[string]allocUpdate{}, wake: make(chan struct{}, 1), closed: make(chan struct{}),
	}
}

// add puts an update in the place of an older one of the same allocation. That one's health is not lost.
func (o *outbox) add(u allocUpdate) {
	o.Lock()
	defer o.Unlock()
	before, waiting := o.pending[u.AllocID]
	if !waiting {
		o.order = append(o.order, u.AllocID)
	} else if u.Healthy == nil && u.DeploymentID == before.DeploymentID {
		u.Healthy, u.HealthAt = before.Healthy, before.HealthAt
	}
	o.pending[u.AllocID] = u
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// putBack returns what could not be sent, unless there is newer by now.
func (o *outbox) putBack(updates []allocUpdate) {
	o.Lock()
	defer o.Unlock()
	var order []string
	for _, u := range updates {
		if _, newer := o.pending[u.AllocID]; !newer {
			o.pending[u.AllocID] = u
			order = append(order, u.AllocID)
		}
	}
	o.order = append(order, o.order...)
}

// take returns what there is, waiting for the first; more is false at the end.
func (o *outbox) take(ctx context.Context) (updates []allocUpdate, more bool) {
	if updates := o.drain(); len(updates) > 0 {
		return updates, true
	}
	select {
	case <-o.wake:
		return o.drain(), true
	case <-o.closed:
		return o.drain(), false
	case <-ctx.Done():
		return nil, false
	}
}

func (o *outbox) drain() (updates []allocUpdate) {
	o.Lock()
	defer o.Unlock()
	for _, id := range o.order {
		updates = append(updates, o.pending[id])
	}
	o.order = nil
	clear(o.pending)
	return updates
}

// close says that nothing more will be added.
func (o *outbox) close() { close(o.closed) }
