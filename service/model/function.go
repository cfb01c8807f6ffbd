package model

import (
	"math"
	"slices"

	"github.com/weirhq/weir/service/pickle"
)

// functions are numpy's functions of one number. The file has only their names.
var functions = map[string]func(float64) float64{
	"log": math.Log, "log1p": math.Log1p, "log2": math.Log2, "log10": math.Log10, "exp": math.Exp, "expm1": math.Expm1,
	"exp2": math.Exp2, "sqrt": math.Sqrt, "cbrt": math.Cbrt, "absolute": math.Abs, "abs": math.Abs, "fabs": math.Abs,
	"sin": math.Sin, "cos": math.Cos, "tan": math.Tan, "arcsin": math.Asin, "arccos": math.Acos, "arctan": math.Atan,
	"sinh": math.Sinh, "cosh": math.Cosh, "tanh": math.Tanh, "arcsinh": math.Asinh, "arccosh": math.Acosh,
	"arctanh": math.Atanh, "floor": math.Floor, "ceil": math.Ceil, "trunc": math.Trunc, "rint": math.RoundToEven,
	"square":     func(v float64) float64 { return v * v },
	"reciprocal": func(v float64) float64 { return 1 / v },
	"negative":   func(v float64) float64 { return -v },
	"positive":   func(v float64) float64 { return v },
	"deg2rad":    func(v float64) float64 { return v * math.Pi / 180 },
	"radians":    func(v float64) float64 { return v * math.Pi / 180 },
	"rad2deg":    func(v float64) float64 { return v * 180 / math.Pi },
	"degrees":    func(v float64) float64 { return v * 180 / math.Pi },
	"sign": func(v float64) float64 {
		switch {
		case v > 0:
			return 1
		case v < 0:
			return -1
		}
		return v
	},
}

// numpyModules are where the functions live.
var numpyModules = []string{"numpy", "numpy.core._multiarray_umath", "numpy._core._multiarray_umath"}

// isIdentity reports whether an attribute names the identity. None is it, and so is scikit-learn's check of arrays,
// which some estimators put in front of themselves.
func (a attrs) isIdentity(name string) bool {
	n, ok := a.o.Attrs[name].(*pickle.Named)
	return a.o.Attrs[name] == nil ||
		ok && n.Global == (pickle.Global{Module: "functools.partial of sklearn.utils.validation", Name: "check_array"})
}

// function returns the function that an attribute names.
func (a attrs) function(name string) (func(float64) float64, error) {
	if a.isIdentity(name) {
		return func(v float64) float64 { return v }, nil
	}
	if n, ok := a.o.Attrs[name].(*pickle.Named); ok {
		if f := functions[n.Global.Name]; f != nil && slices.Contains(numpyModules, n.Global.Module) {
			return f, nil
		}
	}
	return nil, a.errorf(name, "only numpy's functions of one number are supported, such as log1p and sqrt")
}

// buildFunctionTransformer applies func to each number.
func buildFunctionTransformer(a attrs) (*estimator, error) {
	return a.functionTransformer("func", "kw_args")
}

func (a attrs) functionTransformer(name, arguments string) (*estimator, error) {
	f, err := a.function(name)
	if err != nil {
		return nil, err
	}
	if kw, ok := pickle.Entries(a.o.Attrs[arguments]); ok && len(kw) > 0 {
		return nil, a.errorf(arguments, "functions with arguments are not supported")
	}
	n := anyWidth
	if a.o.Attrs["n_features_in_"] != nil {
		if n, err = a.width(); err != nil {
			return nil, err
		}
	}
	if a.isIdentity(name) {
		return identity(n), nil
	}
	e := &estimator{Signature: Signature{Kind: Transformer, In: n, Out: n, Vector: true, Missing: true}}
	e.apply = func(x []float64, _ int, out []float64, _ *Scratch) error {
		for i, v := range x {
			out[i] = f(v)
		}
		return nil
	}
	return e, nil
}

// widened gives an estimator that takes rows of any width the one that it gets.
func (e *estimator) widened(n int) *estimator {
	if e.In != anyWidth {
		return e
	}
	c := *e
	c.In = n
	if e.Out == anyWidth {
		c.Out = n
	}
	return &c
}
