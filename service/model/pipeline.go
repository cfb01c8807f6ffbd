package model

import (
	"errors"
	"fmt"
	"slices"

	"github.com/weirhq/weir/service/pickle"
)

// pipeline hands each step's rows to the next: as sparse ones where the one gives and the other takes them.
type pipeline struct {
	steps  []*estimator
	widest int // numbers of the widest row between steps that is not sparse
}

// maxBlock caps the numbers between two steps. Where rows would be more, they are taken in blocks.
const maxBlock = 1 << 18

// before runs all steps but the last and returns its rows, which are on the stack of s.
func (p *pipeline) before(x []float64, rows int, s *Scratch) ([]float64, error) {
	last := len(p.steps) - 1
	for i, step := range p.steps[:last] {
		next := p.steps[i+1]
		if p.sparseAfter(i) && (x == nil || !step.sparseIfGiven) {
			to := s.takeSparse()
			if err := step.sparse(x, rows, to, s); err != nil {
				return nil, p.located(err, i)
			}
			if x, s.in = nil, to; p.steps[0].Missing && !next.Missing {
				if err := finite(to.values, 0); err != nil {
					return nil, err
				}
			}
			continue
		}
		buf := s.floats(rows * step.Out)
		if err := step.apply(x, rows, buf, s); err != nil {
			return nil, p.located(err, i)
		}
		x = buf
		if err := p.takes(i+1, x, rows, s); err != nil {
			return nil, p.located(err, i+1)
		}
	}
	return x, nil
}

// takes refuses what step i can't take of the rows that the step before has given.
func (p *pipeline) takes(i int, x []float64, rows int, s *Scratch) error {
	switch step := p.steps[i]; {
	case p.steps[i-1].texts || step.takes != nil:
		return step.check(x, rows, s)
	case p.steps[0].Missing && !step.Missing:
		return finite(x, step.In)
	}
	return nil
}

// sparseAfter reports whether step i hands sparse rows to the next.
func (p *pipeline) sparseAfter(i int) bool {
	return p.steps[i].sparse != nil && p.steps[i+1].canSparse()
}

// then makes a rowsFunc of one of the last step, which gives width numbers a row.
func (p *pipeline) then(f rowsFunc, width int) rowsFunc {
	if f == nil {
		return nil
	}
	n, block, last := p.steps[0].In, max(1, maxBlock/max(1, p.widest)), len(p.steps)-1
	return func(x []float64, rows int, out []float64, s *Scratch) error {
		mark, sparses, in := s.mark(), s.sparseUsed, s.in
		for from := 0; from < rows; {
			size := rows
			if x != nil { // sparse rows are not cut: they lie within another pipeline, which has cut them
				size = min(block, rows-from)
			}
			part := x
			if size < rows {
				part = x[from*n : (from+size)*n]
			}
			z, err := p.before(part, size, s)
			if err == nil {
				err = p.located(f(z, size, out[from*width:(from+size)*width], s), last)
			}
			s.release(mark)
			s.releaseSparse(sparses)
			if s.in = in; err != nil {
				return shifted(err, from)
			}
			from += size
		}
		return nil
	}
}

// thenSparse makes a sparseFunc of that of the last step.
func (p *pipeline) thenSparse(f sparseFunc) sparseFunc {
	if f == nil {
		return nil
	}
	return func(x []float64, rows int, to *sparse, s *Scratch) error {
		mark, sparses, in := s.mark(), s.sparseUsed, s.in
		z, err := p.before(x, rows, s)
		if err == nil {
			err = p.located(f(z, rows, to, s), len(p.steps)-1)
		}
		s.release(mark)
		s.releaseSparse(sparses)
		s.in = in
		return err
	}
}

// located makes an error of step i one about the columns that the pipeline takes.
func (p *pipeline) located(err error, i int) error {
	if err == nil || i == 0 {
		return err
	}
	return moved(err, func(column int) int {
		for k := i - 1; k >= 0; k-- {
			column = p.steps[k].origin(column).column
		}
		return column
	})
}

// moved replaces the column of a RangeError.
func moved(err error, to func(column int) int) error {
	if err == nil {
		return nil
	}
	if e := (*RangeError)(nil); errors.As(err, &e) && e.Column >= 0 {
		c := *e
		c.Column = to(e.Column)
		return &c
	}
	return err
}

// shifted adds rows in front of the row of a RangeError.
func shifted(err error, rows int) error {
	if e := (*RangeError)(nil); errors.As(err, &e) && rows > 0 {
		c := *e
		c.Row += rows
		return &c
	}
	return err
}

// finite refuses NaN in front of a step that can't take it. A width of 0 stands for sparse rows.
func finite(x []float64, width int) error {
	for i, v := range x {
		if v != v {
			e := &RangeError{Column: -1, Reason: "a step of the model can't take missing numbers"}
			if width > 0 {
				e.Row, e.Column = i/width, i%width
			}
			return e
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
	for i, step := range steps[:len(steps)-1] {
		steps[i] = step.transforming()
	}
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
	if len(steps) == 1 {
		return steps[0], nil
	}
	return a.l.newPipeline(steps)
}

func (l *loader) newPipeline(steps []*estimator) (*estimator, error) {
	p, first, last := &pipeline{steps: steps}, steps[0], steps[len(steps)-1]
	for i, step := range steps[:len(steps)-1] {
		if !p.sparseAfter(i) || step.sparseIfGiven {
			p.widest = max(p.widest, step.Out)
		}
		if err := l.spend(originSize * step.In); err != nil {
			return nil, err
		}
	}
	e := &estimator{
		Signature: last.Signature, apply: p.then(last.apply, last.Out), proba: p.then(last.proba, last.Proba),
		decision: p.then(last.decision, last.Decision), sparse: p.thenSparse(last.sparse), texts: last.texts,
	}
	e.In, e.Names, e.Documents = first.In, first.Names, first.Documents
	e.taking(p.takesFromStart())
	if last.Kind == Transformer && last.traced() {
		if err := l.spend(originSize * len(steps) * last.Out); err != nil {
			return nil, err
		}
		e.origins = p.origins()
	}
	if first.canSparse() {
		e.takesSparse()
	}
	return e, nil
}

// takesFromStart returns what the first step takes in each column, and what follows takes where it is handed on.
func (p *pipeline) takesFromStart() []Takes {
	var next []Takes
	for _, step := range slices.Backward(p.steps) {
		takes := make([]Takes, step.In)
		for j := range takes {
			takes[j] = step.takesAt(j)
		}
		for k, then := range next {
			if o := step.origin(k); o.column >= 0 && o.column < len(takes) {
				takes[o.column] &= then | ^o.kept
			}
		}
		next = takes
	}
	return next
}

// origins returns where each column that the pipeline gives is from.
func (p *pipeline) origins() []origin {
	out := make([]origin, p.steps[len(p.steps)-1].Out)
	for k := range out {
		out[k] = origin{k, anything}
		for _, step := range slices.Backward(p.steps) {
			out[k] = step.before(out[k])
		}
	}
	return out
}
