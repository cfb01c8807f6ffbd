package client

import (
	"context"
	"errors"
)

// Leave ends the client but neither its tasks nor their services: a client of a later process with the same data folder
// goes on with them by Restore. This process should end soon after, since it is no more there for what becomes of them.
func (c *Client) Leave(ctx context.Context) error {
	c.mu.Lock()
	already := c.closed
	c.closed = true
	c.mu.Unlock()
	if already {
		return nil
	}
	if c.consul != nil {
		c.consul.flush(ctx)
	}
	c.updates.close(ctx)
	c.stop()
	return errors.Join(c.loops.Wait(), c.store.close())
}
