package model

// standardScaler gives (x - mean) / scale, column by column.
type standardScaler struct {
	sig         Signature
	mean, scale []float64 // nil: left out
}

// Signature describes the rows.
func (s *standardScaler) Signature() Signature { return s.sig }

// Apply scales each row.
func (s *standardScaler) Apply(x []float64, rows int, out []float64, _ *Scratch) error {
	n := s.sig.In
	for r := range rows {
		s.row(x[r*n:(r+1)*n], out[r*n:(r+1)*n])
	}
	return nil
}

func (s *standardScaler) row(x, out []float64) {
	copy(out, x)
	for j, m := range s.mean {
		out[j] -= m
	}
	for j, d := range s.scale {
		out[j] /= d
	}
}

// buildStandardScaler reads mean_ and scale_, as far as with_mean and with_std ask for them.
func buildStandardScaler(a attrs) (Estimator, error) {
	n, err := a.integer("n_features_in_")
	if err != nil {
		return nil, err
	}
	s := &standardScaler{}
	if s.sig, err = a.signature(Transformer, n, n); err != nil {
		return nil, err
	}
	s.sig.Vector = true
	if s.mean, err = a.optional("with_mean", "mean_", n); err != nil {
		return nil, err
	}
	s.scale, err = a.optional("with_std", "scale_", n)
	return s, err
}

// optional returns the vector name if flag is set, else nil.
func (a attrs) optional(flag, name string, n int) ([]float64, error) {
	on, err := a.flag(flag)
	if err != nil || !on {
		return nil, err
	}
	return a.vector(name, n)
}
