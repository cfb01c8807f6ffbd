package world

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/weirhq/weir/deployer/hook"
	"github.com/weirhq/weir/deployer/rollout"
)

// errands are acts that take their time: they run beside the guardian, who never waits for them, and bring back what
// the next look tells. They end with the guardian.
type errands struct {
	todo chan func(context.Context)

	mu       sync.Mutex
	begun    map[string]bool
	hooks    []rollout.HookRun
	evidence *rollout.Evidence
}

func newErrands() *errands {
	return &errands{todo: make(chan func(context.Context), 8), begun: map[string]bool{}}
}

// run carries errands out until the context ends, and wakes after each.
func (e *errands) run(ctx context.Context, wake func()) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case do := <-e.todo:
			wg.Go(func() { do(ctx); wake() })
		}
	}
}

// begin starts an errand, unless it was begun already.
func (e *errands) begin(key string, do func(context.Context)) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.begun[key] {
		return nil
	}
	select {
	case e.todo <- do:
		e.begun[key] = true
		return nil
	default:
		return fmt.Errorf("begin %s: too much is being done already", key)
	}
}

// look tells what came back so far.
func (e *errands) look(obs *rollout.Observation) {
	e.mu.Lock()
	defer e.mu.Unlock()
	obs.Hooks = append([]rollout.HookRun(nil), e.hooks...)
	obs.Evidence = e.evidence
}

func (w *World) runHook(rec rollout.Record, key, name string) error {
	for _, h := range rec.Spec.Hooks {
		if h.Name == name && rec.HookKey(h) == key {
			return w.errands.begin("hook "+key, func(ctx context.Context) { w.errands.hook(ctx, key, h, rec) })
		}
	}
	return fmt.Errorf("run hook %s: the spec has none of that name", key)
}

func (e *errands) hook(ctx context.Context, key string, h rollout.Hook, rec rollout.Record) {
	said, err := hook.Run(ctx, h, rec)
	if ctx.Err() != nil {
		return // the guardian ends: the next one runs it again
	}
	run := rollout.HookRun{Key: key, At: time.Now(), OK: err == nil, Said: said}
	if err != nil {
		run.Said = err.Error()
		if said != "" {
			run.Said += ": " + said
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.hooks = append(e.hooks, run)
}

// collect reads what the canary's instances left behind. What can't be read is left out: the rollout goes back anyway.
func (w *World) collect(ctx context.Context, rec rollout.Record) {
	found := &rollout.Evidence{}
	allocs, err := w.Nomad.Evidence(ctx, rec.Model, rec.Attempt)
	if err != nil {
		return
	}
	instances, err := w.Consul.Instances(ctx, rec.Model)
	if err != nil {
		return
	}
	for _, a := range allocs {
		for _, in := range instances {
			if in.Alloc == a.ID && in.Output != "" {
				a.Checks = append(a.Checks, in.Status+": "+in.Output)
			}
		}
		found.Allocs = append(found.Allocs, a)
	}
	w.errands.mu.Lock()
	defer w.errands.mu.Unlock()
	w.errands.evidence = found
}
