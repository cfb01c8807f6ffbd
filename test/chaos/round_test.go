//go:build linux

package chaos

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/weirhq/weir/deployer/rollout"
	"github.com/weirhq/weir/internal/traffic"
	"github.com/weirhq/weir/test/load"
)

const (
	endLimit  = 2 * time.Minute  // for a rollout, with a takeover in it
	holdLimit = 15 * time.Second // before the operator of this test decides
)

// round is one rollout with one fault in it.
type round struct {
	*system
	event  event
	stable string // the release that serves before it
	began  time.Time
	before load.Counts
	deploy *program
	holder string       // how the deployer that begins it signs its lease
	key    string       // of its record
	cut    [2]time.Time // from when to when the fault broke connections of clients

	result result
}

// run carries the round out. Its error says which promise was broken.
func (r *round) run() error {
	r.began, r.before = time.Now(), r.load.Counts()
	r.result = result{event: r.event}
	known, _, err := r.kv.Keys(traffic.RolloutsPrefix+model+"/", "", nil)
	if err != nil {
		return fmt.Errorf("list the records: %w", err)
	}
	if before := faults[r.event.Fault].before; before != nil {
		if err := before(r); err != nil {
			return err
		}
	}
	r.deploy = r.background(deployer, "deploy.log", r.net.Bin(deployBin), r.arguments()...)
	if err := r.find(known); err != nil {
		return err
	}
	if err := r.reach(r.event.At); err != nil {
		return err
	}
	pause(r.event.Delay) // drawn from the seed
	if err := r.hit(); err != nil {
		return fmt.Errorf("%s: %w", faults[r.event.Fault].what, err)
	}
	if err := r.end(); err != nil {
		return err
	}
	if err := errors.Join(r.clean(), r.repair()); err != nil {
		return err
	}
	return r.promises()
}

// arguments are those of the deploy. Each round has a version of its own, so that its processes are known from all
// others'.
func (r *round) arguments() []string {
	file, command := "v1.1.0", "inference"
	if r.event.Number%2 == 0 {
		file = "v1.0.0"
	}
	var fault []string
	if r.event.Canary != "good" {
		file, command = "v1.2.0", "faulty"
		fault = []string{"--var", fmt.Sprintf(`args=["-fault-after=50","-fault-kind=%s"]`, r.event.Canary)}
	}
	args := ship(file, fmt.Sprintf("v2.%d.0", r.event.Number), r.net.Bin(command))
	return append(append(args, "-v", "--steps", "20,100", "--bake", "2s", "--watch", "2s"), fault...)
}

func ship(file, version, command string) []string {
	path, err := filepath.Abs("../testdata/iris-" + file + ".pkl")
	if err != nil {
		panic(err)
	}
	return []string{"deploy", model, path, "--version", version, "--var", "command=" + command}
}

// find waits for the round's record.
func (r *round) find(known []string) error {
	err := wait(time.Minute, func() error {
		keys, _, err := r.kv.Keys(traffic.RolloutsPrefix+model+"/", "", nil)
		if err != nil {
			return err
		}
		for _, key := range keys {
			if !slices.Contains(known, key) {
				r.key = key
				pair, _, err := r.kv.Get(traffic.LeaseKey(model), nil)
				if err == nil && pair != nil {
					r.holder = string(pair.Value)
				}
				return err
			}
		}
		return errors.New("there is none")
	})
	if err != nil {
		return fmt.Errorf("wait a minute for the rollout's record: %w", err)
	}
	return nil
}

// record is this round's; zero while Consul does not answer.
func (r *round) record() rollout.Record {
	rec, _ := r.recordAfter(0)
	return rec
}

// recordAfter waits, for a second at most, for a version of the record after an index, and returns it with its own.
func (r *round) recordAfter(index uint64) (rollout.Record, uint64) {
	opts := &api.QueryOptions{RequireConsistent: true, WaitIndex: index, WaitTime: time.Second}
	pair, meta, err := r.kv.Get(r.key, opts.WithContext(r.t.Context()))
	var rec rollout.Record
	if err != nil || pair == nil || json.Unmarshal(pair.Value, &rec) != nil {
		return rollout.Record{}, 0
	}
	return rec, meta.LastIndex
}

func (r *round) over() bool { return r.record().Phase.Terminal() }

// rank orders the points of a rollout's way; going back and all ends come last.
func rank(phase rollout.Phase, step int) int {
	switch phase {
	case "":
		return -1
	case rollout.Pending:
		return 0
	case rollout.Placing:
		return 1
	case rollout.Verifying:
		return 2
	case rollout.Shifting:
		return 10*step + 3
	case rollout.Settling:
		return 10*step + 4
	case rollout.Baking:
		return 10*step + 5
	case rollout.Judging:
		return 10*step + 6
	case rollout.Watching:
		return 100
	case rollout.Promoting:
		return 101
	case rollout.Held, rollout.NeedsHuman, rollout.Aborting, rollout.Done, rollout.RolledBack:
	}
	return 1000
}

// reach waits until the rollout is at a point or past it, and returns as soon as Consul shows that.
func (r *round) reach(p point) error {
	var index uint64
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		var rec rollout.Record
		if rec, index = r.recordAfter(index); rank(rec.Phase, rec.Step) >= rank(p.Phase, p.Step) {
			r.result.Met = point{rec.Phase, rec.Step}
			return nil
		}
	}
	return fmt.Errorf("the rollout is not at %s after a minute", p)
}

// hit injects the fault and notes where it met the rollout.
func (r *round) hit() error {
	if r.event.Delay > 0 {
		if rec := r.record(); rec.Phase != "" {
			r.result.Met = point{rec.Phase, rec.Step}
		}
	}
	from := time.Now()
	err := faults[r.event.Fault].inject(r)
	if errors.Is(err, errTooLate) {
		return nil
	}
	r.result.Injected = true
	if faults[r.event.Fault].cuts {
		r.cut = [2]time.Time{from, time.Now().Add(time.Second)}
	}
	return err
}

// end waits for the rollout's end. Where it waits for an operator, this test is one.
func (r *round) end() error {
	var since time.Time // it waits
	err := wait(endLimit, func() error {
		rec := r.record()
		waits := rec.Phase == rollout.Held || rec.Phase == rollout.NeedsHuman
		switch {
		case !waits:
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		case !r.result.Operator && time.Since(since) > holdLimit:
			r.result.Operator = true
			r.background(ops, "revert.log", r.net.Bin(daemonBin), "revert", model, "--why", "chaos: it waits in "+string(rec.Phase))
		}
		if !rec.Phase.Terminal() {
			return fmt.Errorf("it is at %s: %s", point{rec.Phase, rec.Step}, rec.Reason)
		}
		r.result.End, r.result.Reason, r.result.Took = rec.Phase, rec.Reason, time.Since(r.began)
		return nil
	})
	if err != nil {
		return fmt.Errorf("the rollout did not end within %s: %w", endLimit, err)
	}
	select {
	case <-r.deploy.done:
		return nil
	case <-time.After(30 * time.Second):
		return errors.New("the rollout is over, but its deployer has not ended within 30 s")
	}
}
