package model

import (
	"fmt"

	"github.com/weirhq/weir/service/pickle"
)

// pipeline hands each step's rows to the next.
type pipeline struct {
	sig   Signature
	steps []Estimator
	outs  []int // numbers in a row after each step
}

// Signature describes the rows.
func (p *pipeline) Signature() Signature { return p.sig }

// Apply runs the steps.
func (p *pipeline) Apply(x []float64, rows int, out []float64, s *Scratch) error {
	last := len(p.steps) - 1
	for i, step := range p.steps[:last] {
		buf := grow(&s.rows[i%2], rows*p.outs[i])
		s.rows[i%2] = buf
		if err := step.Apply(x, rows, buf, s); err != nil {
			return err
		}
		x = buf
	}
	return p.steps[last].Apply(x, rows, out, s)
}

// buildPipeline reads steps: (name, estimator) pairs; a step None or 'passthrough' changes nothing. The steps of a
// pipeline within it become steps of its own.
func buildPipeline(a attrs) (Estimator, error) {
	items, err := a.sequence("steps")
	if err != nil {
		return nil, err
	}
	p := &pipeline{}
	for i, item := range items {
		pair, err := pickle.Sequence(item)
		if err != nil || len(pair) != 2 {
			return nil, a.errorf("steps", "step %d is no pair of name and estimator", i)
		}
		if pair[1] == nil || pair[1] == "passthrough" {
			continue
		}
		if err := p.add(a.l, pair[1]); err != nil {
			return nil, fmt.Errorf("step %d of the pipeline: %w", i, err)
		}
	}
	if len(p.steps) == 0 {
		return nil, a.errorf("steps", "there is no estimator among them")
	}
	return p, nil
}

// maxSteps caps the steps of a pipeline with all that are within it.
const maxSteps = 256

func (p *pipeline) add(l *loader, v any) error {
	step, err := l.build(v)
	if err != nil {
		return err
	}
	sig := step.Signature()
	if len(p.steps) > 0 {
		if p.sig.Kind != Transformer {
			return fmt.Errorf("it follows a %s, which only the last step can be", p.sig.Kind)
		}
		if p.sig.Out != sig.In {
			return fmt.Errorf("it takes %d columns, but the step before gives %d", sig.In, p.sig.Out)
		}
		sig.In, sig.Names = p.sig.In, p.sig.Names
	}
	p.sig = sig
	if inner, ok := step.(*pipeline); ok {
		p.steps, p.outs = append(p.steps, inner.steps...), append(p.outs, inner.outs...)
	} else {
		p.steps, p.outs = append(p.steps, step), append(p.outs, sig.Out)
	}
	if len(p.steps) > maxSteps {
		return fmt.Errorf("there are more than %d steps", maxSteps)
	}
	return nil
}
