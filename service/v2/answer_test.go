package v2_test

import (
	"bytes"
	"encoding/json"
	"math"
	"testing"

	"github.com/weirhq/weir/service/v2"
)

func TestWritesAnswers(t *testing.T) {
	labels, err := v2.NewLabels([][]any{{"a", "ü\""}})
	if err != nil {
		t.Fatal(err)
	}
	values := []float64{.5, math.NaN(), 1, 1e-7}
	tensors := []v2.Tensor{
		{Name: "predict", Datatype: labels.Datatype, Shape: []int{2, 1}, Append: func(dst []byte, i int, binary bool) []byte {
			return labels.Append(dst, 0, i, binary)
		}},
		{Name: "predict_proba", Datatype: "FP64", Shape: []int{2, 2}, Append: func(dst []byte, i int, binary bool) []byte {
			return v2.Float(dst, values[i], binary)
		}},
	}
	head := v2.Head{Model: "iris", Version: "v1", ID: "7"}
	got, n := v2.Answer(nil, head, tensors)
	want := `{"model_name":"iris","model_version":"v1","id":"7","parameters":{},"outputs":[` +
		`{"name":"predict","datatype":"BYTES","shape":[2,1],"parameters":{"content_type":"np"},"data":["a","ü\""]},` +
		`{"name":"predict_proba","datatype":"FP64","shape":[2,2],"parameters":{"content_type":"np"},` +
		`"data":[0.5,null,1,1e-07]}]}`
	if string(got) != want || n != 0 || !json.Valid(got) {
		t.Errorf("got  %s\nwant %s", got, want)
	}

	tensors[0].Binary = true
	got, n = v2.Answer([]byte("before"), head, tensors)
	got = got[len("before"):]
	if n == 0 || !json.Valid(got[:n]) || !bytes.Equal(got[n:], []byte("\x01\x00\x00\x00a\x03\x00\x00\x00ü\"")) {
		t.Errorf("%d: %s %q", n, got[:n], got[n:])
	}
	if !bytes.Contains(got[:n], []byte(`"parameters":{"binary_data_size":12}}`)) || bytes.Contains(got[:n], []byte(`"ü`)) {
		t.Errorf("JSON of a binary answer: %s", got[:n])
	}
}

func TestLabelsHaveOneDatatype(t *testing.T) {
	for _, tt := range []struct {
		outputs  [][]any
		datatype string
		json     string // the last label
		binary   string
	}{
		{[][]any{{int64(1), int64(-2)}}, "INT64", "-2", "\xfe\xff\xff\xff\xff\xff\xff\xff"},
		{[][]any{{uint64(1), uint64(1 << 63)}}, "UINT64", "9223372036854775808", "\x00\x00\x00\x00\x00\x00\x00\x80"},
		{[][]any{{false, true}}, "BOOL", "true", "\x01"},
		{[][]any{{true, false}}, "BOOL", "false", "\x00"},
		{[][]any{{1.5}}, "FP64", "1.5", "\x00\x00\x00\x00\x00\x00\xf8\x3f"},
		{[][]any{{"a"}, {"b"}}, "BYTES", `"b"`, "\x01\x00\x00\x00b"},
		{[][]any{{1.5}, {int64(1)}}, "FP64", "1", "\x00\x00\x00\x00\x00\x00\xf0\x3f"},
		{[][]any{{"a"}, {int64(1)}}, "BYTES", `"1"`, "\x01\x00\x00\x001"},
		{[][]any{{int64(1), "a", true}}, "BYTES", `"true"`, "\x04\x00\x00\x00true"},
	} {
		l, err := v2.NewLabels(tt.outputs)
		if err != nil {
			t.Fatal(err)
		}
		output := len(tt.outputs) - 1
		class := len(tt.outputs[output]) - 1
		if text := l.Append(nil, output, class, false); l.Datatype != tt.datatype || string(text) != tt.json {
			t.Errorf("%v: %s %s, want %s %s", tt.outputs, l.Datatype, text, tt.datatype, tt.json)
		}
		if b := l.Append(nil, output, class, true); string(b) != tt.binary {
			t.Errorf("%v: %q, want %q", tt.outputs, b, tt.binary)
		}
	}
}
