package consul

import (
	"context"
	"fmt"
	"slices"
)

// anchor is the node that a session of this client belongs to: "" for the agent's own, and where a datacenter is named, a
// server of that one, as Consul knows no other node there for an agent of elsewhere.
func (c *Client) anchor(ctx context.Context) (string, error) {
	if c.datacenter == "" {
		return "", nil
	}
	servers, _, err := c.api.Catalog().Service("consul", "", consistent(ctx))
	if err != nil {
		return "", fmt.Errorf("find a server of Consul's datacenter %q: %w", c.datacenter, err)
	}
	if len(servers) == 0 {
		return "", fmt.Errorf("find a server of Consul's datacenter %q: it shows none; `consul catalog datacenters` lists the "+
			"datacenters that there are", c.datacenter)
	}
	names := make([]string, 0, len(servers))
	for _, s := range servers {
		names = append(names, s.Node)
	}
	return slices.Min(names), nil
}
