// Package contract holds one behavioural suite over Nomad: the embedded agent, or a real Nomad. The names of the tests
// say the facts about Nomad that they replay; FACTS.md lists them all.
//
// The environment says what is tested; without any of it, the embedded agent is.
//
//	CONTRACT_NOMAD=/path/to/nomad  clusters of that program, which the suite starts and ends
//	NOMAD_ADDR=http://…            the Nomad that runs there. Its node and jobs are the suite's: it drains nodes
//	CONSUL_HTTP_ADDR=…             with NOMAD_ADDR: the Consul agent that this Nomad uses
//	NOMAD_TOKEN=…                  with NOMAD_ADDR, if it has ACLs: a management token
//	WEIR_NOMAD=/path/to/nomad      the command line for TestNomadCommandLine, else `nomad` on PATH
//
// Some facts take a Nomad that may lose nodes, or one with ACLs. With NOMAD_ADDR the suite starts these from
// CONTRACT_NOMAD, else from the command line if that is of the version that runs. What then can't be tested fails, and
// says what is missing: with NOMAD_ADDR nothing is left out.
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

// sickIf names a file: tasks that have it in their environment are sick while it exists.
const sickIf = "CONTRACT_SICK_IF"

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
	parallel := "16" // the tests wait for most of their time
	if given() || realBinary() != "" {
		parallel = "8" // a real Nomad starts two processes of its own for each task
	}
	if err := flag.Set("test.parallel", parallel); err != nil {
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
// "sick" (never passes its check), "slow" (passes it after 2 s), "crash" (ends at once), "stubborn" (must be killed).
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
	start := time.Now()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		_, err := os.Stat(os.Getenv(sickIf))
		if sick.Load() || err == nil || mode == "slow" && time.Since(start) < 2*time.Second {
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
