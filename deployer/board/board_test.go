package board

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"testing"
	"time"

	capi "github.com/hashicorp/consul/api"

	"github.com/weirhq/weir/deployer/analysis"
	"github.com/weirhq/weir/deployer/consul"
	"github.com/weirhq/weir/deployer/rollout"
	"github.com/weirhq/weir/internal/parts/partstest"
	"github.com/weirhq/weir/internal/traffic"
)

// run starts a board in front of a Consul of the test's own.
func run(t *testing.T) (*Board, *capi.Client) {
	t.Helper()
	server := partstest.Consul(t)
	c, err := consul.New(server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := capi.NewClient(&capi.Config{Address: server.Addr})
	if err != nil {
		t.Fatal(err)
	}
	b := New(c, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { b.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return b, raw
}

func put(t *testing.T, raw *capi.Client, key string, value any) {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := raw.KV().Put(&capi.KVPair{Key: key, Value: text}, nil); err != nil {
		t.Fatal(err)
	}
}

// await looks after each change until a condition holds.
func await(t *testing.T, b *Board, cursor, what string, ok func(Changes) bool) Changes {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		c, next, whole := b.Since(cursor)
		if whole && ok(c) {
			return c
		}
		select {
		case <-next:
		case <-limit:
			t.Fatalf("waited for %s; last %+v", what, c)
		}
	}
}

func TestChanges(t *testing.T) {
	b, raw := run(t)
	put(t, raw, traffic.StableKey("iris"), traffic.Stable{Release: "v1-aaaaaaaa", Epoch: 1})
	put(t, raw, traffic.StableKey("churn"), "garbage")
	put(t, raw, traffic.RolloutKey("iris", "1"), rollout.Record{ID: "1", Model: "iris", Phase: rollout.Done})
	defer b.Look()()
	first := await(t, b, "", "both models", func(c Changes) bool { return len(c.Changed) == 2 })
	if !first.Full || first.Changed[1].Stable != "v1-aaaaaaaa" || first.Changed[1].Rollout.Phase != rollout.Done {
		t.Errorf("first %+v", first)
	}
	put(t, raw, traffic.RolloutKey("iris", "2"), rollout.Record{ID: "2", Model: "iris", Phase: rollout.Baking})
	second := await(t, b, first.Cursor, "the new rollout", func(c Changes) bool { return len(c.Changed) == 1 })
	if second.Full || second.Changed[0].Model != "iris" || !second.Changed[0].Rollout.Active {
		t.Errorf("second %+v", second)
	}
	if _, err := raw.KV().DeleteTree(traffic.TrafficPrefix+"churn", nil); err != nil {
		t.Fatal(err)
	}
	third := await(t, b, second.Cursor, "the model to go", func(c Changes) bool { return len(c.Removed) == 1 })
	if third.Removed[0] != "churn" || len(third.Changed) != 0 {
		t.Errorf("third %+v", third)
	}
	for _, unknown := range []string{"", "another-1", b.boot + "-999999", b.boot + "-x"} {
		if c, _, _ := b.Since(unknown); !c.Full || len(c.Changed) != 1 || len(c.Removed) != 0 {
			t.Errorf("from %q: %+v", unknown, c)
		}
	}
}

func TestManyModels(t *testing.T) {
	b, raw := run(t)
	const models = 1000
	var ops capi.TxnOps
	for i := range models {
		name := fmt.Sprintf("m%04d", i)
		rec, _ := json.Marshal(rollout.Record{ID: "1", Model: name, Phase: rollout.Baking})
		ops = append(ops, &capi.TxnOp{KV: &capi.KVTxnOp{Verb: capi.KVSet, Key: traffic.RolloutKey(name, "1"), Value: rec}})
		if len(ops) < 64 && i+1 < models {
			continue
		}
		if ok, _, _, err := raw.Txn().Txn(ops, nil); !ok || err != nil {
			t.Fatal(err)
		}
		ops = nil
	}
	all, err := b.Models(t.Context())
	if err != nil || len(all.Changed) != models {
		t.Fatalf("%d models, %v", len(all.Changed), err)
	}
	for _, m := range all.Changed {
		if m.Rollout == nil || m.Rollout.Phase != rollout.Baking {
			t.Fatalf("%s has rollout %+v", m.Model, m.Rollout)
		}
	}
}

func TestSeries(t *testing.T) {
	const stable, canary = "v1", "v2"
	began := time.Unix(1_000_000, 0)
	look := func(second int, perSecond uint64, failing uint64) []analysis.Snapshot {
		n := perSecond * uint64(second)
		counts := analysis.Counts{
			Codes:   map[int]uint64{200: n - failing, 500: failing},
			Latency: analysis.Histogram{Edges: []float64{0.01, 0.1}, Counts: []uint64{n, 0, 0}},
			Classes: map[string]uint64{"a": n},
		}
		return []analysis.Snapshot{
			{Alloc: "1", Release: stable, Started: began, Counts: counts},
			{Alloc: "2", Release: canary, Started: began, Counts: counts},
		}
	}
	var s series
	for second := range 10 {
		x, ok := s.add(began.Add(time.Duration(second)*time.Second), canary, stable, look(second, 100, 0))
		if ok != (second > 0) {
			t.Fatalf("second %d: %t", second, ok)
		}
		if ok && (math.Abs(x.Stable.Rate-100) > 1e-9 || x.Stable.P50 > 0.01 || x.Canary.Errors != 0) {
			t.Errorf("second %d: %+v %+v", second, x.Stable, x.Canary)
		}
	}
	x, _ := s.add(began.Add(10*time.Second), canary, stable, look(10, 100, 100))
	if math.Abs(x.Canary.Errors-0.2) > 1e-9 {
		t.Errorf("errors %g, want 0.2: 100 of the last 500", x.Canary.Errors)
	}
	if s.outputs.Stable.Classes["a"] != 1000 {
		t.Errorf("outputs %+v", s.outputs)
	}
	if _, ok := s.add(began.Add(11*time.Second), "", canary, look(11, 100, 100)); ok {
		t.Error("a new pair of releases has no base line")
	}
	quiet, _ := s.add(began.Add(12*time.Second), "", canary, look(11, 100, 100))
	if quiet.Canary != nil || quiet.Stable == nil || *quiet.Stable != (Stat{}) {
		t.Errorf("without requests: %+v %+v", quiet.Stable, quiet.Canary)
	}
}

func TestEffectiveWeight(t *testing.T) {
	keys := consul.Keys{
		Stable: &traffic.Stable{Release: "v1", Epoch: 4}, Canary: &traffic.Canary{Release: "v2", Weight: 50, Epoch: 6},
	}
	p := Page{Model: "iris"}
	p.traffic(keys)
	p.ingresses(map[string]traffic.Ingress{
		"a": {Epoch: map[string]string{"iris": "4/6"}}, "b": {Epoch: map[string]string{"iris": "4/5"}},
		"c": {Epoch: map[string]string{"iris": "4/6"}, Stale: true}, "d": {Epoch: map[string]string{"iris": "4/-"}},
	}, keys)
	want := []*int{new(50), nil, new(0), new(0)}
	for i, in := range p.Ingresses {
		if (in.Weight == nil) != (want[i] == nil) || in.Weight != nil && *in.Weight != *want[i] {
			t.Errorf("ingress %s: %v, want %v", in.Node, in.Weight, want[i])
		}
	}
}
