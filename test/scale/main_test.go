// Package scale measures one daemon (`deployer guard`) with many rollouts at once, and an ingress with many models. Consul,
// consul-template and nginx are the real ones. Nomad's server is the embedded agent's; its node and the instances are
// played by this package: they cost nothing, and their checks are set by hand.
package scale

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"
)

// asDaemon, in the environment, makes this test program the daemon under test.
const asDaemon = "WEIR_SCALE_DAEMON"

func TestMain(m *testing.M) {
	if os.Getenv(asDaemon) == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := runDaemon(ctx, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "daemon:", err)
		os.Exit(1)
	}
}
