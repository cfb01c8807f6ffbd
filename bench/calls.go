package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
)

// contest is one model that several libraries evaluate within their processes.
type contest struct {
	model   string
	title   string
	rivals  []rival
	results map[string][]float64 // by library, rows and threads: seconds of a call, one for each round
}

// rival is one library. Its runner is a program of which the first argument is the model's file.
type rival struct {
	name    string
	program string
	args    []string
	session *session
}

// batch is the larger number of rows in a call.
const batch = 10_000

func (p *plan) contests() []*contest {
	self, _ := os.Executable() // it is what runs
	rows := p.models("rows.f64")
	weir := func(model string) rival {
		return rival{name: "Weir", program: self, args: []string{"runner", p.models(model), rows}}
	}
	library := func(name, model string) rival {
		return rival{name: name, program: p.python("libraries"), args: []string{p.script("runner.py"), p.models(model), rows}}
	}
	leaves := rival{name: "leaves", program: p.leaves, args: []string{p.models("lightgbm-deep.txt"), rows}}
	return []*contest{
		{
			model: "forest", title: "scikit-learn's RandomForestClassifier, 100 trees of depth 12",
			rivals: []rival{weir("forest.pkl"), library("scikit-learn", "forest.pkl")},
		},
		{
			model: "deep", title: "LightGBM, 100 trees of depth 12 and up to 800 leaves",
			rivals: []rival{weir("lightgbm-deep.pkl"), leaves, library("LightGBM", "lightgbm-deep.pkl")},
		},
		{
			model: "lightgbm", title: "LightGBM with its defaults, 100 trees of 31 leaves",
			rivals: []rival{weir("lightgbm.pkl"), library("LightGBM", "lightgbm.pkl")},
		},
		{
			model: "xgboost", title: "XGBoost with its defaults, 100 trees of depth 6",
			rivals: []rival{weir("xgboost.pkl"), library("XGBoost", "xgboost.pkl")},
		},
	}
}

func caseKey(name string, rows, threads int) string {
	return fmt.Sprintf("%s/%d/%d", name, rows, threads)
}

// measureCalls lets all libraries take turns, round by round.
func measureCalls(ctx context.Context, p *plan, r *results) error {
	for _, c := range p.contests() {
		c.results = map[string][]float64{}
		if err := c.run(ctx, p); err != nil {
			return fmt.Errorf("%s: %w", c.title, err)
		}
		r.contests = append(r.contests, c)
	}
	return nil
}

func (c *contest) run(ctx context.Context, p *plan) (err error) {
	for i := range c.rivals {
		rv := &c.rivals[i]
		if rv.session, err = open(ctx, rv.program, rv.args...); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rv.session.close()) }()
	}
	for round := range p.rounds + 1 { // the first one warms up
		answers := map[string]float64{}
		for _, q := range []request{{1, 1, 0}, {batch, 1, 0}, {batch, runtime.NumCPU(), 0}} {
			q.Seconds = p.calls.Seconds()
			if round == 0 {
				q.Seconds = 0.05
			}
			for i := range c.rivals {
				rv := &c.rivals[(i+round)%len(c.rivals)]
				a, err := rv.session.ask(q)
				if err != nil {
					return fmt.Errorf("%s: %w", rv.name, err)
				}
				answers[rv.name] = a.Answer
				if round > 0 {
					k := caseKey(rv.name, q.Rows, q.Threads)
					c.results[k] = append(c.results[k], a.Seconds)
				}
			}
		}
		if err := c.agree(answers); err != nil {
			return err
		}
	}
	return nil
}

// agree checks that the libraries say the same of the first row. Leaves gives the probability too.
func (c *contest) agree(answers map[string]float64) error {
	for name, v := range answers {
		if math.Abs(v-answers["Weir"]) > 1e-5 {
			return fmt.Errorf("%s says %v and Weir %v of the same row", name, v, answers["Weir"])
		}
	}
	return nil
}

// seconds is the median of a case.
func (c *contest) seconds(name string, rows, threads int) float64 {
	return median(c.results[caseKey(name, rows, threads)])
}
