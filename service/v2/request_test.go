package v2_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/weirhq/weir/service/v2"
)

// one wraps a tensor into a request.
func one(tensor string) string { return `{"inputs":[{"name":"x",` + tensor + `}]}` }

func TestReadsJSONTensors(t *testing.T) {
	for _, tt := range []struct {
		tensor  string
		numbers []float64
		texts   []string
	}{
		{`"datatype":"FP64","shape":[2,2],"data":[1,2.5,-3e2,null]`, []float64{1, 2.5, -300, math.NaN()}, nil},
		{`"datatype":"FP64","shape":[2,2],"data":[[1,2],[3,4]]`, []float64{1, 2, 3, 4}, nil},
		{`"datatype":"FP64","shape":[2],"data":[true,false]`, []float64{1, 0}, nil},
		{`"datatype":"FP64","shape":[2,2],"data": [ [ 1 , 2 ] , [ 3 , 4 ] ] `, []float64{1, 2, 3, 4}, nil},
		{`"datatype":"FP32","shape":[2],"data":[0.1,16777217]`, []float64{float64(float32(0.1)), 16777216}, nil},
		{
			`"datatype":"FP16","shape":[4],"data":[0.1,65504,6e-8,2049]`,
			[]float64{0.0999755859375, 65504, math.Ldexp(1, -24), 2048},
			nil,
		},
		{`"datatype":"BOOL","shape":[3],"data":[true,false,1]`, []float64{1, 0, 1}, nil},
		{`"datatype":"INT8","shape":[2],"data":[-128,127]`, []float64{-128, 127}, nil},
		{`"datatype":"UINT64","shape":[1],"data":[18446744073709551615]`, []float64{18446744073709551615}, nil},
		{`"datatype":"INT64","shape":[1,1],"data":[-9223372036854775808]`, []float64{-9223372036854775808}, nil},
		{`"datatype":"BYTES","shape":[3],"data":["a","b \"[,]\" \\","\u00fc"]`, nil, []string{"a", `b "[,]" \`, "ü"}},
		{
			`"datatype":"BYTES","shape":[1,2],"data":[["a",""]],"parameters":{"content_type":"str","more":[1]}`, nil,
			[]string{"a", ""},
		},
	} {
		body := []byte(one(tt.tensor))
		r, err := v2.Parse(body, len(body))
		if err != nil {
			t.Errorf("%s: %v", tt.tensor, err)
			continue
		}
		if !sameNumbers(r.Inputs[0].Numbers, tt.numbers) || !slices.Equal(texts(r.Inputs[0]), tt.texts) {
			t.Errorf("%s: %v %q", tt.tensor, r.Inputs[0].Numbers, r.Inputs[0].Texts)
		}
	}
}

func texts(in v2.Input) (out []string) {
	for _, b := range in.Texts {
		out = append(out, string(b))
	}
	return out
}

func sameNumbers(a, b []float64) bool {
	return slices.EqualFunc(a, b, func(v, w float64) bool { return v == w || v != v && w != w })
}

func TestReadsBinaryTensors(t *testing.T) {
	le := binary.LittleEndian
	texts4 := append(append(le.AppendUint32(nil, 2), "ab"...), 0, 0, 0, 0)
	for _, tt := range []struct {
		datatype string
		content  []byte
		want     []float64
	}{
		{"BOOL", []byte{0, 1}, []float64{0, 1}},
		{"UINT8", []byte{0, 255}, []float64{0, 255}},
		{"INT8", []byte{255, 127}, []float64{-1, 127}},
		{"UINT16", []byte{1, 2, 255, 255}, []float64{513, 65535}},
		{"INT16", []byte{1, 2, 255, 255}, []float64{513, -1}},
		{"UINT32", le.AppendUint32(le.AppendUint32(nil, 7), math.MaxUint32), []float64{7, math.MaxUint32}},
		{"INT32", le.AppendUint32(le.AppendUint32(nil, 7), math.MaxUint32), []float64{7, -1}},
		{"UINT64", le.AppendUint64(le.AppendUint64(nil, 7), 1<<63), []float64{7, 1 << 63}},
		{"INT64", le.AppendUint64(le.AppendUint64(nil, 7), 1<<63), []float64{7, -1 << 63}},
		{"FP16", []byte{0x00, 0x3c, 0x01, 0x80}, []float64{1, -math.Ldexp(1, -24)}},
		{"FP16", []byte{0xff, 0x7b, 0x00, 0x7e}, []float64{65504, math.NaN()}},
		{
			"FP32", le.AppendUint32(le.AppendUint32(nil, math.Float32bits(.1)), math.Float32bits(-2)),
			[]float64{float64(float32(.1)), -2},
		},
		{"FP64", le.AppendUint64(le.AppendUint64(nil, math.Float64bits(.1)), math.Float64bits(-2)), []float64{.1, -2}},
		{"BYTES", texts4, nil},
	} {
		head := one(fmt.Sprintf(`"datatype":%q,"shape":[2],"parameters":{"binary_data_size":%d}`, tt.datatype,
			len(tt.content)))
		r, err := v2.Parse(append([]byte(head), tt.content...), len(head))
		if err != nil {
			t.Errorf("%s: %v", tt.datatype, err)
			continue
		}
		in := r.Inputs[0]
		if !sameNumbers(in.Numbers, tt.want) || tt.want == nil && !slices.Equal(texts(in), []string{"ab", ""}) {
			t.Errorf("%s: %v %q, want %v", tt.datatype, in.Numbers, in.Texts, tt.want)
		}
	}
}

func TestRefusesBrokenRequests(t *testing.T) {
	half := `"datatype":"FP16","shape":[1],"parameters":{"binary_data_size":2}`
	for _, tt := range []struct{ body, binary, want string }{
		{`{`, "", "no inference request"},
		{`{}`, "", "at least one tensor"},
		{`{"inputs":1}`, "", "no inference request"},
		{one(`"datatype":"FP65","shape":[1],"data":[1]`), "", "datatype"},
		{one(`"datatype":"FP64","shape":[],"data":[1]`), "", "0 dimensions"},
		{one(`"datatype":"FP64","shape":[-1],"data":[1]`), "", "negative"},
		{one(`"datatype":"FP64","shape":[4294967296,4294967296],"data":[1]`), "", "too large"},
		{one(`"datatype":"FP64","shape":[2147483647],"data":[1]`), "", "2147483647 elements"},
		{one(`"datatype":"FP64","shape":[2,2],"data":[1,2,3]`), "", "4 elements"},
		{one(`"datatype":"FP64","shape":[2,2],"data":[[1,2,3],[4]]`), "", "4 elements"},
		{one(`"datatype":"FP64","shape":[2,2],"data":[[1,2],3,4]`), "", "4 elements"},
		{one(`"datatype":"FP64","shape":[1],"data":1`), "", "1 elements"},
		{one(`"datatype":"FP64","shape":[1],"data":null`), "", "1 elements"},
		{one(`"datatype":"FP64","shape":[1],"data":[{}]`), "", "1 elements"},
		{one(`"datatype":"FP64","shape":[1],"data":["1"]`), "", "not a number"},
		{one(`"datatype":"FP64","shape":[1],"data":[1e999]`), "", "element 0"},
		{one(`"datatype":"FP32","shape":[1],"data":[1e39]`), "", "element 0"},
		{one(`"datatype":"FP16","shape":[1],"data":[65520]`), "", "element 0"},
		{one(`"datatype":"INT32","shape":[1],"data":[1.5]`), "", "whole number of 32 bits"},
		{one(`"datatype":"INT8","shape":[1],"data":[128]`), "", "8 bits"},
		{one(`"datatype":"UINT8","shape":[1],"data":[-1]`), "", "from 0 to 255"},
		{one(`"datatype":"INT32","shape":[1],"data":[null]`), "", "null"},
		{one(`"datatype":"BOOL","shape":[1],"data":[2]`), "", "true or false"},
		{one(`"datatype":"BYTES","shape":[1],"data":[1]`), "", "not a text"},
		{one(`"datatype":"FP64","shape":[1]`), "", "neither"},
		{one(half[:len(half)-1] + `},"data":[1]`), "ab", "both"},
		{one(half), "a", "1 are left"},
		{one(half), "abc", "1 bytes follow"},
		{one(half), "\x00\x7c", "infinite"},
		{one(strings.Replace(half, "[1]", "[2]", 1)), "ab", "4 bytes, not 2"},
		{one(strings.Replace(half, `":2`, `":-2`, 1)), "ab", "should have -2"},
		{one(`"datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":5}`), "\x02\x00\x00\x00a", "longer"},
		{one(`"datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":5}`), "\x00\x00\x00\x00a", "1 bytes follow"},
		{one(`"datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":5}`), "\x01\x00\x00\x00\xff", "UTF-8"},
		{one(`"datatype":"BYTES","shape":[9999],"parameters":{"binary_data_size":5}`), "\x01\x00\x00\x00a", "don't fit"},
		{one(`"datatype":"BYTES","shape":[1],"data":["a"],"parameters":{"content_type":"base64"}`), "", "content_type"},
		{
			`{"inputs":[{"name":"x","datatype":"FP64","shape":[1],"data":[1]}],"outputs":[{"name":"a"},{"name":"a"}]}`, "",
			"twice",
		},
	} {
		_, err := v2.Parse([]byte(tt.body+tt.binary), len(tt.body))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s + %q: %v, want %q", tt.body, tt.binary, err, tt.want)
		}
	}
	if _, err := v2.Parse([]byte("{}"), 3); err == nil {
		t.Error("a header longer than the body is taken")
	}
}

// FuzzParse checks that no body makes Parse panic, and that data agrees with encoding/json.
func FuzzParse(f *testing.F) {
	f.Add([]byte(one(`"datatype":"FP64","shape":[2,2],"data":[[1,2],[3,4]]`)), 9999)
	f.Add([]byte(one(`"datatype":"BYTES","shape":[2],"data":["a","\""]`)), 9999)
	f.Add([]byte(one(`"datatype":"INT8","shape":[2],"parameters":{"binary_data_size":2}`)+"ab"), 86)
	f.Fuzz(func(t *testing.T, body []byte, header int) {
		header = min(header, len(body))
		r, err := v2.Parse(body, header)
		if err != nil {
			return
		}
		var m struct {
			Inputs []struct{ Data json.RawMessage }
		}
		if err := json.Unmarshal(body[:header], &m); err != nil {
			t.Fatal(err)
		}
		for i, in := range r.Inputs {
			n := 1
			for _, d := range in.Shape {
				n *= d
			}
			if len(in.Numbers)+len(in.Texts) != n {
				t.Fatalf("%d numbers and %d texts for %v", len(in.Numbers), len(in.Texts), in.Shape)
			}
			if in.Datatype == "FP64" && m.Inputs[i].Data != nil {
				var v any
				if err := json.Unmarshal(m.Inputs[i].Data, &v); err != nil {
					t.Fatal(err)
				}
				if want := flatten(v); !sameNumbers(in.Numbers, want) {
					t.Fatalf("%s: %v, want %v", m.Inputs[i].Data, in.Numbers, want)
				}
			}
		}
	})
}

func flatten(v any) (out []float64) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			out = append(out, flatten(e)...)
		}
	case float64:
		out = append(out, v)
	case bool:
		out = append(out, map[bool]float64{true: 1}[v])
	default:
		out = append(out, math.NaN())
	}
	return out
}
