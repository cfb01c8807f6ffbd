package devnomad

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// programs are what the test binary is when it is started again by a test: a task, or an agent that is to be killed.
var programs = map[string]func(ctx context.Context) error{"task": serveTask, "agent": runAgent, "node": runTestNode}

func TestMain(m *testing.M) {
	if program := programs[os.Getenv("DEVNOMAD_TEST")]; program != nil {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
		defer stop()
		if err := program(ctx); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// serveTask answers requests with its process number until it is told to end.
func serveTask(ctx context.Context) error {
	fmt.Println("version", os.Getenv("VERSION"))
	server := &http.Server{
		Addr: net.JoinHostPort(os.Getenv("NOMAD_IP_http"), os.Getenv("NOMAD_PORT_http")), ReadHeaderTimeout: time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, os.Getpid()) }),
	}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// runTestNode runs a node as the environment says.
func runTestNode(ctx context.Context) error {
	return RunNode(ctx, NodeConfig{
		Server: os.Getenv("SERVER"), DataDir: os.Getenv("DATA"), Name: "n1",
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
}

// runAgent runs an agent as the environment says.
func runAgent(ctx context.Context) error {
	a, err := New(Config{
		Addr: os.Getenv("ADDR"), ConsulAddr: os.Getenv("CONSUL"), DataDir: os.Getenv("DATA"), NodeName: "n",
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)), Keep: os.Getenv("KEEP") == "true",
	})
	if err != nil {
		return err
	}
	return a.Run(ctx)
}
