package guard

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/weirhq/weir/deployer/hook"
	"github.com/weirhq/weir/deployer/rollout"
)

// notifier posts a rollout's changes of phase to the URLs of its spec, in order, beside the guardian. Nothing depends on
// it: what can't be delivered in time is logged and dropped.
type notifier struct {
	urls  []string
	log   *slog.Logger
	phase rollout.Phase
	queue chan rollout.Record
	done  sync.WaitGroup
	stop  context.CancelFunc
}

// notifyTimeout is how long one notification may take; at the end of a rollout the last ones have as long together.
const notifyTimeout = 5 * time.Second

func newNotifier(ctx context.Context, rec rollout.Record, log *slog.Logger) *notifier {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx)) // what is left is told also when the guardian must stop
	n := &notifier{urls: rec.Spec.Notify, log: log, phase: rec.Phase, queue: make(chan rollout.Record, 32), stop: stop}
	if len(n.urls) > 0 {
		n.done.Go(func() { n.run(ctx) })
	}
	return n
}

// changed notes a stored record.
func (n *notifier) changed(rec rollout.Record) {
	if len(n.urls) == 0 || rec.Phase == n.phase {
		return
	}
	n.phase = rec.Phase
	select {
	case n.queue <- rec:
	default:
		n.log.Warn("notify: too many are waiting", "model", rec.Model, "rollout", rec.ID, "phase", rec.Phase)
	}
}

// close waits for what is still to be told, for a moment.
func (n *notifier) close() {
	defer n.stop()
	defer time.AfterFunc(notifyTimeout, n.stop).Stop()
	close(n.queue)
	n.done.Wait()
}

// run posts until the queue is closed.
func (n *notifier) run(ctx context.Context) {
	for rec := range n.queue {
		for _, url := range n.urls {
			ctx, cancel := context.WithTimeout(ctx, notifyTimeout)
			if err := hook.Notify(ctx, url, rec); err != nil {
				n.log.Warn("notify", "model", rec.Model, "rollout", rec.ID, "phase", rec.Phase, "err", err)
			}
			cancel()
		}
	}
}
