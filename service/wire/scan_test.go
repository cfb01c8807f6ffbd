package wire_test

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/weirhq/weir/service/wire"
)

// Schemas of models that take numbers only, numbers and null, and everything in two named columns.
var (
	numbers = wire.NewSchema(nil, false, false, false)
	holes   = wire.NewSchema(nil, false, true, false)
	mixed   = wire.NewSchema([]string{"size", "tülip"}, true, true, false)
	texts   = wire.NewSchema(nil, true, false, true)
)

func TestParse(t *testing.T) {
	tests := []struct {
		name, body string
		x          []float64
		count      int
		nested     bool
	}{
		{"one row", `{"x":[1,2,3]}`, []float64{1, 2, 3}, 1, false},
		{"rows", `{"x":[[1,2],[3,4]]}`, []float64{1, 2, 3, 4}, 2, true},
		{"one row in a list", `{"x":[[1]]}`, []float64{1}, 1, true},
		{"space", " {\t\"x\" :\n[ [ 1 , 2 ] , [ 3 , 4 ] ]\r} ", []float64{1, 2, 3, 4}, 2, true},
		{
			"numbers", `{"x":[-0.5,1e3,1E-2,0,0.1,123456789012345678,2.5e+1]}`,
			[]float64{-.5, 1000, .01, 0, .1, 123456789012345678, 25},
			1, false,
		},
		{"extremes", `{"x":[5e-324,1.7976931348623157e308,1e-400]}`, []float64{5e-324, math.MaxFloat64, 0}, 1, false},
		{"booleans", `{"x":[true,false]}`, []float64{1, 0}, 1, false},
		{"escaped name", `{"\u0078":[1]}`, []float64{1}, 1, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var r wire.Rows
			if err := r.Parse([]byte(tt.body), 10, numbers); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(r.X, tt.x) || r.Count != tt.count || r.Nested != tt.nested || r.Width*r.Count != len(tt.x) {
				t.Errorf("got %+v", r)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct{ body, want string }{
		{``, "byte 0: want an object, but the body ends here"},
		{`[1]`, "want an object"},
		{`{}`, `want the member "x"`},
		{`{"X":[1]}`, `the member "X" is not known`},
		{`{"x":[1],"y":2}`, `the member "y" is not known`},
		{`{"x":[1],"x":[2]}`, "twice"},
		{`{"x":[1],"decision":true,"decision":true}`, "twice"},
		{`{"probabilities":true}`, `no member "x"`},
		{`{"x":[1],"probabilities":1}`, "want true or false"},
		{`{"x":[1],"probabilities":nul}`, "want true or false"},
		{`{"x":[1],}`, `want the member "x"`},
		{`{"x":[1]} {}`, "something follows"},
		{`{"x":1}`, "want a list for x"},
		{`{"x":[]}`, "is empty"},
		{`{"x":[[]]}`, "is empty"},
		{`{"x":[[1],2]}`, "want a list for each row"},
		{`{"x":[1,[2]]}`, "this is a list"},
		{`{"x":[[1,2],[3]]}`, "row 1 of x has 1 numbers, but row 0 has 2"},
		{`{"x":[[1],[2],[3],[4]]}`, "more than 3 rows"},
		{`{"x":["a"]}`, "this is a text"},
		{`{"x":[tru]}`, "finite number"},
		{`{"x":{"a":1}}`, "no names of columns"},
		{`{"x":[{"a":1}]}`, "no names of columns"},
		{`{"x":[[1],{"a":1}]}`, "want a list for each row"},
		{`{"x":[null]}`, "this is null"},
		{`{"x":[1,{}]}`, "this is an object"},
		{`{"x":[NaN]}`, "NaN or Infinity"},
		{`{"x":[-Infinity]}`, "NaN or Infinity"},
		{`{"x":[1e999]}`, "too large"},
		{`{"x":[01]}`, "finite number"},
		{`{"x":[+1]}`, "finite number"},
		{`{"x":[.5]}`, "finite number"},
		{`{"x":[1.]}`, "finite number"},
		{`{"x":[1e]}`, "finite number"},
		{`{"x":[0x10]}`, "',' or ']'"},
		{`{"x":[1,]}`, "finite number"},
		{`{"x":[1}`, "',' or ']'"},
		{`{"x":[1]`, "the body ends here"},
		{`{"x" [1]}`, "want ':'"},
		{"{\"x\":[1]}\x00", "something follows"},
		{`{"x`, "no JSON text"},
	}
	for _, tt := range tests {
		t.Run(tt.body, func(t *testing.T) {
			var r wire.Rows
			err := r.Parse([]byte(tt.body), 3, numbers)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q in it", err, tt.want)
			}
		})
	}
}

func TestParseOptions(t *testing.T) {
	var r wire.Rows
	for body, want := range map[string][2]bool{
		`{"x":[1]}`: {false, false}, `{"x":[1],"probabilities":true}`: {true, false},
		`{"decision": true , "x":[1]}`:                              {false, true},
		`{"x":[1],"probabilities":false,"decision":true}`:           {false, true},
		`{"probabilities":true,"x":[[1],[2]],"d\u0065cision":true}`: {true, true},
	} {
		if err := r.Parse([]byte(body), 10, numbers); err != nil || r.Probabilities != want[0] || r.Decision != want[1] {
			t.Errorf("%s: %+v, %v", body, r, err)
		}
	}
}

func TestParseMissing(t *testing.T) {
	var r wire.Rows
	if err := r.Parse([]byte(`{"x":[[1, null],[null,2]]}`), 10, holes); err != nil || !r.Missing {
		t.Fatalf("%+v, %v", r, err)
	}
	if !math.IsNaN(r.X[1]) || !math.IsNaN(r.X[2]) || r.X[3] != 2 {
		t.Errorf("%+v", r)
	}
	if err := r.Parse([]byte(`{"x":[1]}`), 10, holes); err != nil || r.Missing {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestAppendFloatIsAsEncodingJSON(t *testing.T) {
	for _, v := range []float64{
		0, 1, -1, 0.1, 1e-6, 9.9e-7, 1e20, 1e21, -1.5e300, math.SmallestNonzeroFloat64, math.MaxFloat64, 1.0 / 3,
	} {
		got := wire.AppendFloat(nil, v)
		var back float64
		if err := json.Unmarshal(got, &back); err != nil || back != v {
			t.Errorf("%v is written as %s: %v", v, got, err)
		}
	}
}

func TestLabel(t *testing.T) {
	for _, tt := range []struct {
		v    any
		want string
	}{{int64(3), "3"}, {1.0, "1"}, {2.5, "2.5"}, {true, "true"}, {"tülip \"x\"", `"tülip \"x\""`}, {uint64(9), "9"}} {
		got, err := wire.Label(tt.v)
		if err != nil || string(got) != tt.want {
			t.Errorf("%v: got %s, %v", tt.v, got, err)
		}
	}
	if _, err := wire.Label(math.NaN()); err == nil {
		t.Error("NaN has a JSON form")
	}
}

var bodies = map[string][]byte{
	"3":  []byte(`{"x":[1,2,3]}`),
	"20": []byte(`{"x":[` + strings.TrimSuffix(strings.Repeat("-12.345678,", 20), ",") + `]}`),
}

func TestParseAllocatesNothing(t *testing.T) {
	var r wire.Rows
	for name, body := range bodies {
		if n := testing.AllocsPerRun(100, func() { _ = r.Parse(body, 1, numbers) }); n != 0 {
			t.Errorf("%s numbers: %v allocations", name, n)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for name, body := range bodies {
		b.Run("scanner/"+name, func(b *testing.B) {
			var r wire.Rows
			b.ReportAllocs()
			for b.Loop() {
				if err := r.Parse(body, 1, numbers); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("encoding-json/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var v struct {
					X []float64 `json:"x"`
				}
				if err := json.Unmarshal(body, &v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
