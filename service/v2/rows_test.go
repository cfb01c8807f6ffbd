package v2_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/weirhq/weir/service/cell"
	"github.com/weirhq/weir/service/v2"
	"github.com/weirhq/weir/service/wire"
)

var (
	named   = v2.Columns{Count: 3, Names: []string{"a", "b", "c"}}
	unnamed = v2.Columns{Count: 3}
	single  = v2.Columns{Count: 1}
	anyWide = v2.Columns{Count: -1}
	text    = v2.Columns{Count: 1, Documents: true}
)

func TestFillsRows(t *testing.T) {
	const (
		whole = `"datatype":"FP64","shape":[2,3],"data":[1,2,3,4,5,6]`
		ca    = `{"name":"c","datatype":"INT8","shape":[2],"data":[3,6]},` +
			`{"name":"a","datatype":"FP64","shape":[2,1],"data":[1,4]}`
	)
	for _, tt := range []struct {
		name, inputs string
		columns      v2.Columns
		want         []float64
		rows         int
	}{
		{"rows", `{"name":"input-0",` + whole + `}`, named, []float64{1, 2, 3, 4, 5, 6}, 2},
		{"rows that are called like a column", `{"name":"a",` + whole + `}`, named, []float64{1, 2, 3, 4, 5, 6}, 2},
		{"rows of any width", `{"name":"x",` + whole + `}`, anyWide, []float64{1, 2, 3, 4, 5, 6}, 2},
		{"one row", `{"name":"x","datatype":"FP64","shape":[3],"data":[1,2,3]}`, unnamed, []float64{1, 2, 3}, 1},
		{"rows of one column", `{"name":"x","datatype":"FP64","shape":[3],"data":[1,2,3]}`, single, []float64{1, 2, 3}, 3},
		{
			"columns by name", ca + `,{"name":"b","datatype":"FP64","shape":[2],"data":[2,5]}`, named,
			[]float64{1, 2, 3, 4, 5, 6},
			2,
		},
		{
			"columns in order", ca + `,{"name":"b","datatype":"FP64","shape":[2],"data":[2,5]}`, unnamed,
			[]float64{3, 1, 2, 6, 4, 5},
			2,
		},
		{
			"side by side", `{"name":"x","datatype":"FP64","shape":[2,2],"data":[1,2,4,5]},
			{"name":"y","datatype":"FP64","shape":[2,1],"data":[3,6]}`, unnamed, []float64{1, 2, 3, 4, 5, 6}, 2,
		},
		{
			"texts", `{"name":"x","datatype":"BYTES","shape":[2],"data":["a","b"]}`, text,
			[]float64{cell.Text(0), cell.Text(1)},
			2,
		},
		{"missing text", `{"name":"x","datatype":"BYTES","shape":[3],"data":[null,"b",""]}`, text, []float64{
			math.NaN(), cell.Text(0), cell.Text(1),
		}, 3},
		{
			"texts in rows", `{"name":"x","datatype":"BYTES","shape":[2,1],"data":["a","b"]}`, text,
			[]float64{cell.Text(0), cell.Text(1)},
			2,
		},
	} {
		body := []byte(`{"inputs":[` + tt.inputs + `]}`)
		r, err := v2.Parse(body, len(body))
		if err != nil {
			t.Fatal(err)
		}
		var rows wire.Rows
		if err := r.Fill(&rows, tt.columns, 10); err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if rows.Count != tt.rows || !sameCells(rows.X, tt.want) {
			t.Errorf("%s: %d rows of %v, want %d of %v", tt.name, rows.Count, rows.X, tt.rows, tt.want)
		}
	}
}

func sameCells(a, b []float64) bool {
	return slices.EqualFunc(a, b, func(v, w float64) bool {
		i, textV := cell.Index(v)
		j, textW := cell.Index(w)
		return textV == textW && (textV && i == j || v == w || !textV && v != v && w != w)
	})
}

func TestRefusesRowsThatDontFit(t *testing.T) {
	tensor := func(name, shape, data string) string {
		return `{"name":"` + name + `","datatype":"FP64","shape":` + shape + `,"data":` + data + `}`
	}
	a, b := tensor("a", "[1]", "[1]"), tensor("b", "[1]", "[1]")
	for _, tt := range []struct {
		request string
		columns v2.Columns
		want    string
	}{
		{`"inputs":[` + tensor("x", "[1,2]", "[1,2]") + `]`, named, `2 columns, but the model takes 3: ["a"`},
		{`"inputs":[` + tensor("x", "[1,1,3]", "[1,2,3]") + `]`, named, "want [rows, columns]"},
		{`"inputs":[` + a + `,` + b + `]`, named, `column "c" is missing`},
		{`"inputs":[` + a + `]`, named, `column "b" is missing`},
		{`"inputs":[` + a + `,` + a + `]`, named, "twice"},
		{`"inputs":[` + a + `,` + tensor("d", "[1]", "[1]") + `]`, named, `"d" is no column`},
		{`"inputs":[` + tensor("x", "[1,3]", "[1,2,3]") + `],"parameters":{"content_type":"pd"}`, named, `"x" is no column`},
		{`"inputs":[` + a + `,` + tensor("b", "[2]", "[1,2]") + `,` + tensor("c", "[1]", "[1]") + `]`, named, "2 rows"},
		{`"inputs":[` + a + `,` + b + `,` + tensor("c", "[1,2]", "[1,2]") + `]`, named, "one column"},
		{`"inputs":[` + tensor("x", "[0,3]", "[]") + `]`, named, "not one row"},
		{`"inputs":[` + tensor("x", "[1,0]", "[]") + `]`, anyWide, "not one row"},
		{`"inputs":[` + tensor("x", "[0]", "[]") + `]`, single, "not one row"},
	} {
		body := []byte("{" + tt.request + "}")
		r, err := v2.Parse(body, len(body))
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Fill(&wire.Rows{}, tt.columns, 10); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.request, err, tt.want)
		}
	}
	body := []byte(one(`"datatype":"FP64","shape":[3],"data":[1,2,3]`))
	r, err := v2.Parse(body, len(body))
	if err != nil {
		t.Fatal(err)
	}
	if tooMany := (*wire.TooManyRowsError)(nil); !errors.As(r.Fill(&wire.Rows{}, single, 2), &tooMany) {
		t.Error("3 rows are taken where 2 are the most")
	}
}
