package cell_test

import (
	"math"
	"testing"

	"github.com/weirhq/weir/service/cell"
)

func TestText(t *testing.T) {
	for _, i := range []int{0, 1, 77, cell.Max - 1} {
		v := cell.Text(i)
		if got, ok := cell.Index(v); !ok || got != i || v == v {
			t.Errorf("place %d: got %d, %v", i, got, ok)
		}
		if _, ok := cell.Index(cell.Number(v)); ok {
			t.Errorf("place %d is still a text as a number", i)
		}
	}
	zero := 0.0
	for _, v := range []float64{0, 1, -1, math.NaN(), -math.NaN(), math.Inf(1), math.Inf(-1), zero / zero, math.Sqrt(-1)} {
		if _, ok := cell.Index(v); ok {
			t.Errorf("%v is a text", v)
		}
	}
}

// TestTextSurvivesCopies sends cells through what rows go through on their way.
func TestTextSurvivesCopies(t *testing.T) {
	rows := []float64{1, cell.Text(5), 3}
	to := make([]float64, 3)
	copy(to, rows)
	identity := func(v float64) float64 { return v }
	to[1] = identity(to[1])
	if i, ok := cell.Index(to[1]); !ok || i != 5 {
		t.Errorf("got %d, %v", i, ok)
	}
}
