package client

import "context"

// Differing compares with Consul and returns how many services are not there as they should be.
func (c *Client) Differing(ctx context.Context) int {
	c.consul.applying.Lock() // what is found stays to be seen
	defer c.consul.applying.Unlock()
	c.consul.compare(ctx)
	c.consul.mu.Lock()
	defer c.consul.mu.Unlock()
	return len(c.consul.dirty)
}

// CompareWithConsul compares with Consul now, as every few seconds.
func (c *Client) CompareWithConsul(ctx context.Context) {
	c.consul.compare(ctx)
	c.consul.flush(ctx)
}
