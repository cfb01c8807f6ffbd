package applier

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/weirhq/weir/internal/traffic"
	"github.com/weirhq/weir/nginx"
)

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// at makes an instance of iris on 10.0.0.1.
func at(release string, port uint16, canary bool) instance {
	return instance{Model: "iris", Release: release, Canary: canary, Instance: addr(port)}
}

func addr(port uint16) nginx.Instance {
	return nginx.Instance{Addr: netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), port), Weight: 1}
}

// kv makes the traffic keys of iris; an empty text is an absent key.
func kv(stable, canary string) map[string]key {
	keys := map[string]key{}
	for name, text := range map[string]string{traffic.StableKey("iris"): stable, traffic.CanaryKey("iris"): canary} {
		if text != "" {
			keys[name] = key{[]byte(text), 50, 100}
		}
	}
	return keys
}

// remade gives the keys as a new Consul would have them.
func remade(keys map[string]key) map[string]key {
	out := map[string]key{}
	for name, k := range keys {
		k.CreateIndex++
		out[name] = k
	}
	return out
}

func stableDoc(release string, epoch uint64) string {
	return fmt.Sprintf(`{"release":%q,"epoch":%d}`, release, epoch)
}

func canaryDoc(release string, weight int, epoch uint64) string {
	return fmt.Sprintf(`{"release":%q,"weight":%d,"epoch":%d}`, release, weight, epoch)
}

func shadowDoc(release string, weight int, epoch uint64) string {
	return fmt.Sprintf(`{"release":%q,"weight":%d,"epoch":%d,"shadow":20}`, release, weight, epoch)
}

