package world

import (
	"strings"
	"testing"
	"time"

	"github.com/weirhq/weir/deployer/consul"
	"github.com/weirhq/weir/deployer/nomad"
	"github.com/weirhq/weir/deployer/rollout"
)

func TestSide(t *testing.T) {
	got := side(rollout.Side{Running: 3}, []consul.Instance{
		{Release: "a", Status: "passing"},
		{Release: "b", Status: "passing"},
		{Release: "a", Status: "warning"},
		{Release: "a", Status: "critical", Addr: "127.0.0.1:1", Output: strings.Repeat("x", 300)},
	}, "a")
	if got.Passing != 1 || got.Critical != 1 || got.Running != 3 {
		t.Errorf("%+v", got)
	}
	if !strings.HasPrefix(got.Trouble, "instance 127.0.0.1:1") || len(got.Trouble) > 250 {
		t.Errorf("trouble %q", got.Trouble)
	}
	if got := side(rollout.Side{Trouble: "Nomad's"}, []consul.Instance{
		{Release: "a", Status: "critical", Output: "Consul's"},
	}, "a"); got.Trouble != "Nomad's" {
		t.Errorf("trouble %q", got.Trouble)
	}
}

func TestEarlierAttemptsDoNotCount(t *testing.T) {
	instances := []consul.Instance{{Alloc: "lost"}, {Alloc: "new"}, {Alloc: ""}}
	view := nomad.View{Canary: nomad.Allocs{IDs: []string{"new", "other"}}}
	if got := ofAttempt(instances, view); len(got) != 2 || got[0].Alloc != "new" || got[1].Alloc != "" {
		t.Errorf("%+v", got)
	}
	if got := ofAttempt(instances, nomad.View{}); len(got) != 3 {
		t.Errorf("%d instances count while Nomad can't be asked, want all 3", len(got))
	}
}

func TestAdoptable(t *testing.T) {
	in := func(release, status string, canary bool) consul.Instance {
		return consul.Instance{Release: release, Status: status, Canary: canary}
	}
	for name, tt := range map[string]struct {
		in   []consul.Instance
		want string
	}{
		"nothing":       {nil, ""},
		"only canaries": {[]consul.Instance{in("a", "passing", true)}, ""},
		"not passing":   {[]consul.Instance{in("a", "critical", false)}, ""},
		"no release":    {[]consul.Instance{in("", "passing", false)}, ""},
		"most": {[]consul.Instance{
			in("a", "passing", false), in("b", "passing", false), in("b", "passing", false),
		}, "b"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := adoptable(tt.in); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestLostIngress(t *testing.T) {
	seen := func(nodes ...string) map[string]consul.Served {
		out := map[string]consul.Served{}
		for _, n := range nodes {
			out[n] = consul.Served{}
		}
		return out
	}
	w := New(nil, nil, nil, consul.Stored{}, false)
	for i, tt := range []struct {
		alive []string
		lost  bool
	}{
		{[]string{"a", "b"}, false},
		{[]string{"a"}, true},
		{[]string{"a"}, true},
		{[]string{"a", "b"}, false},
		{nil, true},
	} {
		if got := w.lostIngress(seen(tt.alive...)); got.IsZero() == tt.lost {
			t.Errorf("look %d, alive %v: lost at %v", i, tt.alive, got)
		}
	}
	// A successor can't know which were lost before.
	w = New(nil, nil, nil, consul.Stored{}, true)
	if got := w.lostIngress(seen("a")); time.Since(got) > time.Second {
		t.Errorf("a successor has lost its last ingress at %v", got)
	}
}
