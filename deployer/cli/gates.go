package cli

import (
	"github.com/spf13/cobra"

	"github.com/weirhq/weir/deployer/rollout"
)

// request is a command that asks one thing of the rollout under way.
func (a *app) request(verb rollout.Verb, use, short, long, example string) *cobra.Command {
	q := rollout.Request{Verb: verb}
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long, Example: "  deployer " + example,
		ValidArgsFunction: a.completeModels,
		Args:              args(cobra.ExactArgs(1)),
		RunE:              func(cmd *cobra.Command, given []string) error { return a.ask(cmd.Context(), given[0], q) },
	}
	cmd.Flags().StringVar(&q.Why, "why", "", "reason, for the record")
	return cmd
}

func (a *app) pause() *cobra.Command {
	return a.request(rollout.VerbPause, "pause MODEL", "Hold the rollout under way at its present weight",
		`Holds the rollout of the model at its present weight, until 'deployer resume'. The kill-switch stays on: a canary that
turns bad is still taken back. Before the first request, and while a weight moves, it holds as soon as that is done.`, `pause iris --why "looking at the errors"`)
}

func (a *app) resume() *cobra.Command {
	return a.request(rollout.VerbResume, "resume MODEL", "End a pause: the step is taken up again, with its bake anew", "", "resume iris")
}

func (a *app) abort() *cobra.Command {
	var q rollout.Request
	cmd := &cobra.Command{
		Use:   "abort MODEL",
		Short: "Take the rollout under way back",
		Long: `Takes the rollout of the model back: all requests go to the stable release, then Nomad's job goes back. With --force
also where no instance of the stable release is healthy. Without a rollout under way it changes nothing: 'deployer
revert' goes back to the release before the stable one.`,
		Example: `  deployer abort iris --why "customers complain"`,

		ValidArgsFunction: a.completeModels,
		Args:              args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, given []string) error {
			q.Verb = rollout.VerbRevert
			return asked(a.ask(cmd.Context(), given[0], q))
		},
	}
	cmd.Flags().StringVar(&q.Why, "why", "", "reason, for the record")
	cmd.Flags().BoolVar(&q.Force, "force", false, "also where nothing healthy is left to go back to")
	return cmd
}

func (a *app) gate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "gate",
		Short: "Decide at a gate where a rollout waits for a person",
		Example: `  deployer gate approve iris
  deployer gate reject iris --why "not today"`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	reject := a.request(rollout.VerbReject, "reject MODEL", "Take the rollout that waits at a gate back", "",
		`gate reject iris --why "the numbers are not good enough"`)
	run := reject.RunE
	reject.RunE = func(cmd *cobra.Command, given []string) error { return asked(run(cmd, given)) }
	cmd.AddCommand(
		a.request(rollout.VerbApprove, "approve MODEL", "Let the rollout that waits at a gate go on",
			`Lets the rollout of the model pass the gate at which it waits. Who did so and why is in the record. Where the analysis
had not seen enough for a verdict, the approval is recorded as an override of it.`, `gate approve iris --why "checked by hand"`), reject)
	return cmd
}
