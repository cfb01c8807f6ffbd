package scale

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/weirhq/weir/deployer/guard"
	"github.com/weirhq/weir/deployer/rollout"
)

// figures are what one measurement found.
type figures struct {
	Models         int
	Judged         bool
	Place          time.Duration // from the daemon's start until all rollouts bake
	Quiet          time.Duration // how long nothing happened
	Consul, Nomad  float64       // calls per rollout and second meanwhile
	Scrapes        float64       // of instances, per second
	CPU            float64       // cores
	Memory, RSS    float64       // KiB per rollout, beyond what the daemon uses without any: live heap and stacks; resident
	Goroutines     float64       // per rollout
	ConsulConns    int           // most connections at the same time
	NomadConns     int
	P50, P99, Most time.Duration // from a check turning critical until the canary key is gone
	Finish         time.Duration // from the operator's word until all others are promoted
}

// measureDaemon takes all rollouts of a fleet to their end, through a time in which nothing happens, failures of some of
// them, and an operator's promote of the others.
func measureDaemon(t *testing.T, models int, judged bool, quiet time.Duration, failures int) figures {
	f := startFleet(t, models)
	d := startDaemon(t, f.toConsul.addr, f.toNomad.addr)
	time.Sleep(2 * time.Second) // without rollouts
	empty := d.footprint("")
	fig := figures{Models: models, Judged: judged, Quiet: quiet}
	began := time.Now()
	f.begin(judged)
	f.await("all rollouts to bake", func() bool { return f.phases()[rollout.Baking] == models })
	fig.Place = time.Since(began)
	t.Logf("placed after %s: Consul %v; Nomad %v", fig.Place, f.toConsul.tally(), f.toNomad.tally())
	time.Sleep(5 * time.Second)
	f.quiet(d, empty, &fig)
	f.fail(&fig, failures)
	f.finish(&fig, failures)
	fig.ConsulConns, fig.NomadConns = f.toConsul.mostConns(), f.toNomad.mostConns()
	t.Logf("%+v", fig)
	return fig
}

// quiet measures what the daemon does while nothing happens.
func (f *fleet) quiet(d *daemon, empty footprint, fig *figures) {
	f.t.Helper()
	before, consul, nomad, scrapes := d.footprint(os.Getenv("SCALE_PROFILE")), f.toConsul.tally(), f.toNomad.tally(), f.instances.scrapes.Load()
	time.Sleep(fig.Quiet)
	scrapes = f.instances.scrapes.Load() - scrapes
	kinds, all := f.toConsul.since(consul)
	nomadKinds, nomadAll := f.toNomad.since(nomad)
	cpu, rss := used(strconv.Itoa(d.cmd.Process.Pid))
	after := d.footprint("")
	seconds := fig.Quiet.Seconds()
	per := 1 / (seconds * float64(fig.Models))
	fig.Consul, fig.Nomad = float64(all)*per, float64(nomadAll)*per
	fig.Scrapes = float64(scrapes) / seconds
	fig.CPU = (cpu - before.CPU).Seconds() / seconds
	fig.RSS = float64(rss-empty.RSS) / 1024 / float64(fig.Models)
	fig.Memory = float64(after.Heap+after.Stacks-empty.Heap-empty.Stacks) / 1024 / float64(fig.Models)
	fig.Goroutines = float64(after.Goroutines-empty.Goroutines) / float64(fig.Models)
	f.t.Logf("in %s: Consul %v; Nomad %v; stacks %d KiB", fig.Quiet, kinds, nomadKinds, after.Stacks>>10)
}

// fail turns an instance of some canaries critical, one after the other, and measures the reaction.
func (f *fleet) fail(fig *figures, failures int) {
	f.t.Helper()
	took := make([]time.Duration, failures)
	var group errgroup.Group
	group.SetLimit(16)
	for i := range failures {
		time.Sleep(50 * time.Millisecond) // not all at once
		group.Go(func() error {
			model := f.models[i*len(f.models)/failures]
			ctx, cancel := context.WithTimeout(f.t.Context(), limit)
			defer cancel()
			began := time.Now()
			if err := f.node.fail(model, f.node.of(model, newRelease)[0]); err != nil {
				return err
			}
			gone, err := f.awaitGone(ctx, model)
			took[i] = gone.Sub(began)
			return err
		})
	}
	f.must(group.Wait())
	slices.Sort(took)
	fig.P50, fig.P99, fig.Most = took[failures/2], took[failures*99/100], took[failures-1]
	f.await("the failed rollouts to be back", func() bool { return f.phases()[rollout.RolledBack] >= failures })
}

// finish asks for the promote of all others and waits for it.
func (f *fleet) finish(fig *figures, failures int) {
	f.t.Helper()
	g := &guard.Guard{Nomad: f.nomad, Consul: f.records}
	began := time.Now()
	f.each(f.models, func(model string) error {
		if s, active, err := f.records.Active(f.t.Context(), model); err != nil || !active {
			return err
		} else if s.Phase != rollout.Baking {
			return fmt.Errorf("%s is in phase %s: %s", model, s.Phase, s.Reason)
		}
		_, err := g.Ask(f.t.Context(), model, rollout.Request{Verb: rollout.VerbFull, By: "test", At: time.Now()})
		return err
	})
	f.await("the others to be done", func() bool { return f.phases()[rollout.Done] == fig.Models-failures })
	fig.Finish = time.Since(began)
	f.await("the old instances to be gone", func() bool { return f.node.count() == perRelease*fig.Models })
}

// TestManyRollouts runs as many rollouts as SCALE_MODELS says, judged by their requests or, with SCALE_MODE=health, by health
// alone; see `make scale`. SCALE_PROFILE names a file for the CPU profile of the quiet time.
func TestManyRollouts(t *testing.T) {
	models := atLeast(t, "SCALE_MODELS", 0)
	if models == 0 {
		t.Skip("make scale runs it")
	}
	fig := measureDaemon(t, models, os.Getenv("SCALE_MODE") != "health", 20*time.Second, max(models/10, 4))
	report(t, "rollouts", fig.table())
}

// TestSomeRollouts takes 50 rollouts of one daemon to their ends: 5 fail and go back, the others are promoted. In between,
// when nothing happens, they ask for little.
func TestSomeRollouts(t *testing.T) {
	const models = 50
	fig := measureDaemon(t, models, true, 6*time.Second, 5)
	if all := fig.Consul + fig.Nomad; all > 6 {
		t.Errorf("%.1f calls per rollout and second while nothing happens, want at most 6", all)
	}
	// Most of it is connections, which more rollouts would share.
	if fig.Memory > 500 || fig.Goroutines > 30 {
		t.Errorf("%.0f KiB and %.1f goroutines per rollout, want at most 500 and 30", fig.Memory, fig.Goroutines)
	}
	if fig.ConsulConns > 200 || fig.NomadConns > 100 {
		t.Errorf("%d connections to Consul and %d to Nomad, which take 200 and 100", fig.ConsulConns, fig.NomadConns)
	}
}

// atLeast reads a number from the environment.
func atLeast(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}
