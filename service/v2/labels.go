package v2

import (
	"fmt"
	"math"

	"github.com/weirhq/weir/service/wire"
)

// Labels are the classes of a classifier as elements of a tensor.
type Labels struct {
	Datatype string
	outputs  [][]label
}

type label struct{ json, binary []byte }

// NewLabels takes the classes of each output: int64, uint64, float64, bool or string. Where they are of several types,
// they become FP64 if they are numbers, and BYTES otherwise.
func NewLabels(outputs [][]any) (*Labels, error) {
	l := &Labels{}
	for _, classes := range outputs {
		for _, class := range classes {
			switch d := datatypeOf(class); {
			case l.Datatype == "" || l.Datatype == d:
				l.Datatype = d
			case l.Datatype == "BYTES" || d == "BYTES":
				l.Datatype = "BYTES"
			default:
				l.Datatype = "FP64"
			}
		}
	}
	for _, classes := range outputs {
		all := make([]label, len(classes))
		for i, class := range classes {
			var err error
			if all[i], err = newLabel(class, l.Datatype); err != nil {
				return nil, err
			}
		}
		l.outputs = append(l.outputs, all)
	}
	return l, nil
}

// Append appends a class of an output.
func (l *Labels) Append(dst []byte, output, class int, binary bool) []byte {
	if binary {
		return append(dst, l.outputs[output][class].binary...)
	}
	return append(dst, l.outputs[output][class].json...)
}

func datatypeOf(class any) string {
	switch class.(type) {
	case int64:
		return "INT64"
	case uint64:
		return "UINT64"
	case bool:
		return "BOOL"
	case float64:
		return "FP64"
	}
	return "BYTES"
}

func newLabel(class any, datatype string) (label, error) {
	if datatype == "BYTES" {
		text := fmt.Sprint(class)
		b := little.AppendUint32(nil, uint32(len(text)))
		return label{wire.Text(text), append(b, text...)}, nil
	}
	if datatype == "FP64" {
		class = number(class)
	}
	text, err := wire.Label(class)
	if err != nil {
		return label{}, err
	}
	var b []byte
	switch v := class.(type) {
	case int64:
		b = little.AppendUint64(b, uint64(v))
	case uint64:
		b = little.AppendUint64(b, v)
	case float64:
		b = little.AppendUint64(b, math.Float64bits(v))
	case bool:
		if b = []byte{0}; v {
			b[0] = 1
		}
	}
	return label{text, b}, nil
}

func number(class any) float64 {
	switch v := class.(type) {
	case int64:
		return float64(v)
	case uint64:
		return float64(v)
	case float64:
		return v
	case bool:
		if v {
			return 1
		}
	}
	return 0
}
