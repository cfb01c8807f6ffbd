package model

import (
	"math"
	"slices"
)

func scalerEntries() []entry {
	const data = "sklearn.preprocessing._data sklearn.preprocessing.data"
	return slices.Concat(
		in(data, buildStandardScaler, "StandardScaler"),
		in(data, buildMinMaxScaler, "MinMaxScaler"),
		in(data, buildMaxAbsScaler, "MaxAbsScaler"),
		in(data, buildRobustScaler, "RobustScaler"),
		in(data, buildNormalizer, "Normalizer"),
		in(data, buildBinarizer, "Binarizer"),
		in(data, buildPowerTransformer, "PowerTransformer"),
		in(data, buildQuantileTransformer, "QuantileTransformer"),
		in(data+" sklearn.preprocessing._polynomial", buildPolynomialFeatures, "PolynomialFeatures"),
	)
}

// buildStandardScaler gives (x - mean_) / scale_, as far as with_mean and with_std ask for them.
func buildStandardScaler(a attrs) (*estimator, error) {
	return a.shiftAndScale("with_mean", "mean_", "with_std", "scale_")
}

// shiftAndScale reads a vector to subtract and one to divide by, each as far as its flag asks for it.
func (a attrs) shiftAndScale(withShift, shiftName, withScale, scaleName string) (*estimator, error) {
	n, err := a.width()
	if err != nil {
		return nil, err
	}
	shift, err := a.optional(withShift, shiftName, n)
	if err != nil {
		return nil, err
	}
	scale, err := a.optional(withScale, scaleName, n)
	if err != nil {
		return nil, err
	}
	return a.scaling(n, shift, scale)
}

// scaling makes the transformer (x - shift) / scale, column by column. Nil leaves a part out.
func (a attrs) scaling(n int, shift, scale []float64) (*estimator, error) {
	e, err := a.transformer(n, n, eachRow(n, n, func(x, out []float64) {
		copy(out, x)
		for j, m := range shift {
			out[j] -= m
		}
		for j, d := range scale {
			out[j] /= d
		}
	}))
	if err != nil {
		return nil, err
	}
	e.Missing, e.columnwise = true, true
	return e, nil
}

// optional returns the vector name if flag is set, else nil.
func (a attrs) optional(flag, name string, n int) ([]float64, error) {
	on, err := a.flag(flag)
	if err != nil || !on {
		return nil, err
	}
	return a.vector(name, n)
}

// buildMinMaxScaler gives x*scale_ + min_, kept within feature_range if clip says so.
func buildMinMaxScaler(a attrs) (*estimator, error) {
	n, err := a.width()
	if err != nil {
		return nil, err
	}
	scale, err := a.vector("scale_", n)
	if err != nil {
		return nil, err
	}
	shift, err := a.vector("min_", n)
	if err != nil {
		return nil, err
	}
	low, high := math.Inf(-1), math.Inf(1)
	if clip, err := a.flag("clip"); err == nil && clip {
		bounds, err := numbers(a.o.Attrs["feature_range"])
		if err != nil || len(bounds) != 2 {
			return nil, a.errorf("feature_range", "want two numbers")
		}
		low, high = bounds[0], bounds[1]
	}
	return a.numeric(n, func(x, out []float64) {
		for j, v := range x {
			out[j] = min(high, max(low, v*scale[j]+shift[j]))
		}
	})
}

// numeric makes a transformer of n numbers to n numbers that hands NaN on.
func (a attrs) numeric(n int, f func(x, out []float64)) (*estimator, error) {
	e, err := a.transformer(n, n, eachRow(n, n, f))
	if err != nil {
		return nil, err
	}
	e.Missing, e.columnwise = true, true
	return e, nil
}

// buildMaxAbsScaler gives x / scale_, kept within -1 and 1 if clip says so.
func buildMaxAbsScaler(a attrs) (*estimator, error) {
	n, err := a.width()
	if err != nil {
		return nil, err
	}
	scale, err := a.vector("scale_", n)
	if err != nil {
		return nil, err
	}
	clip, _ := a.flag("clip")
	return a.numeric(n, func(x, out []float64) {
		for j, v := range x {
			if out[j] = v / scale[j]; clip {
				out[j] = min(1, max(-1, out[j]))
			}
		}
	})
}

// buildRobustScaler gives (x - center_) / scale_, as far as with_centering and with_scaling ask for them.
func buildRobustScaler(a attrs) (*estimator, error) {
	return a.shiftAndScale("with_centering", "center_", "with_scaling", "scale_")
}

// buildNormalizer makes each row one of norm 1; a row of norm 0 stays.
func buildNormalizer(a attrs) (*estimator, error) {
	n, err := a.width()
	if err != nil {
		return nil, err
	}
	kind := a.text("norm")
	if kind != "l1" && kind != "l2" && kind != "max" {
		return nil, a.errorf("norm", "want l1, l2 or max, not %q", kind)
	}
	return a.transformer(n, n, eachRow(n, n, func(x, out []float64) {
		size := norm(kind, x)
		for j, v := range x {
			out[j] = v / size
		}
	}))
}

func norm(kind string, x []float64) float64 {
	size := 0.0
	for _, v := range x {
		switch kind {
		case "l1":
			size += math.Abs(v)
		case "l2":
			size += v * v
		default:
			size = max(size, math.Abs(v))
		}
	}
	if kind == "l2" {
		size = math.Sqrt(size)
	}
	if size == 0 {
		return 1
	}
	return size
}

// buildBinarizer gives 1 for numbers above threshold, else 0.
func buildBinarizer(a attrs) (*estimator, error) {
	n, err := a.width()
	if err != nil {
		return nil, err
	}
	threshold, _, err := a.floats("threshold")
	if err != nil {
		return nil, err
	}
	return a.transformer(n, n, eachRow(n, n, func(x, out []float64) {
		for j, v := range x {
			out[j] = 0
			if v > threshold[0] {
				out[j] = 1
			}
		}
	}))
}
