package v2

import (
	"math"
	"strconv"

	"github.com/weirhq/weir/service/wire"
)

// Head is what an answer says beside its tensors.
type Head struct {
	Model   string
	Version string
	ID      string
}

// Tensor is an output of an answer.
type Tensor struct {
	Name     string
	Datatype string
	Shape    []int
	Binary   bool
	// Append appends an element to dst, as JSON or in the binary form.
	Append func(dst []byte, i int, binary bool) []byte
}

// Answer appends an answer to dst. If a tensor is binary, it returns the length of the JSON before the binary tensors,
// for the header HeaderLength; otherwise 0.
func Answer(dst []byte, head Head, tensors []Tensor) ([]byte, int) {
	start := len(dst)
	var binary []byte
	dst = appendText(append(dst, `{"model_name":`...), head.Model)
	dst = appendText(append(dst, `,"model_version":`...), head.Version)
	dst = appendText(append(dst, `,"id":`...), head.ID)
	dst = append(dst, `,"parameters":{},"outputs":[`...)
	for i, t := range tensors {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst, binary = t.append(dst, binary)
	}
	dst = append(dst, "]}"...)
	if binary == nil {
		return dst, 0
	}
	return append(dst, binary...), len(dst) - start
}

// append appends the tensor to the JSON, or the JSON that describes it and its elements to binary.
func (t *Tensor) append(dst, binary []byte) (newDst, newBinary []byte) {
	dst = appendText(append(dst, `{"name":`...), t.Name)
	dst = appendText(append(dst, `,"datatype":`...), t.Datatype)
	dst = append(dst, `,"shape":`...)
	n := 1
	for i, d := range t.Shape {
		dst = strconv.AppendInt(append(dst, "[,"[min(i, 1)]), int64(d), 10)
		n *= d
	}
	if t.Binary {
		if binary == nil {
			binary = []byte{}
		}
		from := len(binary)
		for i := range n {
			binary = t.Append(binary, i, true)
		}
		dst = strconv.AppendInt(append(dst, `],"parameters":{"binary_data_size":`...), int64(len(binary)-from), 10)
		return append(dst, "}}"...), binary
	}
	dst = append(dst, `],"parameters":{"content_type":"np"},"data":[`...)
	for i := range n {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = t.Append(dst, i, false)
	}
	return append(dst, "]}"...), binary
}

// Float appends an element of FP64. JSON has null for NaN; v may not be infinite.
func Float(dst []byte, v float64, binary bool) []byte {
	switch {
	case binary:
		return little.AppendUint64(dst, math.Float64bits(v))
	case v != v:
		return append(dst, "null"...)
	}
	return wire.AppendFloat(dst, v)
}

// appendText appends s as JSON.
func appendText(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return append(dst, wire.Text(s)...)
		}
	}
	dst = append(append(dst, '"'), s...)
	return append(dst, '"')
}
