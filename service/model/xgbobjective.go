package model

import (
	"fmt"
	"math"
	"slices"

	"github.com/weirhq/weir/service/document"
)

// xgbObjective is what XGBoost was trained for. It says what predictions are made of margins.
type xgbObjective struct {
	name      string
	link      func(float32) float32 // the margin for a prediction: for base_score
	transform func(v []float64)     // turns the margins of a row into predictions, in place
}

// newXGBObjective finds an objective by its name. Formulas: XGBoost's src/objective, with its 32-bit steps.
func newXGBObjective(o document.Object, version int) (xgbObjective, error) {
	out := xgbObjective{name: o.Text("name"), link: func(v float32) float32 { return v }, transform: func([]float64) {}}
	switch out.name {
	case "reg:squarederror", "reg:linear", "reg:squaredlogerror", "reg:absoluteerror", "reg:pseudohubererror",
		"rank:pairwise", "rank:ndcg", "rank:map", "binary:logitraw":
	case "reg:quantileerror":
		if version >= 304 {
			out.transform = slices.Sort[[]float64]
		}
	case "binary:logistic", "reg:logistic":
		out.link, out.transform = xgbLogit, eachNumber(xgbSigmoid)
	case "binary:hinge":
		out.transform = eachNumber(func(v float32) float32 {
			if v > 0 {
				return 1
			}
			return 0
		})
	case "count:poisson", "reg:gamma", "reg:tweedie", "survival:cox", "survival:aft":
		out.transform = eachNumber(func(v float32) float32 { return float32(math.Exp(float64(v))) })
		out.link = func(v float32) float32 { return float32(math.Log(float64(v))) }
	case "multi:softprob":
		out.transform = xgbSoftmax
	case "multi:softmax":
		out.transform = func(v []float64) { v[0] = float64(argmax(v)) }
	default:
		return out, fmt.Errorf("the objective %.60q is not supported", out.name)
	}
	return out, nil
}

func eachNumber(f func(float32) float32) func([]float64) {
	return func(v []float64) {
		for i := range v {
			v[i] = float64(f(float32(v[i])))
		}
	}
}

// xgbLogit is the margin for a probability.
func xgbLogit(p float32) float32 {
	const eps = 1e-6
	p = min(max(p, eps), 1-eps)
	return float32(-math.Log(float64(1/p - 1)))
}

func xgbSigmoid(v float32) float32 {
	e := float32(math.Exp(float64(min(-v, 88.7))))
	return 1 / (e + 1)
}

func xgbSoftmax(v []float64) {
	top, sum := slices.Max(v), 0.0
	for i := range v {
		v[i] = float64(float32(math.Exp(float64(float32(v[i]) - float32(top)))))
		sum += v[i]
	}
	for i := range v {
		v[i] = float64(float32(v[i]) / float32(sum))
	}
}
