package consul

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/weirhq/weir/internal/parts"
	"github.com/weirhq/weir/internal/traffic"
)

// agent starts a Consul that is a datacenter of its own.
func agent(t *testing.T, datacenter string) (string, *api.Client) {
	t.Helper()
	c, err := parts.StartConsul(t.Context(), parts.ConsulConfig{
		LogFile: filepath.Join(t.TempDir(), "consul.log"), Tied: true, Node: "node-" + datacenter,
		Args: []string{"-datacenter=" + datacenter}, Options: parts.Options{Progress: t.Output()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Errorf("stop Consul: %v", err)
		}
	})
	raw, err := api.NewClient(&api.Config{Address: c.Addr})
	if err != nil {
		t.Fatal(err)
	}
	return c.Addr, raw
}

// join makes two datacenters know each other.
func join(t *testing.T, a, b *api.Client) {
	t.Helper()
	members, err := b.Agent().Members(true)
	if err != nil || len(members) == 0 {
		t.Fatalf("the other's members: %v, %v", members, err)
	}
	if err := a.Agent().Join(fmt.Sprintf("%s:%d", members[0].Addr, members[0].Port), true); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		known, err := a.Catalog().Datacenters()
		if err == nil && slices.Contains(known, "south") {
			if _, err = a.Status().LeaderWithQueryOptions(&api.QueryOptions{Datacenter: "south"}); err == nil {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("the datacenters don't know each other: %v, %v", known, err)
		}
		time.Sleep(50 * time.Millisecond) // the pace of looking
	}
}

// Through the agent of one datacenter a guardian holds the lease of a model in another one.
func TestLeaseInAnotherDatacenter(t *testing.T) {
	north, a := agent(t, "north")
	south, b := agent(t, "south")
	join(t, a, b)
	c, err := NewIn(north, "south")
	if err != nil {
		t.Fatal(err)
	}
	there, err := New(south)
	if err != nil {
		t.Fatal(err)
	}
	lease, err := c.Acquire(t.Context(), "iris", "me")
	if err != nil {
		t.Fatal(err)
	}
	if err := lease.SetCanary(t.Context(), traffic.Canary{Release: "v1-aaaaaaaa", Weight: 5, Epoch: 3}); err != nil {
		t.Error(err)
	}
	keys, err := there.Traffic(t.Context(), "iris")
	if err != nil || keys.Canary == nil || keys.Canary.Weight != 5 || there.Holder(t.Context(), "iris") != "me" {
		t.Errorf("in its own datacenter the model has canary %+v, holder %q, %v", keys.Canary, there.Holder(t.Context(), "iris"), err)
	}
	lease.Release(t.Context())
	keys, err = there.Traffic(t.Context(), "iris")
	if err != nil || keys.Canary != nil || there.Holder(t.Context(), "iris") != "" {
		t.Errorf("after the lease the model has canary %+v, holder %q, %v", keys.Canary, there.Holder(t.Context(), "iris"), err)
	}
}
