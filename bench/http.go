package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/weirhq/weir/service/model"
)

// connections is how many clients ask at the same time.
const connections = 32

// load1 is what wrk measured in one round.
type load1 struct {
	PerSecond float64 `json:"rps"`
	P50       float64 `json:"p50"` // milliseconds
	P99       float64 `json:"p99"`
	Errors    int     `json:"errors"`
}

// race is one model with all that serve it.
type race struct {
	title   string
	model   string
	servers []*server
}

// measureHTTP lets all servers of a model run, and loads one at a time, round by round.
func measureHTTP(ctx context.Context, p *plan, r *results) error {
	for _, rc := range []*race{
		{title: "StandardScaler and LogisticRegression", model: "logistic.pkl"},
		{title: "RandomForestClassifier, 100 trees of depth 12", model: "forest.pkl"},
	} {
		fmt.Fprintln(os.Stderr, " ", rc.title)
		if err := rc.run(ctx, p, r); err != nil {
			return err
		}
		r.races = append(r.races, rc)
	}
	return nil
}

func (rc *race) run(ctx context.Context, p *plan, r *results) (err error) {
	labels, x, err := p.expected(rc.model)
	if err != nil {
		return err
	}
	for _, s := range p.servers(rc.model) {
		if r.failed[s.family] != nil {
			continue
		}
		err := s.start(ctx, p)
		if s.run != nil {
			defer func() { err = errors.Join(err, s.run.Stop()) }()
		}
		if err == nil {
			err = s.agrees(ctx, x[:columns], labels[0])
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			r.failed[rc.model+" "+s.name] = err
			continue
		}
		rc.servers = append(rc.servers, s)
	}
	for round := range p.rounds + 1 { // the first one warms up
		for i := range rc.servers {
			s := rc.servers[(i+round)%len(rc.servers)]
			length := p.http
			if round == 0 {
				length = time.Second
			}
			l, err := s.wrk(ctx, p, x, length)
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case err != nil:
				r.failed[rc.model+" "+s.name+fmt.Sprintf(", round %d", round)] = err
			case round > 0:
				s.rounds = append(s.rounds, l)
			}
		}
	}
	return nil
}

// expected returns the labels of the first rows, and all rows.
func (p *plan) expected(file string) ([]float64, []float64, error) {
	m, _, err := model.LoadFile(p.models(file), "")
	if err != nil {
		return nil, nil, err
	}
	x, err := readRows(p.models("rows.f64"))
	if err != nil {
		return nil, nil, err
	}
	labels := make([]float64, len(x)/columns)
	return labels, x, m.Predict(x, len(labels), labels, new(model.Scratch))
}

// agrees asks for one row and compares the label. A bare handler answers 1 to all.
func (s *server) agrees(ctx context.Context, row []float64, label float64) error {
	body, err := json.Marshal(s.body(row))
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+s.path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	want := s.answer + fmt.Sprint(label)
	if strings.HasPrefix(s.name, "bare") {
		want = s.answer + "1"
	}
	if !strings.Contains(strings.ReplaceAll(string(b), " ", ""), want) {
		return fmt.Errorf("%s answers %s %.200s: want %s", s.name, res.Status, b, want)
	}
	return nil
}

// script posts one row after the other and writes what was measured as JSON.
const script = `local bodies, i = {%s}, 0
wrk.method = "POST"
wrk.path = %q
wrk.headers["Content-Type"] = "application/json"
request = function()
  i = i %% #bodies + 1
  return wrk.format(nil, nil, nil, bodies[i])
end
done = function(summary, latency, requests)
  local e = summary.errors
  print(string.format('{"rps":%%f,"p50":%%f,"p99":%%f,"errors":%%d}', summary.requests / summary.duration * 1e6,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, e.connect + e.read + e.write + e.status + e.timeout))
end
`

// wrk loads the server with 32 connections. The bodies are 64 rows in turn.
func (s *server) wrk(ctx context.Context, p *plan, x []float64, length time.Duration) (l load1, err error) {
	var bodies []string
	for i := range 64 {
		b, err := json.Marshal(s.body(x[i*columns : (i+1)*columns]))
		if err != nil {
			return l, err
		}
		bodies = append(bodies, "[=["+string(b)+"]=]")
	}
	path := filepath.Join(p.work, "wrk.lua")
	if err := os.WriteFile(path, fmt.Appendf(nil, script, strings.Join(bodies, ","), s.path), 0o600); err != nil {
		return l, err
	}
	args := []string{"-t2", fmt.Sprintf("-c%d", connections), fmt.Sprintf("-d%.0fs", length.Seconds()), "--timeout", "10s"}
	out, err := exec.CommandContext(ctx, "wrk", append(args, "-s", path, s.url)...).Output()
	if err != nil {
		return l, fmt.Errorf("wrk: %w", err)
	}
	last := bytes.LastIndexByte(out, '{')
	if last < 0 {
		return l, fmt.Errorf("wrk says %.200s", out)
	}
	if err := json.NewDecoder(bytes.NewReader(out[last:])).Decode(&l); err != nil {
		return l, fmt.Errorf("read what wrk says: %w", err)
	}
	if l.Errors > 0 {
		return l, fmt.Errorf("%d requests failed", l.Errors)
	}
	return l, nil
}

func lastLine(path string) string {
	b, _ := os.ReadFile(path) // a missing log says nothing
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return lines[len(lines)-1]
}

// of is the median of something over the rounds.
func (s *server) of(f func(load1) float64) float64 {
	var v []float64
	for _, l := range s.rounds {
		v = append(v, f(l))
	}
	return median(v)
}
