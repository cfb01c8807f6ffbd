package model

func buildMultiOutputRegressor(a attrs) (*estimator, error) {
	members, err := a.estimators("estimators_")
	if err != nil {
		return nil, err
	}
	in, err := a.sameWidth(members)
	if err != nil {
		return nil, err
	}
	parts := make([]rowsFunc, len(members))
	for i, m := range members {
		if m.Kind != Regressor || m.Out != 1 {
			return nil, a.errorf("estimators_", "want regressors of one output")
		}
		parts[i] = m.apply
	}
	e, err := a.regressor(in, len(parts), true, together(parts))
	if err != nil {
		return nil, err
	}
	return e.takingAs(members).allSparse(members), nil
}

func buildMultiOutputClassifier(a attrs) (*estimator, error) {
	members, err := a.estimators("estimators_")
	if err != nil {
		return nil, err
	}
	in, err := a.sameWidth(members)
	if err != nil {
		return nil, err
	}
	parts, outputs, width, probable := make([]rowsFunc, len(members)), [][]any{}, 0, true
	for i, m := range members {
		if m.Kind != Classifier || m.Outputs != nil {
			return nil, a.errorf("estimators_", "want classifiers of one output")
		}
		parts[i], outputs, width = m.apply, append(outputs, m.Labels), width+len(m.Labels)
		probable = probable && m.Proba == len(m.Labels)
	}
	sig, err := a.signature(Classifier, in, len(parts))
	sig.Outputs, sig.Vector = outputs, true
	if err != nil {
		return nil, err
	}
	e := &estimator{Signature: sig, apply: together(parts)}
	if e.takingAs(members).allSparse(members); !probable {
		return e, nil
	}
	return e.withProba(width, func(x []float64, rows int, out []float64, s *Scratch) error {
		at := 0
		for _, m := range members {
			mark := s.mark()
			v := s.floats(rows * m.Proba)
			err := m.proba(x, rows, v, s)
			for r := range rows {
				copy(out[r*width+at:], v[r*m.Proba:(r+1)*m.Proba])
			}
			at += m.Proba
			if s.release(mark); err != nil {
				return err
			}
		}
		return nil
	}), nil
}
