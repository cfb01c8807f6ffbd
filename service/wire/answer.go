package wire

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// AppendFloat appends v as encoding/json writes it: the shortest text that reads back as v. V must be finite.
func AppendFloat(dst []byte, v float64) []byte {
	if abs := math.Abs(v); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		return strconv.AppendFloat(dst, v, 'e', -1, 64)
	}
	return strconv.AppendFloat(dst, v, 'f', -1, 64)
}

// Text returns s as JSON text.
func Text(s string) []byte {
	b, err := json.Marshal(s)
	if err != nil {
		return []byte(`""`)
	}
	return b
}

// Label returns a class label as JSON: a number, text or boolean.
func Label(v any) ([]byte, error) {
	if f, ok := v.(float64); ok {
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, fmt.Errorf("class %v can't be written as JSON", f)
		}
		return AppendFloat(nil, f), nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("write class as JSON: %w", err)
	}
	return b, nil
}