// describe writes a site as one line per model, the way a reader says it.
func describe(s nginx.Site) string {
	var out []string
	for _, m := range s.Models {
		line := m.Name + " " + m.Epoch
		for _, share := range m.Shares {
			line += fmt.Sprintf(" | %d%% %s%s", share.Percent, strings.TrimSuffix(share.Release+":"+ports(share.Primary), ":"), share.Nothing)
			if len(share.Backup) > 0 {
				line += " backup " + ports(share.Backup)
			}
		}
		if m.Shadow != nil {
			line += fmt.Sprintf(" | copies of %d%% to %s:%s", m.Shadow.Percent, m.Shadow.ID, ports(m.Shadow.Instances))
		}
		if m.Nothing != "" {
			line += " | " + string(m.Nothing)
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

func ports(instances []nginx.Instance) string {
	var out []string
	for _, in := range instances {
		out = append(out, fmt.Sprint(in.Addr.Port()))
	}
	return strings.Join(out, ",")
}

// step is what is staged next, and what follows.
type step struct {
	keys      map[string]key
	instances []instance
	proof     *proof
	stale     bool
	after     time.Duration // on the clock, since the step before
	want      string
	problem   string // part of what is told; "" for nothing
	wantProof bool
}

func TestMerge(t *testing.T) {
	b1, b2, g1 := at(blue, 1, false), at(blue, 2, false), at(green, 3, true)
	all := []instance{b1, b2, g1}
	blueOnly := kv(stableDoc(blue, 3), "")
	half := kv(stableDoc(blue, 3), canaryDoc(green, 50, 4))
	const stableLine = "iris 3/- | 100% " + blue + ":1,2"
	const halfLine = "iris 3/4 | 50% " + green + ":3 backup 1,2 | 50% " + blue + ":1,2"
	gone := &proof{Keys: map[string]uint64{}, Index: 200, Began: t0.Add(time.Hour)}
	for name, steps := range map[string][]step{
		"nothing is known": {{keys: kv("", ""), instances: []instance{}, want: ""}},
		"nothing is staged yet": {
			{keys: half, instances: all, want: halfLine},
			{want: halfLine},
		},
		"without a record the passing ones that are no canaries serve, then the last known": {
			{keys: kv("", ""), instances: all, want: "iris 0/- | 100% :1,2"},
			{keys: kv("", ""), instances: []instance{b2, g1}, want: "iris 0/- | 100% :2"},
			{keys: kv("", ""), instances: []instance{g1}, want: "iris 0/- | 100% :2"},
			{keys: kv("", ""), instances: []instance{}, want: "iris 0/- | 100% :2"},
			{keys: kv("", ""), instances: []instance{}, after: 11 * time.Minute, want: ""},
		},
		"without a record only canaries":    {{keys: kv("", ""), instances: []instance{g1}, want: "iris 0/- | weir_no_instance"}},
		"with a record only recorded ones":  {{keys: blueOnly, instances: all, want: stableLine}},
		"stable is none":                    {{keys: kv(stableDoc("none", 1), ""), instances: all, want: "iris 1/- | 100% weir_no_release"}},
		"half and half":                     {{keys: half, instances: all, want: halfLine}},
		"all to the canary":                 {{keys: kv(stableDoc(blue, 3), canaryDoc(green, 100, 4)), instances: all, want: "iris 3/4 | 100% " + green + ":3 backup 1,2"}},
		"a canary with weight 0":            {{keys: kv(stableDoc(blue, 3), canaryDoc(green, 0, 4)), instances: all, want: "iris 3/4 | 100% " + blue + ":1,2"}},
		"the first release at 100 %":        {{keys: kv(stableDoc("none", 1), canaryDoc(green, 100, 2)), instances: all, want: "iris 1/2 | 100% " + green + ":3"}},
		"the first release at 10 %":         {{keys: kv(stableDoc("none", 1), canaryDoc(green, 10, 2)), instances: all, want: "iris 1/2 | 10% " + green + ":3 | 90% weir_no_release"}},
		"canary and stable are one release": {{keys: kv(stableDoc(blue, 3), canaryDoc(blue, 50, 4)), instances: all, want: "iris 3/4 | 100% " + blue + ":1,2"}},
		"stale: no canary gets anything": {
			{keys: half, instances: all, want: halfLine},
			{keys: half, instances: all, stale: true, want: stableLine},
			{keys: half, instances: all, want: halfLine},
		},
		"the canary key goes: at once": {
			{keys: half, instances: all, want: halfLine},
			{keys: blueOnly, instances: all, want: stableLine},
		},
		"the canary key goes while stable is garbage: at once all the same": {
			{keys: half, instances: all, want: halfLine},
			{keys: kv("{", ""), instances: all, want: stableLine, problem: "stable key"},
		},
		"a canary key that a proof shows deleted": {
			{keys: half, instances: all, want: halfLine},
			{keys: half, instances: all, proof: &proof{Keys: map[string]uint64{traffic.StableKey("iris"): 100}, Index: 101}, want: stableLine},
		},
		"a canary key younger than the proof": {
			{keys: half, instances: all, proof: &proof{Keys: map[string]uint64{traffic.StableKey("iris"): 90}, Index: 99}, want: halfLine},
		},
		"garbage in either key leaves both as they were": {
			{keys: half, instances: all, want: halfLine},
			{keys: kv(stableDoc(green, 9), `{"release":"x"}`), instances: all, want: halfLine, problem: "canary key"},
			{keys: kv(`{"release":"$x","epoch":9}`, canaryDoc(green, 100, 9)), instances: all, want: halfLine, problem: "stable key"},
			{keys: kv(stableDoc(blue, 3), canaryDoc(green, 101, 9)), instances: all, want: halfLine, problem: "weight"},
			{keys: kv(stableDoc(blue, 0), canaryDoc(green, 1, 9)), instances: all, want: halfLine, problem: "epoch"},
		},
		"an old canary key is refused": {
			{keys: half, instances: all, want: halfLine},
			{keys: kv(stableDoc(blue, 3), canaryDoc(green, 100, 4)), instances: all, want: halfLine, problem: "highest seen, 4"},
			{keys: kv(stableDoc(blue, 3), canaryDoc(green, 100, 2)), instances: all, want: halfLine, problem: "highest seen, 4"},
			{keys: blueOnly, instances: all, want: stableLine},
			{keys: half, instances: all, want: stableLine, problem: "highest seen, 4"},
			{keys: kv(stableDoc(blue, 3), canaryDoc(green, 50, 5)), instances: all, want: strings.Replace(halfLine, "3/4", "3/5", 1)},
		},
		"a promotion is one step, and an older canary key can't follow it": {
			{keys: half, instances: all, want: halfLine},
			{keys: kv(stableDoc(green, 5), ""), instances: all, want: "iris 5/- | 100% " + green + ":3"},
			{keys: kv(stableDoc(green, 5), canaryDoc(blue, 50, 5)), instances: all, want: "iris 5/- | 100% " + green + ":3", problem: "highest seen, 5"},
		},
		"a canary without a stable key": {
			{keys: kv("", canaryDoc(green, 100, 4)), instances: all, want: "iris 0/- | 100% :1,2", problem: "no stable key"},
		},
		"an empty KV store is not believed before a proof": {
			{keys: half, instances: all, want: halfLine},
			{keys: kv("", ""), instances: all, want: stableLine, wantProof: true},
			{keys: kv("", ""), instances: []instance{}, proof: gone, want: "iris 0/- | 100% :1,2"},
			{keys: kv(stableDoc(blue, 1), canaryDoc(green, 100, 2)), instances: all, want: "iris 1/2 | 100% " + green + ":3 backup 1,2"},
		},
		"a stable epoch that falls is not believed before a proof": {
			{keys: half, instances: all, want: halfLine},
			{keys: kv(stableDoc(green, 1), ""), instances: all, want: stableLine, wantProof: true},
			{
				keys: kv(stableDoc(green, 1), ""), instances: all, want: "iris 1/- | 100% " + green + ":3",
				proof: &proof{Keys: map[string]uint64{traffic.StableKey("iris"): 100}, Index: 200, Began: t0.Add(time.Hour)},
			},
		},
		"a stable key made anew starts the epochs anew, once it is proved": {
			{keys: half, instances: all, want: halfLine},
			{keys: remade(half), instances: all, want: halfLine, wantProof: true},
			{
				keys: remade(kv(stableDoc(blue, 3), canaryDoc(green, 100, 2))), instances: all,
				want:  "iris 3/2 | 100% " + green + ":3 backup 1,2",
				proof: &proof{Keys: map[string]uint64{traffic.StableKey("iris"): 100, traffic.CanaryKey("iris"): 100}, Began: t0.Add(time.Hour)},
			},
		},
		"no instance passes: both sides keep the last known": {
			{keys: half, instances: all, want: halfLine},
			{keys: half, instances: []instance{}, want: halfLine},
		},
		"no stable instance passes: the canary is its backup, only while it has weight": {
			{keys: half, instances: all, want: halfLine},
			{keys: half, instances: []instance{g1}, want: "iris 3/4 | 50% " + green + ":3 backup 1,2 | 50% " + blue + ":1,2 backup 3"},
			{keys: kv(stableDoc(blue, 3), canaryDoc(green, 0, 5)), instances: []instance{g1}, want: "iris 3/5 | 100% " + blue + ":1,2"},
		},
		"no stable instance ever passed": {
			{keys: half, instances: []instance{g1}, want: "iris 3/4 | 50% " + green + ":3 | 50% " + blue + ":3"},
			{keys: blueOnly, instances: []instance{g1}, want: "iris 3/- | 100% " + blue + "weir_no_instance"},
		},
		"no canary instance passes: its share goes to stable": {
			{keys: half, instances: all, want: halfLine},
			{keys: half, instances: []instance{b1, b2}, want: "iris 3/4 | 100% " + blue + ":1,2"},
		},
		"a last known address that another release has taken is left out": {
			{keys: blueOnly, instances: []instance{b1, b2}, want: stableLine},
			{keys: blueOnly, instances: []instance{at(green, 1, true)}, want: "iris 3/- | 100% " + blue + ":2"},
		},
		"a release that is no longer recorded is forgotten": {
			{keys: blueOnly, instances: all, want: stableLine},
			{keys: kv(stableDoc(green, 4), ""), instances: all, want: "iris 4/- | 100% " + green + ":3"},
			{keys: kv(stableDoc(blue, 5), ""), instances: []instance{}, want: "iris 5/- | 100% " + blue + "weir_no_instance"},
		},
		"copies": {
			{keys: kv(stableDoc(blue, 3), shadowDoc(green, 0, 4)), instances: all, want: "iris 3/4 | 100% " + blue + ":1,2 | copies of 20% to " + green + ":3"},
			{keys: kv(stableDoc(blue, 3), shadowDoc(green, 0, 4)), instances: []instance{b1, b2}, want: "iris 3/4 | 100% " + blue + ":1,2"},
			{keys: kv(stableDoc(blue, 3), shadowDoc(green, 0, 4)), instances: []instance{g1}, want: "iris 3/4 | 100% " + blue + ":1,2 | copies of 20% to " + green + ":3"},
			{keys: kv(stableDoc(blue, 3), shadowDoc(green, 0, 4)), instances: all, stale: true, want: stableLine},
			{keys: kv(stableDoc(blue, 3), shadowDoc(green, 50, 5)), instances: all, want: "iris 3/5 | 50% " + green + ":3 backup 1,2 | 50% " + blue + ":1,2"},
			{keys: blueOnly, instances: all, want: stableLine},
		},
		"no copies for stable": {{keys: kv(stableDoc(blue, 3), shadowDoc(blue, 0, 4)), instances: all, want: "iris 3/4 | 100% " + blue + ":1,2"}},
	} {
		t.Run(name, func(t *testing.T) { follow(t, steps) })
	}
}

// follow takes the steps one after the other; what is known goes through its file format in between.
func follow(t *testing.T, steps []step) {
	t.Helper()
	var k known
	now := t0
	for i, s := range steps {
		now = now.Add(s.after)
		m := merge(k, staged{Keys: s.keys, KeysAt: t0, Instances: s.instances}, s.proof, 10*time.Minute, now)
		got := site(m.Known, s.instances, "", s.stale)
		if describe(got) != s.want {
			t.Errorf("step %d:\n got %s\nwant %s", i+1, strings.ReplaceAll(describe(got), "\n", "\n     "), s.want)
		}
		if err := got.Check(); err != nil {
			t.Errorf("step %d: %v", i+1, err)
		}
		if m.WantProof != s.wantProof {
			t.Errorf("step %d: wants a proof: %t, want %t", i+1, m.WantProof, s.wantProof)
		}
		if told := fmt.Sprint(m.Problems); (s.problem == "") != (len(m.Problems) == 0) || !strings.Contains(told, s.problem) {
			t.Errorf("step %d: told %v, want %q", i+1, m.Problems, s.problem)
		}
		k = throughJSON(t, m.Known)
	}
}

func throughJSON(t *testing.T, k known) known {
	t.Helper()
	text, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	var out known
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// What is wrong for one model does not touch another.
func TestMergeKeepsModelsApart(t *testing.T) {
	keys := kv("garbage", "garbage")
	keys[traffic.StableKey("wine")] = key{[]byte(stableDoc(blue, 1)), 1, 1}
	keys["weir/traffic/Bad_Name/stable"] = key{[]byte(stableDoc(blue, 1)), 1, 1}
	keys["weir/traffic/iris/sta ble"] = key{[]byte("{}"), 1, 1}
	wine := at(blue, 7, false)
	wine.Model = "wine"
	m := merge(known{}, staged{Keys: keys, KeysAt: t0, Instances: []instance{wine}}, nil, time.Minute, t0)
	got := describe(site(m.Known, []instance{wine}, "", false))
	want := "iris 0/- | weir_no_instance\nwine 1/- | 100% " + blue + ":7"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if len(m.Problems) != 4 {
		t.Errorf("told %v, want 4 problems", m.Problems)
	}
}

func TestForcedReleases(t *testing.T) {
	instances := []instance{at(blue, 1, false), at(green, 3, true), at("v0.9.0-cccccccc", 4, false)}
	m := merge(known{}, staged{Keys: kv(stableDoc(blue, 3), ""), Instances: instances}, nil, time.Minute, t0)
	var got []string
	for _, r := range site(m.Known, instances, "", false).Models[0].Releases {
		got = append(got, r.ID+":"+ports(r.Instances))
	}
	if want := []string{"v0.9.0-cccccccc:4", blue + ":1", green + ":3"}; !reflect.DeepEqual(got, want) {
		t.Errorf("a forced request reaches %v, want %v", got, want)
	}
}

func TestDefaultModel(t *testing.T) {
	m := merge(known{}, staged{Keys: kv(stableDoc(blue, 3), ""), Instances: []instance{}}, nil, time.Minute, t0)
	for want, configured := range map[string]string{"iris": "", "wine": "wine"} {
		got := site(m.Known, nil, configured, false)
		if got.Default != want {
			t.Errorf("with %q configured the default model is %q, want %q", configured, got.Default, want)
		}
		if err := got.Check(); err != nil {
			t.Errorf("with %q configured: %v", configured, err)
		}
	}
}
