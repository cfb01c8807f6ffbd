package wire_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/weirhq/weir/service/cell"
	"github.com/weirhq/weir/service/wire"
)

// cells returns what a request holds: float64, string, or nil for what is missing.
func cells(r *wire.Rows) []any {
	out := make([]any, len(r.X))
	for i, v := range r.X {
		switch at, ok := cell.Index(v); {
		case ok:
			out[i] = string(r.Texts[at])
		case !math.IsNaN(v):
			out[i] = v
		}
	}
	return out
}

func TestParseMixed(t *testing.T) {
	tests := []struct {
		name, body string
		schema     *wire.Schema
		x          []any
		count      int
	}{
		{"a list", `{"x":[1.5,"red"]}`, mixed, []any{1.5, "red"}, 1},
		{"lists", `{"x":[["a",null],[true,"b"]]}`, mixed, []any{"a", nil, 1.0, "b"}, 2},
		{"an object", `{"x":{"size":1,"tülip":"red"}}`, mixed, []any{1.0, "red"}, 1},
		{"objects in any order", `{"x":[{"tülip":"a","size":1},{ "size" : null , "t\u00fclip" : "b" }]}`, mixed, []any{1.0, "a", nil, "b"}, 2},
		{"many objects", `{"x":[` + strings.Repeat(`{"tülip":1,"size":2},`, 9) + `{"size":3,"tülip":4}]}`, mixed, slices.Concat(
			slices.Repeat([]any{2.0, 1.0}, 9), []any{3.0, 4.0}), 10},
		{"texts", `{"x":["one text","another"]}`, texts, []any{"one text", "another"}, 2},
		{"a text", `{"x":["one"]}`, texts, []any{"one"}, 1},
		{"texts in lists", `{"x":[["one"],["another"]]}`, texts, []any{"one", "another"}, 2},
		{"escapes", `{"x":["\"\\\/\b\f\n\r\t\u00fC\ud83d\ude00!","é\u0000"]}`, mixed, []any{"\"\\/\b\f\n\r\tü😀!", "é\x00"}, 1},
		{"empty text", `{"x":["",""]}`, mixed, []any{"", ""}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var r wire.Rows
			for range 2 { // as reused
				if err := r.Parse([]byte(tt.body), 10, tt.schema); err != nil {
					t.Fatal(err)
				}
				if got := cells(&r); !slices.Equal(got, tt.x) || r.Count != tt.count || r.Width*r.Count != len(tt.x) {
					t.Errorf("got %v in %d rows of %d", got, r.Count, r.Width)
				}
			}
		})
	}
}

func TestParseMixedRefuses(t *testing.T) {
	tests := []struct {
		body   string
		schema *wire.Schema
		want   string
	}{
		{`{"x":[1,"a"]}`, holes, `row 0, column 1: want a finite number in x, but this is a text`},
		{`{"x":[[1,2],[1,null]]}`, wire.NewSchema([]string{"a", "b"}, false, false, false), `row 1, column 1 ("b"): want`},
		{`{"x":{"size":1}}`, mixed, `no "tülip"`},
		{`{"x":[{"size":1,"tülip":2},{"tülip":2}]}`, mixed, `row 1 of x has no "size"`},
		{`{"x":{}}`, mixed, `no "size"`},
		{`{"x":{"size":1,"tülip":2,"age":3}}`, mixed, `"age", but the model has no such column`},
		{`{"x":{"size":1,"size":2}}`, mixed, `"size" twice`},
		{`{"x":{"size":[1],"tülip":2}}`, mixed, `row 0, column "size": want a finite number in x, but this is a list`},
		{`{"x":{"size":1,}}`, mixed, "want the name of a column"},
		{`{"x":{"size" 1}}`, mixed, "want ':'"},
		{`{"x":{"size":1]}`, mixed, "',' or '}'"},
		{`{"x":{"size":1,"tülip":"a"`, mixed, "the body ends here"},
		{`{"x":[{"size":1,"tülip":2},[1,2]]}`, mixed, "an object for each row"},
		{`{"x":[{"size":1,"tülip":2},{"size":1,"tülip":2},{"size":1,"tülip":2},{}]}`, mixed, "more than 3 rows"},
		{`{"x":["a","b","c","d"]}`, texts, "more than 3 rows"},
		{`{"x":["a",["b"]]}`, texts, "a text for each row"},
		{`{"x":["a",null]}`, texts, "a text for each row"},
		{`{"x":["a]}`, mixed, "at the end of a text, but the body ends here"},
		{`{"x":["a\x"]}`, mixed, `escape "\\x`},
		{`{"x":["a\u12"]}`, mixed, "escape"},
		{`{"x":["\ud800"]}`, mixed, "escape"},
		{`{"x":["\ud800\u0041"]}`, mixed, "escape"},
		{`{"x":["\ude00"]}`, mixed, "escape"},
		{`{"x":["\`, mixed, "escape"},
		{"{\"x\":[\"\xff\"]}", mixed, "not UTF-8"},
		{"{\"x\":[\"\\n\xff\"]}", mixed, "not UTF-8"},
		{"{\"x\":[\"a\nb\"]}", mixed, "control character"},
		{"{\"x\":[\"\\n\nb\"]}", mixed, "control character"},
		{`{"x":{"a":1,"b":1}}`, wire.NewSchema([]string{"a", "a"}, true, true, false), "no names of columns"},
	}
	for _, tt := range tests {
		t.Run(tt.body, func(t *testing.T) {
			var r wire.Rows
			err := r.Parse([]byte(tt.body), 3, tt.schema)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q in it", err, tt.want)
			}
		})
	}
}

func TestRowsFromElsewhere(t *testing.T) {
	var r wire.Rows
	if err := r.Parse([]byte(`{"x":[1,"a"],"decision":true}`), 3, mixed); err != nil {
		t.Fatal(err)
	}
	r.Reset(2, 2)
	r.SetNumber(0, 0, 1.5)
	r.SetText(0, 1, []byte("red"))
	r.SetNumber(1, 0, cell.Text(0))
	if got := cells(&r); !slices.Equal(got, []any{1.5, "red", nil, nil}) || r.Count != 2 || r.Width != 2 || r.Decision {
		t.Errorf("got %v: %+v", got, r)
	}
	if i, ok := mixed.Column([]byte("tülip")); !ok || i != 1 {
		t.Errorf("column %d, %v", i, ok)
	}
}

func TestParseMixedAllocatesNothing(t *testing.T) {
	var r wire.Rows
	row := `{"size":5.25,"tülip":"dark red"}`
	for _, body := range []string{
		`{"x":[5.25,"dark red"]}`, `{"x":` + row + `}`, fmt.Sprintf(`{"x":[%s,%s,{"tülip":"a\tb","size":null}]}`, row, row),
	} {
		buf := []byte(body)
		n := testing.AllocsPerRun(100, func() {
			copy(buf, body)
			if err := r.Parse(buf, 3, mixed); err != nil {
				t.Fatal(err)
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", body, n)
		}
	}
}

func BenchmarkParseMixed(b *testing.B) {
	for name, body := range map[string]string{
		"list": `{"x":[5.25,"dark red"]}`, "object": `{"x":{"size":5.25,"tülip":"dark red"}}`,
	} {
		b.Run(name, func(b *testing.B) {
			var r wire.Rows
			b.ReportAllocs()
			for b.Loop() {
				if err := r.Parse([]byte(body), 1, mixed); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
