package model

import (
	"fmt"

	"github.com/weirhq/weir/service/pickle"
)

// pipeline hands each step's rows to the next.
type pipeline struct{ steps []*estimator }

// before runs all steps but the last and returns its rows, which are on the stack of s.
func (p *pipeline) before(x []float64, rows int, s *Scratch) ([]float64, error) {
	for i, step := range p.steps {
		if i > 0 && !step.Missing && p.steps[0].Missing {
			if err := finite(x, step.In); err != nil {
				return nil, err
			}
		}
		if i == len(p.steps)-1 {
			break
		}
		buf := s.floats(rows * step.Out)
		if err := step.apply(x, rows, buf, s); err != nil {
			return nil, err
		}
		x = buf
	}
	return x, nil
}

// then makes a rowsFunc of one of the last step.
func (p *pipeline) then(f rowsFunc) rowsFunc {
	if f == nil {
		return nil
	}
	return func(x []float64, rows int, out []float64, s *Scratch) error {
		mark := s.mark()
		defer s.release(mark)
		x, err := p.before(x, rows, s)
		if err != nil {
			return err
		}
		return f(x, rows, out, s)
	}
}

// finite refuses NaN in front of a step that can't take it.
func finite(x []float64, width int) error {
	for i, v := range x {
		if v != v {
			return &RangeError{Row: i / width, Column: i % width, Reason: "a step of the model can't take missing numbers"}
		}
	}
	return nil
}

// buildPipeline reads steps: (name, estimator) pairs; a step None or 'passthrough' changes nothing.
func buildPipeline(a attrs) (*estimator, error) {
	items, err := a.sequence("steps")
	if err != nil {
		return nil, err
	}
	var steps []*estimator
	for i, item := range items {
		pair, err := pickle.Sequence(item)
		if err != nil || len(pair) != 2 {
			return nil, a.errorf("steps", "step %d is no pair of name and estimator", i)
		}
		if pair[1] == nil || pair[1] == "passthrough" {
			continue
		}
		step, err := a.l.build(pair[1])
		if err != nil {
			return nil, fmt.Errorf("step %d of the pipeline: %w", i, err)
		}
		steps = append(steps, step)
	}
	return a.chain(steps)
}

// maxSteps caps the steps of a pipeline.
const maxSteps = 256

// chain makes one estimator of steps that follow one another.
func (a attrs) chain(steps []*estimator) (*estimator, error) {
	if len(steps) == 0 {
		return nil, a.errorf("steps", "there is no estimator among them")
	}
	if len(steps) > maxSteps {
		return nil, a.errorf("steps", "there are more than %d", maxSteps)
	}
	steps = append([]*estimator(nil), steps...)
	for i := range steps[1:] { // widths that a step leaves open are those of its neighbour
		steps[i+1] = steps[i+1].widened(steps[i].Out)
	}
	for i := len(steps) - 2; i >= 0; i-- {
		steps[i] = steps[i].widened(steps[i+1].In)
	}
	for i, step := range steps[1:] {
		if steps[i].Kind != Transformer {
			return nil, a.errorf("steps", "a %s is among them that is not the last", steps[i].Kind)
		}
		if steps[i].Out != step.In || step.In < 1 {
			return nil, a.errorf("steps", "one takes %d columns, but the step before gives %d", step.In, steps[i].Out)
		}
	}
	p, first, last := &pipeline{steps}, steps[0], steps[len(steps)-1]
	if len(steps) == 1 {
		return first, nil
	}
	e := &estimator{
		Signature: last.Signature, apply: p.then(last.apply), proba: p.then(last.proba), decision: p.then(last.decision),
	}
	e.In, e.Names, e.Missing = first.In, first.Names, first.Missing
	return e, nil
}
