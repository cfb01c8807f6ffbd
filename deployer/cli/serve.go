package cli

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/weirhq/weir/deployer/access"
	"github.com/weirhq/weir/deployer/consul"
	"github.com/weirhq/weir/deployer/serve"
)

func (a *app) serve() *cobra.Command {
	var cfg serve.Config
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Guard all rollouts, as 'guard' does, and serve the dashboard and the HTTP API",
		Long: `Takes over each rollout that has lost its guardian, and serves a dashboard and an API (/api/v1/openapi.json) until
stopped. Without --tokens it serves loopback only, and whoever reaches it may do everything. With --tokens it asks for a
token: as a bearer token in the API, in a form in the browser. 'deployer token' makes them.`,
		Example: `  deployer serve
  deployer serve --listen 0.0.0.0:8088 --tokens tokens.json --tls-cert cert.pem --tls-key key.pem`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runServe(cmd.Context(), cfg) },
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Listen, "listen", serve.DefaultListen, "address and port; another than loopback takes --tokens")
	f.StringVar(&cfg.Tokens, "tokens", "", "file of tokens; it is read anew when it has changed")
	f.StringVar(&cfg.TLSCert, "tls-cert", "", "certificate, as PEM (default: plain HTTP)")
	f.StringVar(&cfg.TLSKey, "tls-key", "", "its private key, as PEM")
	return cmd
}

func (a *app) runServe(ctx context.Context, cfg serve.Config) error {
	if (cfg.TLSCert == "") != (cfg.TLSKey == "") {
		return usage("--tls-cert and --tls-key belong together")
	}
	a.verbose = true
	ctx, stop := a.untilSignal(ctx)
	defer stop()
	var err error
	if cfg.Nomad, err = a.nomad(); err != nil {
		return err
	}
	if cfg.Consul, err = consul.NewIn(a.consulURL, a.place.consul()); err != nil {
		return err
	}
	cfg.Log = slog.New(slog.NewTextHandler(a.errs, nil))
	return serve.Run(ctx, cfg, func(url string) { fmt.Fprintf(a.out, "dashboard %s\n", url) })
}

func (a *app) token() *cobra.Command {
	var role string
	var models []string
	cmd := &cobra.Command{
		Use:   "token NAME --role ROLE",
		Short: "Make a token for 'deployer serve --tokens', and its entry for the file",
		Long: `Prints a random token, which is kept nowhere, and the entry for the file of tokens, which holds its hash alone:

  {"tokens": [ENTRY, …]}

A viewer sees; an operator promotes, pauses, resumes, aborts, reverts and decides at gates; an admin also sets weights by
hand and goes back by force.`,
		Example: `  deployer token ann --role operator --models 'iris,fraud-*'`,
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, given []string) error {
			secret, line, err := access.NewToken(access.Principal{Name: given[0], Role: access.Role(role), Models: models})
			if err != nil {
				return usage("%w", err)
			}
			fmt.Fprintf(a.errs, "token: %s\n", secret)
			fmt.Fprintln(a.out, line)
			return nil
		},
	}
	cmd.Flags().StringVar(&role, "role", string(access.Viewer), "viewer, operator or admin")
	cmd.Flags().StringSliceVar(&models, "models", []string{"*"}, "models that it is for, as globs")
	return cmd
}
