package contract

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"
)

// stream is a subscription to events.
type stream struct {
	f       *fixture
	lines   *bufio.Scanner
	pending []api.Event
}

// follow subscribes to a topic from an index on.
func (f *fixture) follow(topic string, index uint64) *stream {
	f.t.Helper()
	s := &stream{f: f, lines: f.open(fmt.Sprintf("/v1/event/stream?topic=%s&index=%d", topic, index), http.DefaultTransport)}
	if !s.lines.Scan() || s.lines.Text() != "{}" {
		f.t.Fatalf("an empty object comes at once: %q", s.lines.Text())
	}
	return s
}

// open requests a path and returns the lines of the answer.
func (f *fixture) open(path string, transport http.RoundTripper) *bufio.Scanner {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.ctx, http.MethodGet, f.addr+path, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header.Set("X-Nomad-Token", f.token)
	resp, err := transport.RoundTrip(req)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = resp.Body.Close() })
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 32<<20)
	return lines
}

// batch returns the events of the next line that has any.
func (s *stream) batch() []api.Event {
	s.f.t.Helper()
	for s.lines.Scan() {
		var batch api.Events
		if err := json.Unmarshal(s.lines.Bytes(), &batch); err != nil {
			s.f.t.Fatal(err)
		}
		if len(batch.Events) > 0 {
			return batch.Events
		}
	}
	s.f.t.Fatalf("the stream ended: %v", s.lines.Err())
	return nil
}

func (s *stream) next() api.Event {
	s.f.t.Helper()
	if len(s.pending) == 0 {
		s.pending = s.batch()
	}
	e := s.pending[0]
	s.pending = s.pending[1:]
	return e
}

func TestEventStreamHeartbeat(t *testing.T) {
	f := newFixture(t)
	lines := f.open("/v1/event/stream?topic=Deployment:nothing", http.DefaultTransport)
	first := time.Now()
	var beats []time.Duration
	for len(beats) < 2 && lines.Scan() {
		if lines.Text() != "{}" {
			t.Fatalf("got %q", lines.Text())
		}
		beats = append(beats, time.Since(first))
	}
	if len(beats) != 2 || beats[0] > time.Second || beats[1] < 29*time.Second || beats[1] > 32*time.Second {
		t.Errorf("at_once_and_every_30s: %v, %v", beats, lines.Err())
	}
}

// TestSlowEventReader subscribes, reads nothing while more is written than is kept for it, and finds itself cut off.
func TestSlowEventReader(t *testing.T) {
	tg := theTarget(t)
	if !given() { // a Nomad of its own, or alone, for this drives out the events that other tests wait for
		t.Parallel()
		c, err := startCluster(clusterConfig{consulAddr: "127.0.0.1:1"})
		if err != nil {
			t.Fatal(err)
		}
		tg = c.target
	}
	f := fixtureOn(t, tg)
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	lines := f.open("/v1/event/stream?topic=Job:"+f.id, transport)
	if !lines.Scan() {
		t.Fatal(lines.Err())
	}
	const jobs = 150
	job := f.job(spec{count: 0, version: "1"})
	job.Meta = map[string]string{"big": strings.Repeat("x", 300<<10)}
	for i := range jobs {
		job.Meta["n"] = fmt.Sprint(i)
		if _, _, err := f.nomad.Jobs().Register(job, nil); err != nil {
			t.Fatal(err)
		}
	}
	last, ended := "", make(chan struct{})
	go func() {
		defer close(ended)
		for lines.Scan() {
			last = lines.Text()
		}
	}()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the stream goes on")
	}
	if strings.Contains(last, fmt.Sprintf(`"n":"%d"`, jobs-1)) {
		t.Error("everything came")
	}
	again := f.open("/v1/event/stream?topic=Job:"+f.id, http.DefaultTransport)
	for again.Scan() {
		if strings.Contains(again.Text(), fmt.Sprintf(`"n":"%d"`, jobs-1)) {
			return // who subscribes again is up to date
		}
	}
	t.Errorf("the newest event does not come to a new subscriber: %v", again.Err())
}
