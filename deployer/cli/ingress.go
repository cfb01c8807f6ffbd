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
)

func (a *app) ingress() *cobra.Command {
	var cfg applier.Config
	host, _ := os.Hostname() // a missing name is refused below, with the flag's name
	cmd := &cobra.Command{
		Use:   "ingress --dir DIR",
		Short: "Run an ingress: nginx with weighted upstreams from Consul, reloaded without loss",
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
	f.BoolVar(&cfg.ExternalNginx, "external-nginx", false, "nginx is run by someone else, with <dir>/nginx/nginx.conf")
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
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-a.signals:
			stop()
		case <-ctx.Done():
		}
	}()
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
