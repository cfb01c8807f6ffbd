package model

// chain of estimators, each of which gets the row and what those before it said.
type chained struct {
	in       int
	members  []*estimator
	features []rowsFunc // what member i hands on, one number a row
	order    []int      // of member i: the output that it is for
}

// run computes one number of each member's outputs function for each row.
func (c *chained) run(outputs []rowsFunc) rowsFunc {
	n := len(c.members)
	wide := c.in + n
	return func(x []float64, rows int, out []float64, s *Scratch) error {
		mark := s.mark()
		defer s.release(mark)
		z, v, features := s.floats(rows*wide), s.floats(rows), s.floats(rows*n)
		for i := range c.members {
			width := c.in + i
			for r := range rows {
				copy(z[r*width:], x[r*c.in:(r+1)*c.in])
				copy(z[r*width+c.in:(r+1)*width], features[r*n:r*n+i])
			}
			if err := outputs[i](z[:rows*width], rows, v, s); err != nil {
				return err
			}
			for r, f := range v {
				out[r*n+c.order[i]] = f
			}
			if err := c.features[i](z[:rows*width], rows, v, s); err != nil {
				return err
			}
			for r, f := range v {
				features[r*n+i] = f
			}
		}
		return nil
	}
}

// readChain reads estimators_ and order_.
func (a attrs) readChain() (*chained, error) {
	c := &chained{}
	var err error
	if c.members, err = a.estimators("estimators_"); err != nil {
		return nil, err
	}
	n := len(c.members)
	order, err := a.outputOrder(n)
	if err != nil {
		return nil, err
	}
	c.order = order
	if c.in = c.members[0].In; c.in == anyWidth {
		if c.in, err = a.width(); err != nil {
			return nil, err
		}
	}
	for i, m := range c.members {
		if m.In != c.in+i && m.In != anyWidth {
			return nil, a.errorf("estimators_", "estimator %d takes %d columns: want %d", i, m.In, c.in+i)
		}
	}
	return c, nil
}

// outputOrder reads order_, in which each of n outputs comes once.
func (a attrs) outputOrder(n int) ([]int, error) {
	v, err := a.get("order_")
	if err != nil {
		return nil, err
	}
	values, err := numbers(v)
	if err != nil || len(values) != n {
		return nil, a.errorf("order_", "want %d numbers", n)
	}
	seen, out := make([]bool, n), make([]int, n)
	for i, f := range values {
		if !(f >= 0 && f < float64(n)) || seen[int(f)] {
			return nil, a.errorf("order_", "want each of 0 to %d once", n-1)
		}
		out[i], seen[int(f)] = int(f), true
	}
	return out, nil
}

func buildRegressorChain(a attrs) (*estimator, error) {
	c, err := a.readChain()
	if err != nil {
		return nil, err
	}
	for _, m := range c.members {
		if m.Kind != Regressor || m.Out != 1 {
			return nil, a.errorf("estimators_", "want regressors of one output")
		}
		c.features = append(c.features, m.apply)
	}
	return a.regressor(c.in, len(c.members), true, c.run(c.features))
}

// buildClassifierChain hands on the labels, which are numbers, or since 1.5 what chain_method says. Read et al.,
// "Classifier Chains for Multi-label Classification".
func buildClassifierChain(a attrs) (*estimator, error) {
	c, err := a.readChain()
	if err != nil {
		return nil, err
	}
	n := len(c.members)
	sig, err := a.signature(Classifier, c.in, n)
	if err != nil {
		return nil, err
	}
	sig.Outputs, sig.Vector = make([][]any, n), true
	var choices, probas, decisions []rowsFunc
	for i, m := range c.members {
		if m.Kind != Classifier || m.Outputs != nil || len(m.Labels) > 2 {
			return nil, a.errorf("estimators_", "want classifiers of two classes")
		}
		sig.Outputs[c.order[i]] = m.Labels
		choices = append(choices, m.apply)
		if m.Proba == 2 {
			probas = append(probas, second(m.proba))
		}
		if m.Decision == 1 {
			decisions = append(decisions, m.decision)
		}
		feature, err := a.chainFeature(m)
		if err != nil {
			return nil, err
		}
		c.features = append(c.features, feature)
	}
	e := &estimator{Signature: sig, apply: c.run(choices)}
	if len(probas) == n {
		e.withProba(n, c.run(probas))
	}
	if len(decisions) == n {
		e.withDecision(n, c.run(decisions))
	}
	return e, nil
}

// chainFeature is what a member hands on.
func (a attrs) chainFeature(m *estimator) (rowsFunc, error) {
	switch method := a.text("chain_method_"); {
	case method == "predict_proba" && m.Proba == 2:
		return second(m.proba), nil
	case method == "decision_function" && m.Decision == 1:
		return m.decision, nil
	case method != "" && method != "predict":
		return nil, a.errorf("chain_method_", "want predict, predict_proba or decision_function, not %.40q", method)
	}
	values := make([]float64, len(m.Labels))
	for i, label := range m.Labels {
		if values[i] = labelNumber(label); values[i] != values[i] {
			return nil, a.errorf("estimators_", "want classes that are numbers")
		}
	}
	return func(x []float64, rows int, out []float64, s *Scratch) error {
		err := m.apply(x, rows, out, s)
		for r, v := range out {
			out[r] = values[int(v)]
		}
		return err
	}, nil
}
