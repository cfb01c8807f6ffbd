package parts

import (
	"context"
	"fmt"
	"time"
)

// Supervise runs the child until ctx ends, then stops it and returns nil. If the child ends by itself, it is started
// again after a growing pause where Restart is set; otherwise Supervise returns how it ended, nil for exit code 0. A
// child that can't be started at all is an error at once.
func Supervise(ctx context.Context, c Child) error {
	c = c.withDefaults()
	pause := c.BackoffMin
	for {
		began := time.Now()
		ended, err := runOnce(ctx, c)
		if !ended || !c.Restart {
			return err
		}
		if time.Since(began) > c.BackoffMax {
			pause = c.BackoffMin
		}
		c.Logger.Warn("part ended, starting it again", "part", c.Name, "err", err, "pause", pause)
		if !sleep(ctx, pause) {
			return nil
		}
		pause = min(2*pause, c.BackoffMax)
	}
}

// runOnce runs the child and reports whether it ended by itself, and how or what else went wrong.
func runOnce(ctx context.Context, c Child) (ended bool, err error) {
	if ctx.Err() != nil {
		return false, nil
	}
	r, err := Start(c)
	if err != nil {
		return false, err
	}
	if c.OnStart != nil {
		c.OnStart(r)
	}
	select {
	case <-ctx.Done():
		return false, r.Stop()
	case <-r.Done():
	}
	if err := r.Err(); err != nil {
		return true, fmt.Errorf("run %s: %w", c.Name, err)
	}
	return true, nil
}

// sleep reports whether the pause passed before ctx ended.
func sleep(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
