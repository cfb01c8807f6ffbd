package judge

import (
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// perJudge is added to every for each judge of this process that has something to judge: together they look no more than
// about 250 times a second, at two to four instances each.
const perJudge = 4 * time.Millisecond

var judging atomic.Int64

// pace counts one judge among those that look, while it has something to judge.
type pace bool

func (p *pace) set(busy bool) {
	switch {
	case busy && !bool(*p):
		judging.Add(1)
	case !busy && bool(*p):
		judging.Add(-1)
	}
	*p = pace(busy)
}

// pause is the time until the next look, spread where there are many judges so that they don't look in step.
func pause() time.Duration {
	d := time.Duration(judging.Load()) * perJudge
	if d <= every {
		return every
	}
	return d*3/4 + rand.N(d/2) //nolint:gosec // no secret
}
