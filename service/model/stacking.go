package model

// stacked hands what its members say, and maybe the row itself, to the last estimator.
type stacked struct {
	in, width   int // columns of a row, and of what the last estimator gets
	members     []rowsFunc
	gives, skip []int // of each member: numbers a row, and how many of them are left out in front
	passthrough bool
}

func (t *stacked) then(f rowsFunc) rowsFunc {
	if f == nil {
		return nil
	}
	return func(x []float64, rows int, out []float64, s *Scratch) error {
		mark := s.mark()
		defer s.release(mark)
		z := s.floats(rows * t.width)
		at := 0
		for i, member := range t.members {
			inner := s.mark()
			n, skip := t.gives[i], t.skip[i]
			v := s.floats(rows * n)
			if err := member(x, rows, v, s); err != nil {
				return err
			}
			for r := range rows {
				copy(z[r*t.width+at:], v[r*n+skip:(r+1)*n])
			}
			at += n - skip
			s.release(inner)
		}
		for r := range rows {
			if t.passthrough {
				copy(z[r*t.width+at:(r+1)*t.width], x[r*t.in:(r+1)*t.in])
			}
		}
		return f(z, rows, out, s)
	}
}

// readStacked reads estimators_, stack_method_ and passthrough.
func readStacked(a attrs) (*stacked, *estimator, error) {
	members, err := a.estimators("estimators_")
	if err != nil {
		return nil, nil, err
	}
	t := &stacked{}
	if t.in, err = a.sameWidth(members); err != nil {
		return nil, nil, err
	}
	methods, err := a.sequence("stack_method_")
	if err != nil {
		return nil, nil, err
	}
	if len(methods) != len(members) {
		return nil, nil, a.errorf("stack_method_", "want %d", len(members))
	}
	for i, m := range members {
		if err := t.add(a, m, methods[i]); err != nil {
			return nil, nil, err
		}
	}
	if t.passthrough, err = a.flag("passthrough"); err != nil {
		return nil, nil, err
	}
	if t.passthrough {
		t.width += t.in
	}
	final, err := a.inner("final_estimator_")
	if err != nil {
		return nil, nil, err
	}
	if final.In != t.width && final.In != anyWidth {
		return nil, nil, a.errorf("final_estimator_", "it takes %d columns, but gets %d", final.In, t.width)
	}
	e := *final
	e.apply, e.proba, e.decision = t.then(e.apply), t.then(e.proba), t.then(e.decision)
	e.In, e.Names = t.in, nil
	if t.passthrough {
		members = append(members, &estimator{Signature: Signature{In: t.in, Missing: final.Missing}})
	}
	e.takingAs(members)
	return t, &e, nil
}

func (t *stacked) add(a attrs, m *estimator, method any) error {
	f, n, skip := m.apply, m.Out, 0
	switch method {
	case "predict_proba":
		f, n = m.proba, m.Proba
		if n == 2 {
			skip = 1 // the other one says it all
		}
	case "decision_function":
		f, n = m.decision, m.Decision
	case "predict":
		if m.Kind == Classifier {
			f = numericLabels(m)
		}
	default:
		return a.errorf("stack_method_", "it holds an unknown method")
	}
	if f == nil || n < 1 || m.Kind == Transformer || m.Outputs != nil {
		return a.errorf("stack_method_", "an estimator has no %v", method)
	}
	t.members, t.gives, t.skip = append(t.members, f), append(t.gives, n), append(t.skip, skip)
	t.width += n - skip
	return nil
}

// numericLabels gives the labels themselves, which must be numbers. Nil: they are not.
func numericLabels(e *estimator) rowsFunc {
	values := make([]float64, len(e.Labels))
	for i, label := range e.Labels {
		if values[i] = labelNumber(label); values[i] != values[i] {
			return nil
		}
	}
	return func(x []float64, rows int, out []float64, s *Scratch) error {
		err := e.apply(x, rows, out, s)
		for i, v := range out {
			out[i] = values[int(v)]
		}
		return err
	}
}

func buildStackingRegressor(a attrs) (*estimator, error) {
	_, e, err := readStacked(a)
	if err != nil {
		return nil, err
	}
	if e.Kind != Regressor {
		return nil, a.errorf("final_estimator_", "want a regressor")
	}
	return e, nil
}

func buildStackingClassifier(a attrs) (*estimator, error) {
	labels, err := a.labels()
	if err != nil {
		return nil, err
	}
	_, e, err := readStacked(a)
	if err != nil {
		return nil, err
	}
	e, err = relabelled(e, labels)
	if err != nil {
		return nil, a.errorf("final_estimator_", "%w", err)
	}
	return e, nil
}
