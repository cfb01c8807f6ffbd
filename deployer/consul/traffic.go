package consul

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/hashicorp/consul/api"

	"github.com/weirhq/weir/internal/traffic"
)

// Keys is the traffic of one model as Consul holds it.
type Keys struct {
	Stable      *traffic.Stable // nil where there is no record
	StableIndex uint64          // ModifyIndex of the stable key
	Canary      *traffic.Canary
	CanaryOwner string // session that holds the canary key
	CanaryIndex uint64
}

// Traffic reads both keys of a model in one query.
func (c *Client) Traffic(ctx context.Context, model string) (Keys, error) {
	var k Keys
	pairs, _, err := c.api.KV().List(traffic.TrafficPrefix+model+"/", consistent(ctx))
	if err != nil {
		return k, fmt.Errorf("read the traffic of %s: %w", model, err)
	}
	for _, p := range pairs {
		switch p.Key {
		case traffic.StableKey(model):
			k.Stable, k.StableIndex = new(traffic.Stable), p.ModifyIndex
			err = json.Unmarshal(p.Value, k.Stable)
		case traffic.CanaryKey(model):
			k.Canary, k.CanaryOwner, k.CanaryIndex = new(traffic.Canary), p.Session, p.ModifyIndex
			if json.Unmarshal(p.Value, k.Canary) != nil {
				*k.Canary = traffic.Canary{} // somebody wrote over it: it is nobody's canary, and not as any record wants it
			}
		}
		if err != nil {
			return k, fmt.Errorf("read %s: %w; `consul kv get %s` shows it", p.Key, err, p.Key)
		}
	}
	return k, nil
}

// Ingresses returns what each live ingress serves. Its keys are ephemeral: a lost ingress is not in it.
func (c *Client) Ingresses(ctx context.Context) (map[string]traffic.Ingress, error) {
	pairs, _, err := c.api.KV().List(traffic.IngressPrefix, consistent(ctx))
	if err != nil {
		return nil, fmt.Errorf("read what the ingresses serve: %w", err)
	}
	out := make(map[string]traffic.Ingress, len(pairs))
	for _, p := range pairs {
		var in traffic.Ingress
		if p.Session == "" || json.Unmarshal(p.Value, &in) != nil {
			continue // left over, or not ours: it says nothing about a live ingress
		}
		out[strings.TrimPrefix(p.Key, traffic.IngressPrefix)] = in
	}
	return out, nil
}

// Instance is a registered instance of a model.
type Instance struct {
	Release, Version, Digest, Color string
	Canary                          bool
	Addr                            string
	Alloc                           string // Nomad's allocation id, where Nomad registered it
	Status                          string // Consul's: passing, warning, critical
	Output                          string // of the first check that does not pass
}

// Instances returns all registered instances of a model, whatever their health.
func (c *Client) Instances(ctx context.Context, model string) ([]Instance, error) {
	entries, _, err := c.api.Health().Service(model, traffic.ServiceTag, false, consistent(ctx))
	if err != nil {
		return nil, fmt.Errorf("read the health of %s: %w", model, err)
	}
	out := make([]Instance, 0, len(entries))
	for _, e := range entries {
		out = append(out, instance(e))
	}
	return out, nil
}

func instance(e *api.ServiceEntry) Instance {
	meta, host := e.Service.Meta, e.Service.Address
	if host == "" {
		host = e.Node.Address
	}
	in := Instance{
		Release: meta[traffic.MetaRelease], Version: meta[traffic.MetaVersion], Digest: meta[traffic.MetaDigest],
		Color: meta[traffic.MetaColor], Canary: meta[traffic.MetaCanary] == "true",
		Addr: fmt.Sprintf("%s:%d", host, e.Service.Port), Status: e.Checks.AggregatedStatus(),
		Alloc: allocOf(e.Service.ID),
	}
	for _, check := range e.Checks {
		if check.Status != api.HealthPassing {
			in.Output = strings.TrimSpace(check.Name + ": " + check.Output)
			break
		}
	}
	return in
}

// allocOf takes the allocation id out of Nomad's service id, `_nomad-task-<alloc>-group-…`.
func allocOf(serviceID string) string {
	const uuidLen = 36
	rest, ok := strings.CutPrefix(serviceID, "_nomad-task-")
	if !ok || len(rest) < uuidLen {
		return ""
	}
	return rest[:uuidLen]
}
