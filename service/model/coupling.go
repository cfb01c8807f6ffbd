package model

import "math"

// withPairProbabilities adds libsvm's probabilities: a logistic function for each pair of classes, coupled as Wu, Lin
// and Weng describe in "Probability Estimates for Multi-class Classification by Pairwise Coupling", method 2.
func (e *estimator) withPairProbabilities(a attrs, v *svc) (*estimator, error) {
	var sigmoids [2][]float64
	for i, name := range []string{"_probA", "_probB"} {
		if _, ok := a.o.Attrs[name]; !ok {
			name = name[1:] + "_" // before 0.24
		}
		var err error
		if sigmoids[i], err = a.vector(name, v.pairs); err != nil {
			return nil, err
		}
	}
	n := v.classes
	return e.withProba(n, func(x []float64, rows int, out []float64, s *Scratch) error {
		mark := s.mark()
		defer s.release(mark)
		d, c := s.floats(rows*v.pairs), coupling{n, s.floats(n * n), s.floats(n * n), s.floats(n)}
		if err := v.values(x, rows, d, s); err != nil {
			return err
		}
		for r := range rows {
			p := 0
			for i := range n {
				for j := i + 1; j < n; j++ {
					q := sigmoid(-(d[r*v.pairs+p]*sigmoids[0][p] + sigmoids[1][p]))
					q = min(1-1e-7, max(1e-7, q))
					c.pair[i*n+j], c.pair[j*n+i] = q, 1-q
					p++
				}
			}
			c.solve(out[r*n : (r+1)*n])
		}
		return nil
	}), nil
}

// coupling is the working memory of solve: the pairs' probabilities, and what is made of them.
type coupling struct {
	n       int
	pair, q []float64 // n × n
	qp      []float64
}

// solve fills p. It stops where libsvm does, so that the answers agree to the last digits.
func (c *coupling) solve(p []float64) {
	n := c.n
	for t := range n {
		p[t] = 1 / float64(n)
		c.q[t*n+t] = 0
		for j := range n {
			if j == t {
				continue
			}
			c.q[t*n+t] += c.pair[j*n+t] * c.pair[j*n+t]
			c.q[t*n+j] = -c.pair[j*n+t] * c.pair[t*n+j]
		}
	}
	eps := 0.005 / float64(n)
	for range max(100, n) {
		total := 0.0
		for t := range n {
			c.qp[t] = dot(c.q[t*n:(t+1)*n], p)
			total += p[t] * c.qp[t]
		}
		worst := 0.0
		for t := range n {
			worst = max(worst, math.Abs(c.qp[t]-total))
		}
		if worst < eps {
			return
		}
		for t := range n {
			diff := (total - c.qp[t]) / c.q[t*n+t]
			p[t] += diff
			total = (total + diff*(diff*c.q[t*n+t]+2*c.qp[t])) / (1 + diff) / (1 + diff)
			for j := range n {
				c.qp[j] = (c.qp[j] + diff*c.q[t*n+j]) / (1 + diff)
				p[j] /= 1 + diff
			}
		}
	}
}
