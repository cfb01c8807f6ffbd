package cli

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/weirhq/weir/deployer/guard"
	"github.com/weirhq/weir/deployer/rollout"
)

// errInterrupted is the cause of a context that the user's second signal ended.
var errInterrupted = errors.New("left at once: without a guardian the traffic goes back to the stable release; " +
	"`deployer guard` finishes the rollout")

// guarded runs something that drives or follows a rollout of the model, prints its progress, and turns its end into
// the command's result. The first signal asks the rollout to go back, the second one leaves at once.
func (a *app) guarded(
	ctx context.Context, g *guard.Guard, model string, run func(context.Context) (rollout.Record, error),
) error {
	ctx, leave := context.WithCancelCause(ctx)
	defer leave(nil)
	progress := &printer{app: a}
	g.Changed = progress.show
	done := make(chan struct{})
	var waiting sync.WaitGroup
	defer waiting.Wait()
	defer close(done)
	waiting.Go(func() { a.onSignals(ctx, g, model, leave, done) })
	rec, err := run(ctx)
	if err == nil && a.format == "json" {
		err = a.printRecord(rec)
	}
	return ended(rec, err)
}

func (a *app) onSignals(
	ctx context.Context, g *guard.Guard, model string, leave context.CancelCauseFunc, done <-chan struct{},
) {
	for first := true; ; first = false {
		select {
		case <-done:
			return
		case <-a.signals:
		}
		if !first {
			leave(errInterrupted)
			return
		}
		fmt.Fprintln(a.errs, "takes the rollout back; once more to leave at once")
		_, err := g.Ask(ctx, model, rollout.Request{
			Verb: rollout.VerbRevert, By: whoami(), Why: "interrupted", At: time.Now(),
		})
		if err != nil {
			leave(err)
			return
		}
	}
}
