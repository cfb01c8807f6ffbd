package judge

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/weirhq/weir/deployer/analysis"
	"github.com/weirhq/weir/deployer/metrics"
)

// look is what has been seen since an epoch began.
type look struct {
	epoch    uint64
	tracker  *analysis.Tracker
	edge     *analysis.Tracker // nil where no ingress counted when the epoch began
	rings    *metrics.RingReader
	matcher  *analysis.Matcher
	pairs    *analysis.Pairs
	readings map[string]analysis.Reading
	golden   map[string]analysis.GoldenReport // by instance
}

func (j *Judge) begin(s Subject) *look {
	if j.look != nil && j.look.epoch == s.Epoch {
		return j.look
	}
	j.look = &look{
		epoch: s.Epoch, tracker: analysis.NewTracker(j.rec.Release, j.rec.Stable, s.Since),
		readings: map[string]analysis.Reading{}, golden: map[string]analysis.GoldenReport{},
	}
	if len(s.Ingresses) > 0 {
		// What ingresses count under an epoch all belongs to its step.
		j.look.edge = analysis.NewTracker(j.rec.Release, j.rec.Stable, time.Time{})
	}
	if shadow := j.cfg.Spec.Shadow; shadow != nil {
		j.look.rings, j.look.matcher = metrics.NewRingReader(j.scrape), analysis.NewMatcher(shadow.Tolerance)
	}
	return j.look
}

// step judges what the step's requests show.
func (j *Judge) step(ctx context.Context, s Subject) analysis.Verdict {
	l := j.begin(s)
	ev := analysis.Evidence{
		Step: s.Step, Epoch: s.Epoch, Since: s.Since, Share: float64(s.Weight) / 100, Before: j.before,
	}
	told, seen := j.read(ctx, s)
	ev.Canary, ev.Stable = l.tracker.Look(told)
	ev.Attempts = j.attempts(l, seen)
	spec := j.cfg.Spec
	spec.Golden = nil // it passed before the first request
	switch {
	case spec.Shadow == nil:
	case s.Weight == 0:
		ev.Pairs = j.pair(ctx, l, s.Targets)
	default:
		spec.Shadow = nil // only copies make pairs
	}
	ev.Queries = j.ask(ctx, l, s)
	ev.At = time.Now()
	if ev.Share > 0 && ev.Share < 1 {
		counts := ev.Stable.Counts
		j.before = &counts
		if ev.Attempts != nil {
			j.edgeBefore = ev.Attempts.Stable
		}
	}
	return analysis.Judge(spec, Steps(j.rec.Spec), ev)
}

// read reads the instances, and the ingresses at the same time.
func (j *Judge) read(ctx context.Context, s Subject) (told, seen []analysis.Snapshot) {
	var reading sync.WaitGroup
	reading.Go(func() {
		seen = j.scrape.Draws(ctx, s.Ingresses, j.rec.Model, s.Epoch, j.rec.Release, j.rec.Stable)
	})
	told = j.scrape.Scrape(ctx, s.Targets)
	reading.Wait()
	return told, seen
}

// attempts is what the ingresses have seen in this epoch.
func (j *Judge) attempts(l *look, seen []analysis.Snapshot) *analysis.Attempts {
	if l.edge == nil {
		return nil
	}
	canary, stable := l.edge.Look(seen)
	out := &analysis.Attempts{
		Canary: canary.Codes, Stable: stable.Codes, Before: j.edgeBefore,
		Ingresses: canary.Listed, Answered: canary.Answered,
	}
	for _, s := range seen {
		if s.Err != nil {
			out.Trouble = s.Err.Error()
			break
		}
	}
	return out
}

// pair matches what both releases answered to the same requests.
func (j *Judge) pair(ctx context.Context, l *look, targets []metrics.Target) *analysis.Pairs {
	for _, t := range targets {
		outputs, err := l.rings.Read(ctx, t)
		if err != nil {
			continue // it is read again with the next look; a canary that can't be scraped shows elsewhere
		}
		pairs := l.matcher.Add(t.Release == j.rec.Release, outputs)
		l.pairs = &pairs
	}
	return l.pairs
}

// ask answers the queries.
func (j *Judge) ask(ctx context.Context, l *look, s Subject) map[string]analysis.Reading {
	now := time.Now()
	for _, q := range j.cfg.Spec.Queries {
		text := metrics.Expand(q.PromQL, j.rec.Model, j.rec.Release, j.rec.Stable, now.Sub(s.Since))
		ctx, cancel := context.WithTimeout(ctx, metrics.DefaultTimeout)
		value, err := j.prom.Value(ctx, text, now)
		cancel()
		l.readings[q.Name] = l.readings[q.Name].See(q, value, err)
	}
	return l.readings
}

// golden replays the golden set in each instance of the canary that has not replayed it yet.
func (j *Judge) golden(ctx context.Context, s Subject) analysis.Verdict {
	l := j.begin(s)
	total := &analysis.GoldenReport{}
	for _, t := range s.Targets {
		if t.Release != j.rec.Release {
			continue
		}
		g, done := l.golden[t.Addr]
		if !done {
			var err error
			if g, err = j.replay(ctx, t); err != nil {
				total.Down = fmt.Sprintf("instance %s: %v", t.Addr, err)
				continue
			}
			l.golden[t.Addr] = g
		}
		total.Instances++
		total.Cases += g.Cases
		total.Failed += g.Failed
		if g.Worst != nil && (total.Worst == nil || g.Worst.Times > total.Worst.Times) {
			total.Worst = g.Worst
		}
	}
	ev := analysis.Evidence{
		Epoch: s.Epoch, Since: s.Since, At: time.Now(), Golden: total,
		Canary: analysis.Side{Release: j.rec.Release, Listed: 1, Answered: 1},
		Stable: analysis.Side{Release: j.rec.Stable, Listed: 1, Answered: 1},
	}
	return analysis.Judge(analysis.Spec{Alpha: j.cfg.Spec.Alpha, Golden: j.cfg.Spec.Golden}, Steps(j.rec.Spec), ev)
}

// replayTimeout is how long one case may take, and atOnce how many are asked at the same time.
const (
	replayTimeout = 5 * time.Second
	atOnce        = 8
)

// replay asks one instance all cases. An error says that it could not be asked; a wrong answer is no error.
func (j *Judge) replay(ctx context.Context, t metrics.Target) (analysis.GoldenReport, error) {
	answers := make([][]byte, len(j.cfg.Cases))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i, c := range j.cfg.Cases {
		group.Go(func() (err error) {
			answers[i], err = predict(ctx, t.Addr, c.Request)
			return err
		})
	}
	var g analysis.GoldenReport
	if err := group.Wait(); err != nil {
		return g, err
	}
	for i, c := range j.cfg.Cases {
		g.Compare(*j.cfg.Spec.Golden, c.Name, c.Want, answers[i])
	}
	return g, nil
}

// maxAnswer bounds an answer that is read, in bytes.
const maxAnswer = 1 << 20

// predict asks an instance for a prediction. An answer with an error status is an answer.
func predict(ctx context.Context, addr string, body json.RawMessage) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, replayTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/predict", bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("ask for a prediction: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask for a prediction: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the prediction: %w", err)
	case res.StatusCode == http.StatusServiceUnavailable:
		return nil, fmt.Errorf("ask for a prediction: %s", res.Status)
	}
	return answer, nil
}
