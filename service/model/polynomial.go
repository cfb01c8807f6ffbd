package model

import "github.com/weirhq/weir/service/pickle"

// buildPolynomialFeatures gives the products of up to degree columns.
func buildPolynomialFeatures(a attrs) (*estimator, error) {
	n, err := a.width()
	if err != nil {
		return nil, err
	}
	low, high, err := a.degrees()
	if err != nil {
		return nil, err
	}
	distinct, err := a.flag("interaction_only")
	if err != nil {
		return nil, err
	}
	bias, err := a.flag("include_bias")
	if err != nil {
		return nil, err
	}
	var terms [][]int
	if bias {
		terms = append(terms, nil)
	}
	for degree := max(low, 1); degree <= high; degree++ {
		if terms, err = a.products(terms, n, degree, distinct); err != nil {
			return nil, err
		}
	}
	return a.transformer(n, len(terms), eachRow(n, len(terms), func(x, out []float64) {
		for i, term := range terms {
			out[i] = 1
			for _, c := range term {
				out[i] *= x[c]
			}
		}
	}))
}

// degrees reads degree: the highest one, or the lowest and the highest.
func (a attrs) degrees() (low, high int, err error) {
	v, err := a.get("degree")
	if err != nil {
		return 0, 0, err
	}
	if pair, err := pickle.Sequence(v); err == nil && len(pair) == 2 {
		low, err := pickle.Int(pair[0])
		high, err2 := pickle.Int(pair[1])
		if err != nil || err2 != nil || low < 0 || high > 64 {
			return 0, 0, a.errorf("degree", "want two small numbers")
		}
		return low, high, nil
	}
	high, err = pickle.Int(v)
	if err != nil || high < 0 || high > 64 {
		return 0, 0, a.errorf("degree", "want a small number")
	}
	return 0, high, nil
}

// products appends all combinations of degree columns out of n in order, with or without repetition.
func (a attrs) products(terms [][]int, n, degree int, distinct bool) ([][]int, error) {
	term := make([]int, degree)
	for i := range term {
		if distinct {
			term[i] = i
		}
	}
	for !distinct || degree <= n {
		if len(terms) >= maxWidth {
			return nil, a.errorf("degree", "it makes more than %d columns", maxWidth)
		}
		if err := a.l.spend(24 + 8*degree); err != nil {
			return nil, err
		}
		terms = append(terms, append([]int(nil), term...))
		if !nextTerm(term, n, distinct) {
			break
		}
	}
	return terms, nil
}

func nextTerm(term []int, n int, distinct bool) bool {
	for i := len(term) - 1; i >= 0; i-- {
		last, step := n-1, 0
		if distinct {
			last, step = n-len(term)+i, 1
		}
		if term[i] < last {
			term[i]++
			for k := i + 1; k < len(term); k++ {
				term[k] = term[k-1] + step
			}
			return true
		}
	}
	return false
}
