// Package contract holds one behavioural suite over Nomad: the embedded agent, or a real Nomad. The names of the tests
// say the facts about Nomad that they replay; FACTS.md lists them all.
//
//	go test ./test/contract                            the embedded agent
//	CONTRACT_NOMAD=/path/to/nomad go test …            clusters of that binary, which the suite starts: needs root
//	NOMAD_ADDR=… [NOMAD_TOKEN=…] CONSUL_HTTP_ADDR=…    a Nomad that runs; it is not asked to lose nodes
//	WEIR_NOMAD=/path/to/nomad                          the command line for TestNomadCommandLine, else from PATH
package contract

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// taskMode is set in the environment of tasks: the test binary is the tasks' program too.
const taskMode = "CONTRACT_TASK"

// nodeMode is set where the test binary is a node of the embedded agent.
const nodeMode = "CONTRACT_NODE"

func TestMain(m *testing.M) {
	for mode, serve := range map[string]func() error{taskMode: serveTask, nodeMode: serveNode} {
		if os.Getenv(mode) == "" {
			continue
		}
		if err := serve(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	if err := flag.Set("test.parallel", "16"); err != nil { // the tests wait for most of their time
		panic(err)
	}
	code := m.Run()
	stopShared()
	if code == 0 {
		if err := goleak.Find(goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
			goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// serveTask is a task: it answers on its port until it is told to stop. CONTRACT_TASK says how it behaves: "good",
// "sick" (never passes its check), "crash" (ends at once), "stubborn" (must be killed).
func serveTask() error {
	fmt.Printf("start alloc=%s version=%s\n", os.Getenv("NOMAD_ALLOC_ID"), os.Getenv("VERSION"))
	mode := os.Getenv(taskMode)
	if mode == "crash" {
		return fmt.Errorf("crash, as told")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if mode == "stubborn" {
		ctx = context.Background() // the signal is caught, and that is all
	}
	port := os.Getenv("NOMAD_PORT_http")
	if port == "" {
		<-ctx.Done()
		return nil
	}
	var sick atomic.Bool
	sick.Store(mode == "sick")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		if sick.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("GET /pid", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, os.Getpid()) })
	mux.HandleFunc("POST /sicken", func(http.ResponseWriter, *http.Request) { sick.Store(true) })
	mux.HandleFunc("POST /die", func(http.ResponseWriter, *http.Request) { os.Exit(1) })
	server := &http.Server{Addr: net.JoinHostPort("127.0.0.1", port), Handler: mux, ReadHeaderTimeout: time.Second}
	go func() { <-ctx.Done(); _ = server.Close() }()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
