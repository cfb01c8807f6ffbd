package cli

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/weirhq/weir/deployer/consul"
	"github.com/weirhq/weir/deployer/rollout"
)

// completeModels completes the first argument with the models that Consul knows, and further ones of `status`.
func (a *app) completeModels(cmd *cobra.Command, given []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(given) > 0 && cmd.Name() != "status" {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.complete(cmd.Context(), func(ctx context.Context, c *consul.Client) ([]string, error) { return c.Models(ctx) })
}

// completeModelThenFile completes a model and leaves the second argument to the shell: it is a file.
func (a *app) completeModelThenFile(cmd *cobra.Command, given []string, to string) ([]string, cobra.ShellCompDirective) {
	if len(given) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return a.completeModels(cmd, given, to)
}

// completeReleases completes a flag with the releases of the model's history.
func (a *app) completeReleases(cmd *cobra.Command, given []string, _ string) ([]string, cobra.ShellCompDirective) {
	return a.completeHistory(cmd, given, func(r rollout.Record) []string { return []string{r.Release, r.Stable} })
}

// completeRollouts completes a model and then the id of one of its rollouts.
func (a *app) completeRollouts(cmd *cobra.Command, given []string, to string) ([]string, cobra.ShellCompDirective) {
	switch len(given) {
	case 0:
		return a.completeModels(cmd, given, to)
	case 1:
		return a.completeHistory(cmd, given, func(r rollout.Record) []string { return []string{r.ID} })
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) completeHistory(
	cmd *cobra.Command, given []string, of func(rollout.Record) []string,
) ([]string, cobra.ShellCompDirective) {
	if len(given) == 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.complete(cmd.Context(), func(ctx context.Context, c *consul.Client) ([]string, error) {
		records, err := c.History(ctx, given[0])
		var out []string
		for _, r := range records {
			for _, word := range of(r.Record) {
				if word != "" && word != rollout.None && !slices.Contains(out, word) {
					out = append(out, word)
				}
			}
		}
		return out, err
	})
}

// complete asks Consul for words, for as long as a person waits for a completion. Without an answer there are none.
func (a *app) complete(
	ctx context.Context, ask func(context.Context, *consul.Client) ([]string, error),
) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	c, err := a.consul(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	words, err := ask(ctx, c)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}
