package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/weirhq/weir/deployer/dev"
	"github.com/weirhq/weir/deployer/serve"
	"github.com/weirhq/weir/internal/traffic"
)

type devFlags struct {
	dir, listen           string
	dashboard             string
	consulPort, nomadPort int
	readyFD               int
	embedded              bool
}

func (a *app) dev() *cobra.Command {
	var f devFlags
	cmd := &cobra.Command{
		Example: `  deployer dev`,
		Use:     "dev",
		Short:   "Run Consul, Nomad and an ingress on this machine, to try Weir out",
		Long: `Runs the parts of Weir on this machine until Ctrl-C: Consul (from PATH, else built once), Nomad (NOMAD_ADDR, else
'nomad agent -dev' from PATH, else an embedded agent), and an ingress with nginx and consul-template.`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runDev(cmd.Context(), f) },
	}
	p := cmd.PersistentFlags()
	p.StringVar(&f.dir, "dir", ".weir", "folder for state and logs")
	p.StringVar(&f.listen, "listen", "127.0.0.1:8086", "address and port of nginx")
	p.StringVar(&f.dashboard, "dashboard", "", "address and port of the dashboard, or none (default: "+serve.DefaultListen+
		" if that is free, else a free port)")
	p.IntVar(&f.consulPort, "consul-port", 0, "port of Consul (default: 8500 if it is free, else a free one)")
	p.IntVar(&f.nomadPort, "nomad-port", 0, "port of Nomad (default: 4646 if it is free, else a free one)")
	p.BoolVar(&f.embedded, "embedded", false, "use the embedded agent even where there is a Nomad")
	cmd.Flags().IntVar(&f.readyFD, "ready-fd", 0, "tell this file descriptor when the system is up")
	_ = cmd.Flags().MarkHidden("ready-fd") // exists
	cmd.AddCommand(a.devUp(&f), a.devDown(&f), a.devParts(), a.devEnv(&f))
	return cmd
}

func (a *app) devUp(f *devFlags) *cobra.Command {
	return &cobra.Command{
		Example: `  deployer dev up`,
		Use:     "up", Short: "The same in the background; returns when it is up", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if running, alive, err := dev.Running(f.dir); err != nil || alive {
				fmt.Fprintf(a.errs, "runs already: %s\n", running.Ingress)
				return err
			}
			if err := dev.Parts(cmd.Context(), a.out); err != nil {
				return err
			}
			cfg, err := a.devConfig(cmd.Context(), *f)
			if err != nil {
				return err
			}
			extra := []string{
				"--listen", f.listen, "--dashboard", f.dashboard, "--consul-port", strconv.Itoa(f.consulPort),
				"--nomad-port", strconv.Itoa(f.nomadPort), fmt.Sprintf("--embedded=%t", f.embedded),
			}
			addr, err := dev.Detach(cmd.Context(), cfg, extra)
			if err != nil {
				return err
			}
			a.showAddresses(addr)
			return nil
		},
	}
}

func (a *app) devDown(f *devFlags) *cobra.Command {
	return &cobra.Command{
		Example: `  deployer dev down`,
		Use:     "down", Short: "End the system and all that it started", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			was, err := dev.Down(cmd.Context(), f.dir)
			if err == nil && !was {
				fmt.Fprintln(a.errs, "nothing was running")
			}
			return err
		},
	}
}

func (a *app) devParts() *cobra.Command {
	return &cobra.Command{
		Example: `  deployer dev parts`,
		Use:     "parts", Short: "Find nginx, consul-template and Consul, building what can be built", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return dev.Parts(cmd.Context(), a.out) },
	}
}

func (a *app) devEnv(f *devFlags) *cobra.Command {
	return &cobra.Command{
		Example: `  eval "$(deployer dev env)"`,
		Use:     "env", Short: "Print the environment that points at the system, for eval", Args: args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			addr, alive, err := dev.Running(f.dir)
			if err != nil {
				return err
			}
			if !alive {
				return fmt.Errorf("nothing runs in %s: `deployer dev up` starts it", f.dir)
			}
			for _, e := range addr.Environ() {
				fmt.Fprintln(a.out, "export", e)
			}
			return nil
		},
	}
}

func (a *app) devConfig(ctx context.Context, f devFlags) (dev.Config, error) {
	self, err := os.Executable()
	if err != nil {
		return dev.Config{}, fmt.Errorf("find this program: %w", err)
	}
	dir, err := filepath.Abs(f.dir)
	if err != nil {
		return dev.Config{}, err
	}
	return dev.Config{
		Dir: dir, Listen: f.listen, Dashboard: dashboardOf(ctx, f.dashboard), Embedded: f.embedded, Deployer: self, Progress: a.out,
		ConsulPort: preferred(ctx, f.consulPort, 8500), NomadPort: preferred(ctx, f.nomadPort, 4646),
		Logger: slog.New(slog.NewTextHandler(a.errs, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}, nil
}

// preferred returns the port that was asked for, else the usual one if it is free, else 0 for any.
func preferred(ctx context.Context, asked, usual int) int {
	if asked != 0 {
		return asked
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(usual)))
	if err != nil {
		return 0
	}
	_ = l.Close() // it was only a try
	return usual
}

// dashboardOf is where the dashboard is to be; "" for none.
func dashboardOf(ctx context.Context, asked string) string {
	switch asked {
	case "none":
		return ""
	case "":
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(preferred(ctx, 0, 8088)))
	}
	return asked
}

func (a *app) runDev(ctx context.Context, f devFlags) error {
	cfg, err := a.devConfig(ctx, f)
	if err != nil {
		return err
	}
	ctx, stop := a.untilSignal(ctx)
	defer stop()
	return dev.Run(ctx, cfg, func(addr dev.Addresses) {
		if f.readyFD == 0 {
			a.showAddresses(addr)
			fmt.Fprintln(a.out, "Ctrl-C ends it.")
			return
		}
		ready := os.NewFile(uintptr(f.readyFD), "ready")
		_ = json.NewEncoder(ready).Encode(addr) // whoever asked may have gone; the system is up all the same
		_ = ready.Close()
	})
}

func (a *app) showAddresses(addr dev.Addresses) {
	fmt.Fprintf(a.out, "up: requests go to %s/predict, the header %s of an answer names its release\n",
		addr.Ingress, traffic.HeaderRelease)
	if addr.Dashboard != "" {
		fmt.Fprintf(a.out, "dashboard: %s\n", addr.Dashboard)
	}
	for _, e := range addr.Environ() {
		fmt.Fprintln(a.out, "  export", e)
	}
}
