package main

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/weirhq/weir/service/config"
)

// fault is what goes wrong, and when.
type fault struct {
	kind     string
	after    int64
	delay    time.Duration
	answered atomic.Int64 // predictions
	log      *slog.Logger
}

func (f *fault) settings() []config.Setting {
	return []config.Setting{
		{
			Flag: "fault-after", Env: "FAULT_AFTER", Default: "0",
			Usage: "number of answered predictions after which the fault shows", Set: f.setAfter,
		},
		{
			Flag: "fault-kind", Env: "FAULT_KIND", Default: "none",
			Usage: "the fault: unhealthy, errors, slow, crash or none", Set: f.setKind,
		},
		{
			Flag: "fault-delay", Env: "FAULT_DELAY", Default: "500ms",
			Usage: "how long a slow answer waits", Set: f.setDelay,
		},
	}
}

func (f *fault) setAfter(v string) error {
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 0 {
		return errors.New("want a number of predictions, 0 or more")
	}
	f.after = n
	return nil
}

func (f *fault) setKind(v string) error {
	switch v {
	case "unhealthy", "errors", "slow", "crash", "none":
		f.kind = v
		return nil
	}
	return errors.New("want unhealthy, errors, slow, crash or none")
}

func (f *fault) setDelay(v string) error {
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 || d > time.Minute {
		return errors.New("want a duration from 0s to 1m, such as 500ms")
	}
	f.delay = d
	return nil
}

// shows says whether enough predictions were answered without the fault.
func (f *fault) shows() bool { return f.answered.Load() >= f.after }

// wrap counts the predictions, and lets /health show the fault.
func (f *fault) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/health" && f.shows() && f.kind == "unhealthy" {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, `{"status":"faulty"}`)
			return
		}
		next.ServeHTTP(w, r)
		if r.URL.Path == "/predict" {
			f.answered.Add(1)
		}
	})
}

// computing lets the fault act within a prediction, so that the server's own metrics show it. The server answers a panic
// with status 500.
func (f *fault) computing(string) {
	if !f.shows() {
		return
	}
	switch f.kind {
	case "errors":
		panic("injected fault")
	case "slow":
		time.Sleep(f.delay)
	case "crash":
		f.log.Error("injected crash")
		os.Exit(3)
	}
}
