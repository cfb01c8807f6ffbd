package model_test

import (
	"regexp"
	"testing"

	"github.com/weirhq/weir/service/model"
)

// regexps are the fixtures whose tokens are found by Go's regexp package, which allocates.
var regexps = regexp.MustCompile("pattern-(dashed|group|either|exact|lazy)")

// TestPredictionsAllocateNothing asks every fixture with a Scratch that has served one call before.
func TestPredictionsAllocateNothing(t *testing.T) {
	for _, f := range fixtures(t) {
		m, err := model.Load(f.content)
		if err != nil {
			t.Fatalf("%s: %v", f.name, err)
		}
		if regexps.MatchString(f.name) {
			continue
		}
		x, rows := flat(f.rows()), len(f.X)
		for what, ask := range map[string]struct {
			width int
			f     func([]float64, int, []float64, *model.Scratch) error
		}{"Predict": {m.Out, m.Predict}, "Probabilities": {m.Proba, m.Probabilities}, "DecisionValues": {m.Decision, m.DecisionValues}} {
			if ask.width == 0 {
				continue
			}
			out, s := make([]float64, rows*ask.width), f.scratch()
			if n := testing.AllocsPerRun(100, func() {
				if err := ask.f(x, rows, out, s); err != nil {
					t.Errorf("%s: %v", f.name, err)
				}
			}); n > 0 {
				t.Errorf("%s: %s allocates %v times", f.name, what, n)
			}
		}
	}
}
