package cli

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weirhq/weir/internal/applier"
	"github.com/weirhq/weir/internal/parts"
	"github.com/weirhq/weir/nginx"
)

func (a *app) ingress() *cobra.Command {
	var cfg applier.Config
	host, _ := os.Hostname() // a missing name is refused below, with the flag's name
	cmd := &cobra.Command{
		Example: `  deployer ingress --dir /var/lib/weir --listen 127.0.0.1:8086`,
		Use:     "ingress --dir DIR",
		Short:   "Run an ingress: nginx with weighted upstreams from Consul, reloaded without loss",
		Long: `Runs nginx and consul-template, applies what consul-template stages, and publishes what nginx really serves as
weir/ingress/<node>. Killed, it leaves nginx serving; started again, it takes that nginx over. jobs/ingress.nomad.hcl
runs it on Nomad.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.runIngress(cmd.Context(), cfg)
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.StateDir, "dir", "", "folder for configuration, last known good and logs (required)")
	f.StringVar(&cfg.Listen, "listen", "127.0.0.1:8086", "address and port of nginx")
	f.StringVar(&cfg.Node, "node", host, "name of this ingress, unique among all")
	f.StringVar(&cfg.DefaultModel, "default-model", "", "the model at / (default: the alphabetically first)")
	f.StringVar(&cfg.Nginx, "nginx", "", "path of nginx (default: WEIR_NGINX, else on PATH)")
	f.StringVar(&cfg.ConsulTemplate, "consul-template", "",
		"path of consul-template (default: WEIR_CONSUL_TEMPLATE, else on PATH, else built in a checkout)")
	f.DurationVar(&cfg.StaleAfter, "stale-after", 0, "without Consul for this long no canary gets requests (default 15s)")
	f.DurationVar(&cfg.RequestTimeout, "request-timeout", 0,
		"an instance that is silent for this long in a request is given up for another one (default 10s)")
	f.StringVar(&cfg.Metrics, "metrics", "127.0.0.1:0",
		"IP address and port where its counts are served, which must reach the deployer; port 0 is any, 'off' is none")
	f.BoolVar(&cfg.ExternalNginx, "external-nginx", false, "nginx is run beside it, by 'deployer ingress nginx'")
	cmd.AddCommand(a.ingressNginx())
	return cmd
}

func (a *app) ingressNginx() *cobra.Command {
	var dir, binary string
	cmd := &cobra.Command{
		Example: `  deployer ingress nginx --dir /var/lib/weir`,
		Use:     "nginx --dir DIR",
		Short:   "Run the nginx of an ingress with --external-nginx and the same folder",
		Long: `Waits for the ingress's first configuration and becomes nginx. Run by a supervisor of its own, nginx goes on serving
when the ingress process ends.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dir == "" {
				return usage("name the ingress's folder with --dir")
			}
			abs, err := filepath.Abs(dir)
			if err != nil {
				return err
			}
			if binary == "" {
				if binary, err = parts.Find(cmd.Context(), parts.Nginx, parts.Options{Progress: a.errs}); err != nil {
					return err
				}
			}
			ctx, stop := a.untilSignal(cmd.Context())
			defer stop()
			return nginx.Exec(ctx, binary, filepath.Join(abs, "nginx"), slog.New(slog.NewTextHandler(a.errs, nil)))
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "the ingress's folder (required)")
	cmd.Flags().StringVar(&binary, "nginx", "", "path of nginx (default: WEIR_NGINX, else on PATH)")
	return cmd
}

func (a *app) runIngress(ctx context.Context, cfg applier.Config) error {
	if cfg.StateDir == "" {
		return usage("name the ingress's folder with --dir")
	}
	var err error
	if cfg.StateDir, err = filepath.Abs(cfg.StateDir); err != nil {
		return err
	}
	opts := parts.Options{Progress: a.errs}
	if cfg.Nginx == "" {
		if cfg.Nginx, err = parts.Find(ctx, parts.Nginx, opts); err != nil {
			return err
		}
	}
	if cfg.ConsulTemplate == "" {
		if cfg.ConsulTemplate, err = parts.Find(ctx, parts.ConsulTemplate, opts); err != nil {
			return err
		}
	}
	cfg.ConsulAddr = consulHostPort(a.consulURL)
	cfg.Logger = slog.New(slog.NewTextHandler(a.errs, nil))
	ctx, stop := a.untilSignal(ctx)
	defer stop()
	return applier.Run(ctx, cfg)
}

// consulHostPort is the host:port of the Consul that a flag or the environment names.
func consulHostPort(flag string) string {
	addr := flag
	if addr == "" {
		addr = os.Getenv("CONSUL_HTTP_ADDR")
	}
	if addr == "" {
		return "127.0.0.1:8500"
	}
	return strings.TrimSuffix(strings.TrimPrefix(addr, "http://"), "/")
}
