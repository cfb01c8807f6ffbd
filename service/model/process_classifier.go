package model

import "math"

// buildProcessClassifier has one binary classifier, or several of them against one another or the rest.
func buildProcessClassifier(a attrs) (*estimator, error) {
	labels, err := a.labels()
	if err != nil {
		return nil, err
	}
	e, err := a.inner("base_estimator_")
	if err != nil {
		return nil, err
	}
	c, err := relabelled(e, labels)
	if err != nil {
		return nil, a.errorf("base_estimator_", "%w", err)
	}
	if a.text("multi_class") == "one_vs_one" && len(labels) > 2 {
		c.Proba, c.proba = 0, nil
	}
	c.Decision, c.decision = 0, nil // scikit-learn has none before 1.8 and refuses it
	return c, a.checkWidth(c.In)
}

// laplace is a binary Gaussian process classifier by Laplace's approximation: Rasmussen and Williams, "Gaussian
// Processes for Machine Learning", algorithm 3.2.
type laplace struct {
	rows     []float64
	in, n    int
	kernel   kernel
	variance func(x []float64) float64 // the kernel of a row with itself
	alpha    []float64                 // y - pi
	root     []float64                 // W_sr_
	lower    []float64                 // L_, n × n
}

// The logistic function as five error functions: Williams and Barber, "Bayesian Classification with Gaussian
// Processes", appendix A, with the numbers that scikit-learn has.
var (
	erfScales  = [...]float64{0.41, 0.4, 0.37, 0.44, 0.39}
	erfWeights = [...]float64{-1854.8214151, 3516.89893646, 221.29346712, 128.12323805, -2010.49422654}
)

func buildLaplace(a attrs) (*estimator, error) {
	labels, err := a.labels()
	if err != nil {
		return nil, err
	}
	if len(labels) != 2 {
		return nil, a.errorf("classes_", "want two")
	}
	p, err := a.laplace()
	if err != nil {
		return nil, err
	}
	e, err := a.classifier(p.in, labels)
	if err != nil {
		return nil, err
	}
	mean := eachRow(p.in, 1, func(x, out []float64) {
		out[0] = 0
		for i, w := range p.alpha {
			out[0] += w * p.kernel(p.rows[i*p.in:(i+1)*p.in], x)
		}
	})
	return e.picks(1, mean).withProba(2, p.proba), nil
}

func (a attrs) laplace() (*laplace, error) {
	p := &laplace{}
	var err error
	if p.rows, p.in, err = a.matrix("X_train_", -1, -1); err != nil {
		return nil, err
	}
	p.n = len(p.rows) / p.in
	y, err := a.vector("y_train_", p.n)
	if err != nil {
		return nil, err
	}
	if p.alpha, err = a.vector("pi_", p.n); err != nil {
		return nil, err
	}
	for i, v := range y {
		p.alpha[i] = v - p.alpha[i]
	}
	if p.root, err = a.vector("W_sr_", p.n); err != nil {
		return nil, err
	}
	if p.lower, _, err = a.matrix("L_", p.n, p.n); err != nil {
		return nil, err
	}
	if p.kernel, err = a.kernel("kernel_", p.in, 0); err != nil {
		return nil, err
	}
	p.variance, err = a.kernelDiagonal("kernel_", p.in, p.kernel)
	return p, err
}

func (p *laplace) proba(x []float64, rows int, out []float64, s *Scratch) error {
	mark := s.mark()
	defer s.release(mark)
	v := s.floats(p.n)
	for r := range rows {
		row, mean := x[r*p.in:(r+1)*p.in], 0.0
		for i := range v {
			k := p.kernel(p.rows[i*p.in:(i+1)*p.in], row)
			mean += k * p.alpha[i]
			v[i] = k * p.root[i]
		}
		variance := p.variance(row)
		for i := range v { // forward substitution: L·v = W·k
			v[i] = (v[i] - dot(p.lower[i*p.n:i*p.n+i], v)) / p.lower[i*p.n+i]
			variance -= v[i] * v[i]
		}
		out[2*r+1] = meanLogistic(mean, variance)
		out[2*r] = 1 - out[2*r+1]
	}
	return nil
}

// meanLogistic is the mean of the logistic function over a normal distribution.
func meanLogistic(mean, variance float64) float64 {
	alpha, sum := 1/(2*variance), 0.0
	for i, scale := range erfScales {
		e := math.Erf(scale * mean * math.Sqrt(alpha/(alpha+scale*scale)))
		sum += erfWeights[i] * math.Sqrt(math.Pi/alpha) * e / (2 * math.Sqrt(variance*2*math.Pi))
		sum += erfWeights[i] / 2
	}
	return sum
}
