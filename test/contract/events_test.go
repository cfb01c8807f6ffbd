package contract

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/nomad/api"
)

// recordedEvents reads what was recorded of a scenario, from the registration to its end.
func recordedEvents(t *testing.T, name string, sc scenario) []api.Event {
	t.Helper()
	body, err := os.ReadFile("testdata/scenarios/" + name + ".ndjson")
	if err != nil {
		t.Fatal(err)
	}
	var all []api.Event
	for line := range strings.Lines(string(body)) {
		var batch api.Events
		if err := json.Unmarshal([]byte(line), &batch); err != nil {
			t.Fatal(err)
		}
		for i := range batch.Events {
			batch.Events[i].Index = batch.Index
		}
		all = append(all, batch.Events...)
		if slices.ContainsFunc(batch.Events, func(e api.Event) bool { return sc.ended(e, sc.recorded) }) {
			return all
		}
	}
	t.Fatalf("the recording %s does not end as %q", name, sc.status)
	return nil
}

// ended reports whether an event is the last one of the scenario. A recorded job may have had versions before.
func (sc scenario) ended(e api.Event, before uint64) bool {
	d, err := e.Deployment()
	return err == nil && d != nil && d.JobVersion == before+sc.version && d.Status == sc.status
}

// events collects the events of the fixture's job from a stream, and of the nodes in the same writes, from a registration
// until the scenario ends.
func (f *fixture) events(lines *stream, sc scenario) []api.Event {
	f.t.Helper()
	var all []api.Event
	for {
		batch := lines.batch()
		mine := slices.DeleteFunc(slices.Clone(batch), func(e api.Event) bool {
			return e.Topic != api.TopicNode && !slices.Contains(append(e.FilterKeys, e.Key), f.id)
		})
		isRegistration := func(e api.Event) bool { return e.Topic == api.TopicJob && e.Type == "JobRegistered" }
		if len(all) == 0 && !slices.ContainsFunc(mine, isRegistration) || !slices.ContainsFunc(mine, notOfNodes) {
			continue
		}
		all = append(all, mine...)
		if slices.ContainsFunc(mine, func(e api.Event) bool { return sc.ended(e, 0) }) {
			return all
		}
	}
}

func notOfNodes(e api.Event) bool { return e.Topic != api.TopicNode }

// compareEvents compares the order of events as far as a real Nomad has one:
//
//   - What is written of jobs and deployments comes in the recorded order, and each write has the recorded topics: with a
//     deployment come the evaluation, the allocations and the node that belong to that write. Repeats count once, for
//     whether two healthy allocations are told at once is chance, as is how often automatic promotion is written.
//   - Every evaluation and every allocation goes through states that a recording has, and none of them after one that it
//     only ever comes before: how far a task has come when it is stopped, and what a plan then writes, is chance. What
//     lasts shorter than the 200 ms in which a client gathers what it tells is not seen. Between one another these have no
//     order.
func compareEvents(t *testing.T, recorded, got []api.Event) {
	t.Helper()
	if have, want := writes(got), writes(recorded); !slices.Equal(have, want) {
		t.Errorf("got\n%s\nrecorded\n%s", strings.Join(have, "\n"), strings.Join(want, "\n"))
	}
	known := recordedLives(t)
	for id, life := range lives(t, got) {
		for i, state := range life {
			before := life[max(0, i-1)]
			seen := slices.ContainsFunc(known, func(k []string) bool { return slices.Contains(k, state) })
			forward := slices.ContainsFunc(known, func(k []string) bool { return follows(state, before, k) })
			backward := slices.ContainsFunc(known, func(k []string) bool { return follows(before, state, k) })
			if !seen || backward && !forward {
				t.Errorf("%s goes through %q, and no recording has %q after %q", id, life, state, before)
			}
		}
	}
}

// follows reports whether a state comes after another one, or is it, among others.
func follows(state, after string, among []string) bool {
	i := slices.Index(among, after)
	return i >= 0 && slices.Contains(among[i:], state)
}

// writes are the topics and types of what was written at each index of jobs and deployments.
func writes(all []api.Event) []string {
	var out []string
	for len(all) > 0 {
		var write []string
		index, about := all[0].Index, false
		for ; len(all) > 0 && all[0].Index == index; all = all[1:] {
			about = about || all[0].Topic == api.TopicJob || all[0].Topic == api.TopicDeployment
			write = append(write, fmt.Sprintf("%s/%s", all[0].Topic, all[0].Type))
		}
		if about {
			slices.Sort(write)
			out = append(out, strings.Join(slices.Compact(write), " "))
		}
	}
	return slices.Compact(out)
}

// lives are the states that every evaluation and allocation goes through, of evaluations those that were made meanwhile.
func lives(t *testing.T, all []api.Event) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	for _, e := range all {
		key, state := string(e.Topic)+" "+e.Key, ""
		switch e.Topic {
		case api.TopicEvaluation:
			eval, err := e.Evaluation()
			if err != nil {
				t.Fatal(err)
			}
			if state = fmt.Sprintf("%s:%s", e.Type, eval.Status); eval.CreateIndex > 0 && eval.CreateIndex < all[0].Index {
				continue
			}
		case api.TopicAllocation:
			a, err := e.Allocation()
			if err != nil {
				t.Fatal(err)
			}
			state = allocState(a)
		default:
			continue
		}
		if old := out[key]; len(old) == 0 || old[len(old)-1] != state {
			out[key] = append(old, state)
		}
	}
	return out
}

func allocState(a *api.Allocation) string {
	state := a.DesiredStatus + "," + a.ClientStatus
	if s := a.DeploymentStatus; s != nil && s.Healthy != nil {
		state += fmt.Sprintf(",healthy=%t", *s.Healthy)
	}
	return state
}

// recordedLives are the states of all evaluations and allocations of all recordings.
func recordedLives(t *testing.T) [][]string {
	t.Helper()
	paths, err := filepath.Glob("testdata/scenarios/*.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	var out [][]string
	for _, path := range paths {
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var all []api.Event
		for line := range strings.Lines(string(body)) {
			var batch api.Events
			if err := json.Unmarshal([]byte(line), &batch); err != nil {
				t.Fatal(err)
			}
			all = append(all, batch.Events...)
		}
		for _, life := range lives(t, all) {
			out = append(out, life)
		}
	}
	return out
}
