// Package contract holds one behavioural suite over a Nomad agent: the embedded one, or a real one named by NOMAD_ADDR.
// The names of the tests say the facts about Nomad that they replay.
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

func TestMain(m *testing.M) {
	if os.Getenv(taskMode) != "" {
		if err := serveTask(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil { // the tests wait for most of their time
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
// "sick" (never passes its check), "crash" (ends at once).
func serveTask() error {
	fmt.Printf("start alloc=%s version=%s\n", os.Getenv("NOMAD_ALLOC_ID"), os.Getenv("VERSION"))
	mode := os.Getenv(taskMode)
	if mode == "crash" {
		return fmt.Errorf("crash, as told")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
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
	mux.HandleFunc("POST /sicken", func(http.ResponseWriter, *http.Request) { sick.Store(true) })
	mux.HandleFunc("POST /die", func(http.ResponseWriter, *http.Request) { os.Exit(1) })
	server := &http.Server{Addr: net.JoinHostPort("127.0.0.1", port), Handler: mux, ReadHeaderTimeout: time.Second}
	go func() { <-ctx.Done(); _ = server.Close() }()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
