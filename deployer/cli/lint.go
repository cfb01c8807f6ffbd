package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/weirhq/weir/deployer/rollout"
	"github.com/weirhq/weir/deployer/spec"
)

func (a *app) lint() *cobra.Command {
	return &cobra.Command{
		Use:     "lint FILE…",
		Short:   "Check rollout.hcl files; errors name line and column",
		Example: `  deployer lint rollout.hcl`,
		Args:    args(cobra.MinimumNArgs(1)),
		RunE: func(_ *cobra.Command, files []string) error {
			specs := map[string]rollout.Spec{}
			for _, f := range files {
				s, err := spec.Load(f)
				if err != nil {
					return err
				}
				specs[f] = s
				if a.format == "text" {
					fmt.Fprintf(a.out, "%s: %s, %d steps, at least %s\n", f, s.Strategy, len(s.Steps), atLeast(s))
				}
			}
			if a.format == "json" {
				return a.printJSON(specs)
			}
			return nil
		},
	}
}

// atLeast is how long a rollout takes without placing and settling.
func atLeast(s rollout.Spec) time.Duration {
	d := s.Watch
	for _, step := range s.Steps {
		d += step.Bake
	}
	return time.Duration(d)
}
