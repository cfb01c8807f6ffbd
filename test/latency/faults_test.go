//go:build linux

package latency

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/weirhq/weir/deployer/analysis"
	"github.com/weirhq/weir/test/load"
)

// The two sides of every rollout answer in this time, three classes in turn, until a fault shows. It is in the middle of
// a bucket of the server's histogram, so that a busy machine doesn't move it into the next.
const (
	answerTime = 13 * time.Millisecond
	slowTime   = 3 * answerTime
)

// requests are one iris flower of each class.
var requests = []string{`{"x":[5.1,3.5,1.4,0.2]}`, `{"x":[6.0,2.7,4.2,1.3]}`, `{"x":[6.5,3.0,5.8,2.2]}`}

// first is what both sides show from their start: answers that take answerTime.
var first = fmt.Sprintf(`args=["-fault-kind=slow","-fault-delay=%s"]`, answerTime)

// fault is what goes wrong in a canary that was well.
type fault struct {
	name  string
	what  string
	query string // to the control of test/faulty
	one   bool   // in one instance of two; else in both
	late  bool   // for Nomad alone: only when it has called the canary healthy

	// harmed says whether an answer shows the fault, where its status does not.
	harmed func(load.Answer) bool
	// event is what the analysis counts: at which rate on either side, and what of it is tolerated.
	event *event
}

// event is what tells canary from stable.
type event struct {
	canary, stable float64 // rate
	ratio, margin  float64 // tolerated: ratio · (stable's rate + margin)
}

var faults = []fault{
	{name: "crash", what: "one of two instances ends", query: "kind=crash", one: true},
	{name: "unhealthy", what: "one of two fails its check, and answers", query: "kind=unhealthy", one: true},
	{
		name: "errors", what: "20 % of the answers are 500", query: "kind=errors&share=0.2",
		event: &event{canary: 0.2, ratio: spec.Errors.Ratio, margin: spec.Errors.Margin},
	},
	{
		name: "slow", what: "answers take three times as long", query: "kind=slow&delay=" + slowTime.String(),
		harmed: func(a load.Answer) bool { return a.At.Sub(a.Began) >= slowTime },
		event:  &event{canary: 1, ratio: 1, margin: spec.Latency.Margin},
	},
	{
		name: "wrong", what: "one class for everything", query: "kind=wrong",
		harmed: func(a load.Answer) bool {
			return a.Request != requests[0] && strings.Contains(string(a.Body), `"prediction":[0]`)
		},
		event: &event{canary: 1, stable: 1.0 / 3, ratio: 1, margin: spec.Classes.Tolerance},
	},
}

// plainFaults are what Nomad alone meets.
var plainFaults = append(slices.Clip(faults), fault{
	name: "crash-later", what: "one of two instances ends, after Nomad called it healthy", query: "kind=crash", one: true, late: true,
})

var spec = analysis.Default()

// inject makes the instances at the addresses show the fault, and returns when it began to.
func (f fault) inject(ctx context.Context, addrs []string) (time.Time, error) {
	if len(addrs) == 0 {
		return time.Time{}, fmt.Errorf("inject %s: the canary has no instance", f.name)
	}
	if f.one {
		addrs = addrs[:1]
	}
	began := time.Now()
	for _, addr := range addrs {
		if err := control(ctx, addr, f.query); err != nil && f.query != "kind=crash" { // which is no answer
			return began, err
		}
	}
	return began, nil
}

// control tells the faulty server at an address what to show.
func control(ctx context.Context, addr, query string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/fault?"+query, nil)
	if err != nil {
		return fmt.Errorf("control a fault: %w", err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("control a fault: %w", err)
	}
	if res.StatusCode != http.StatusNoContent {
		err = fmt.Errorf("control a fault: status %s", res.Status)
	}
	return errors.Join(err, res.Body.Close())
}
