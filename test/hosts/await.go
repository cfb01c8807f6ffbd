//go:build linux

package hosts

import (
	"context"
	"fmt"
	"os/exec"
	"time"
)

// Await asks again and again until there is no error or the context ends. It is for what sends no event.
func Await(ctx context.Context, what string, ask func(context.Context) error) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w (last: %w)", what, ctx.Err(), err)
		case <-tick.C:
		}
	}
}

// Build builds a program into the run's folder. flags go to go build.
func (n Network) Build(name, pkg string, flags ...string) error {
	args := append(append([]string{"build", "-o", n.Bin(name)}, flags...), pkg)
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil { //nolint:noctx // it ends by itself
		return fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	return nil
}
