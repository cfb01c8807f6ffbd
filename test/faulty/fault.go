package main

import (
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirhq/weir/service/config"
)

// show is what goes wrong, and when.
type show struct {
	kind  string
	after int64         // answered predictions
	share float64       // of the predictions that show it, 0 to 1
	delay time.Duration // of a slow answer
	body  string        // the request that a wrong answer answers
}

// fault makes a server show what goes wrong, and lets it be changed while the server runs.
type fault struct {
	log      *slog.Logger
	answered atomic.Int64 // predictions

	mu  sync.Mutex
	now show
}

func (f *fault) settings() []config.Setting {
	return []config.Setting{
		{
			Flag: "fault-after", Env: "FAULT_AFTER", Default: "0",
			Usage: "number of answered predictions after which the fault shows", Set: f.now.setAfter,
		},
		{
			Flag: "fault-kind", Env: "FAULT_KIND", Default: "none",
			Usage: "the fault: " + strings.Join(kinds, ", "), Set: f.now.setKind,
		},
		{
			Flag: "fault-share", Env: "FAULT_SHARE", Default: "1",
			Usage: "part of the predictions that show errors, slowness, wrong answers or resets", Set: f.now.setShare,
		},
		{
			Flag: "fault-delay", Env: "FAULT_DELAY", Default: "500ms",
			Usage: "how long a slow answer waits", Set: f.now.setDelay,
		},
		{
			Flag: "fault-body", Env: "FAULT_BODY", Default: `{"x":[5.1,3.5,1.4,0.2]}`,
			Usage: "the request that a wrong answer answers", Set: f.now.setBody,
		},
	}
}

func (s *show) setAfter(v string) error {
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 0 {
		return errors.New("want a number of predictions, 0 or more")
	}
	s.after = n
	return nil
}

// kinds are the faults that there are.
var kinds = []string{"unhealthy", "errors", "slow", "wrong", "crash", "reset", "none"}

func (s *show) setKind(v string) error {
	if !slices.Contains(kinds, v) {
		return errors.New("want one of " + strings.Join(kinds, ", "))
	}
	s.kind = v
	return nil
}

func (s *show) setShare(v string) error {
	share, err := strconv.ParseFloat(v, 64)
	if err != nil || !(share >= 0 && share <= 1) {
		return errors.New("want a part of the predictions, from 0 to 1")
	}
	s.share = share
	return nil
}

func (s *show) setDelay(v string) error {
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 || d > time.Minute {
		return errors.New("want a duration from 0s to 1m, such as 500ms")
	}
	s.delay = d
	return nil
}

func (s *show) setBody(v string) error {
	s.body = v
	return nil
}

// shown is what goes wrong now; the kind is "none" before enough predictions were answered.
func (f *fault) shown() show {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.now
	if f.answered.Load() < s.after {
		s.kind = "none"
	}
	return s
}

// wrap counts the predictions, and lets /health and the requests show the fault.
func (f *fault) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := f.shown()
		switch {
		case r.URL.Path == controlPath:
			f.control(w, r)
			return
		case r.URL.Path == "/health" && s.kind == "unhealthy":
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, `{"status":"faulty"}`)
			return
		case r.URL.Path == "/predict":
			if s.kind == "reset" && rand.Float64() < s.share {
				panic(http.ErrAbortHandler) // net/http closes the connection, and the server has not seen the request
			}
			mistake(r, s)
			defer f.answered.Add(1)
		}
		next.ServeHTTP(w, r)
	})
}

// mistake puts another request's body in the place of this one's, where answers are to be wrong.
func mistake(r *http.Request, s show) {
	if s.kind == "wrong" && rand.Float64() < s.share {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(s.body)), int64(len(s.body))
	}
}

// computing lets the fault act within a prediction, so that the server's own metrics show it. The server answers a panic
// with status 500.
func (f *fault) computing(string) {
	s := f.shown()
	if rand.Float64() >= s.share {
		return
	}
	switch s.kind {
	case "errors":
		panic("injected fault")
	case "slow":
		time.Sleep(s.delay)
	case "crash":
		f.crash()
	}
}

func (f *fault) crash() {
	f.log.Error("injected crash")
	os.Exit(3)
}
