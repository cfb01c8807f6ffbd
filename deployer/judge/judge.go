package judge

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/weirhq/weir/deployer/analysis"
	"github.com/weirhq/weir/deployer/metrics"
	"github.com/weirhq/weir/deployer/rollout"
)

// every is how often the evidence is read, with few judges in the process. Tests are always valid: looking more often
// costs no false abort.
const every = 250 * time.Millisecond

// Subject is what is to be judged now.
type Subject struct {
	Epoch   uint64
	Step    int
	Weight  int  // percent of the requests that the canary gets
	Golden  bool // the golden set is to be replayed, before the first request
	Since   time.Time
	Targets []metrics.Target // all instances of both releases
	// Ingresses are those that count their attempts.
	Ingresses []metrics.Ingress
}

// Judge gathers the evidence of one rollout and judges it. Follow says what, Latest tells the judgement.
type Judge struct {
	cfg    Config
	rec    rollout.Record // as the rollout began: its names and its spec
	scrape *metrics.Scraper
	prom   *metrics.Prometheus

	mu      sync.Mutex
	subject Subject
	latest  *rollout.Judgement
	change  chan struct{} // there is another subject

	look   *look            // of the subject's epoch; only Run touches it
	before *analysis.Counts // stable's counts in the last step in which it had traffic
	// edgeBefore is stable's first attempts in that step.
	edgeBefore map[int]uint64
}

// New returns a judge of a rollout; nil where its spec wants none.
func New(rec rollout.Record) (*Judge, error) {
	cfg, on, err := Of(rec.Spec)
	if err != nil || !on {
		return nil, err
	}
	j := &Judge{cfg: cfg, rec: rec, scrape: metrics.Shared(), change: make(chan struct{}, 1)}
	if cfg.Prometheus != "" {
		if j.prom, err = metrics.NewPrometheus(cfg.Prometheus); err != nil {
			return nil, err
		}
	}
	return j, nil
}

// Follow says what is to be judged from now on. Another epoch begins anew; a zero Subject pauses.
func (j *Judge) Follow(s Subject) {
	j.mu.Lock()
	defer j.mu.Unlock()
	begun := s.Epoch != j.subject.Epoch
	j.subject = s
	if begun {
		select {
		case j.change <- struct{}{}:
		default:
		}
	}
}

// Latest is the judgement so far; nil before the first.
func (j *Judge) Latest() *rollout.Judgement {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.latest
}

// Run reads and judges until the context ends. It wakes the guardian when the outcome is another than before.
func (j *Judge) Run(ctx context.Context, wake func()) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var p pace
	defer p.set(false)
	for {
		j.mu.Lock()
		s := j.subject
		j.mu.Unlock()
		p.set(s.Epoch != 0)
		if s.Epoch != 0 && j.aside(ctx, s) {
			wake()
		}
		timer.Reset(pause())
		select {
		case <-ctx.Done():
			return
		case <-j.change:
		case <-timer.C:
		}
	}
}

// aside judges on a goroutine of its own, whose stack, which becomes large, ends with it.
func (j *Judge) aside(ctx context.Context, s Subject) bool {
	news := make(chan bool, 1)
	go func() { news <- j.judge(ctx, s) }()
	return <-news
}

// judge makes one judgement, and says whether its outcome is news.
func (j *Judge) judge(ctx context.Context, s Subject) bool {
	var v analysis.Verdict
	if s.Golden {
		v = j.golden(ctx, s)
	} else {
		v = j.step(ctx, s)
	}
	if ctx.Err() != nil {
		return false
	}
	data, err := json.Marshal(v)
	if err != nil {
		data = nil // numbers that JSON can't hold: the reasons say what was found
	}
	now := &rollout.Judgement{Epoch: s.Epoch, Outcome: v.Outcome, Reason: reason(v), Evidence: data}
	j.mu.Lock()
	defer j.mu.Unlock()
	old := j.latest
	j.latest = now
	return old == nil || old.Epoch != now.Epoch || old.Outcome != now.Outcome
}

// reason puts a verdict's reasons into one line. A pass needs none but how much was seen.
func reason(v analysis.Verdict) string {
	if v.Outcome == rollout.Pass && len(v.Results) > 0 {
		return v.Results[0].Reason
	}
	return strings.Join(v.Reasons, "; ")
}

// Steps is over how many steps a rollout's error budget is split: its own, and the watch.
func Steps(s rollout.Spec) int { return len(s.Steps) + 1 }
