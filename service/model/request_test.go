package model_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/weirhq/weir/service/model"
	"github.com/weirhq/weir/service/wire"
)

// schema is what a server would take for a model.
func schema(m *model.Model) *wire.Schema {
	return wire.NewSchema(m.Names, m.TakesText(), m.Missing, m.Documents)
}

// ask sends x through the scanner to the model.
func ask(t testing.TB, m *model.Model, x string) ([]any, error) {
	t.Helper()
	var r wire.Rows
	if err := r.Parse(fmt.Appendf(nil, `{"x":%s}`, x), 1000, schema(m)); err != nil {
		return nil, err
	}
	s := &model.Scratch{}
	s.SetInput(r.Texts, r.Missing)
	out := make([]float64, r.Count*m.Out)
	if err := m.Predict(r.X, r.Count, out, s); err != nil {
		return nil, err
	}
	answers := make([]any, r.Count)
	for i := range answers {
		answers[i] = answer(m, out[i*m.Out:(i+1)*m.Out])
	}
	return answers, nil
}

// TestPredictsFromJSON sends the rows of all fixtures with text or names as JSON: as lists, and as objects whose members
// are shuffled.
func TestPredictsFromJSON(t *testing.T) {
	objects, documents := 0, 0
	for _, f := range fixtures(t) {
		if len(f.texts) == 0 && f.Columns == nil {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			if tolerance = 1e-9; f.Float32 {
				tolerance = 1e-5
			}
			m, err := model.Load(f.content)
			if err != nil {
				t.Fatal(err)
			}
			rows := make([]any, len(f.X))
			copy(rows, f.X)
			bodies := []any{rows}
			if m.Documents {
				documents++
				lists := make([]any, len(rows))
				for i := range rows {
					lists[i] = list(rows[i])
				}
				bodies = append(bodies, lists)
			}
			if m.Names != nil {
				objects++
				bodies = append(bodies, shuffled(m.Names, rows))
			}
			for _, body := range bodies {
				b, err := json.Marshal(body)
				if err != nil {
					t.Fatal(err)
				}
				got, err := ask(t, m, string(b))
				if err != nil {
					t.Fatalf("%v for %s", err, b)
				}
				for i, want := range f.Prediction {
					check(t, fmt.Sprintf("row %d", i), got[i], want)
				}
			}
		})
	}
	if objects < 50 || documents < 100 {
		t.Errorf("%d models were asked with objects, and %d with lists of texts", objects, documents)
	}
}

// shuffled are rows as objects, as JSON.
func shuffled(names []string, rows []any) []json.RawMessage {
	rng := rand.New(rand.NewPCG(1, 2))
	out := make([]json.RawMessage, len(rows))
	for i, row := range rows {
		var members []string
		for j, v := range list(row) {
			name, _ := json.Marshal(names[j])
			cell, _ := json.Marshal(v)
			members = append(members, fmt.Sprintf("%s:%s", name, cell))
		}
		rng.Shuffle(len(members), func(a, b int) { members[a], members[b] = members[b], members[a] })
		out[i] = json.RawMessage("{" + strings.Join(members, ",") + "}")
	}
	return out
}

// named reads a fixture of the newest version: FAMILY/NAME.
func named(t testing.TB, name string) *model.Model {
	t.Helper()
	family, name, _ := strings.Cut(name, "/")
	files := map[string][]byte{}
	unzip(t, "../testdata/sklearn-1.9.1/"+family+".zip", family, files)
	m, err := model.Load(files[family+"/"+name+".pkl"])
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return m
}

func TestRefusesCells(t *testing.T) {
	tests := []struct{ name, x, want string }{
		{"columns/names", `[1,2,3,"small",true,1]`, `row 0, column 1 ("color"): the model takes text or null here, but this is a number`},
		{"columns/names", `[[1,"red",3,"small",true,1],["1","red",3,"small",true,1]]`, `row 1, column 0 ("length"): the model takes number`},
		{"columns/names", `{"length":1,"color":"red","width":null,"size":7,"flag":1,"code":1}`, `column 3 ("size")`},
		{"columns/names", `{"length":1,"color":"red"}`, `row 0 of x has no "width"`},
		{"columns/names", `{"length":1,"colour":"red"}`, `"colour", but the model has no such column`},
		{"columns/onehot", `["violet","small"]`, `row 0, column 0 ("color"): the model doesn't know this category`},
		{"columns/onehot", `["red",null]`, "null, and the model can't take missing"},
		{"columns/names-single", `[1,null,"red"]`, `row 0, column 1 ("note"): the model takes text here, but this is null`},
		{"columns/table-numbers", `[1,null,3]`, `row 0, column 1 ("width"): want a finite number in x, but this is null`},
		{"columns/table-logistic", `[1,3,2,"Oslo"]`, `column 1 ("shop"): the model takes text or null here, but this is a number`},
		{"columns/table-numbers", `["1",2,3]`, `row 0, column 0 ("length"): want a finite number in x, but this is a text`},
		{"columns/imputer-flags", `[1,null,"wide","Oslo"]`, `column 2 ("width")`},
		{"text/logistic", `["a text",1]`, "want a text for each row"},
		{"text/logistic", `[["a text"],[1]]`, "row 1, column 0: the model takes text here, but this is a number"},
		{"text/logistic", `[["a","b"]]`, "want 1 cells for 1 rows, not 2"},
		{"text/logistic", `{"text":"a"}`, "no names of columns"},
		{"columns/names-order", `[1,"red",2,"small",true,"a code"]`, "the model's answer is text"},
		{"text/tfidf-transformer", `["a",1,2,3,4,5,6]`, "this is a text"},
	}
	for _, tt := range tests {
		m := named(t, tt.name)
		if got, err := ask(t, m, tt.x); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %s: got %v, %v: want %q", tt.name, tt.x, got, err, tt.want)
		}
	}
}

func TestColumnsSayWhatTheyTake(t *testing.T) {
	for name, want := range map[string]string{
		"columns/names":                "length: number or null, color: text or null, width: number or null, size: text or null, flag: number or text or null, code: number or text or null",
		"columns/onehot-mixed":         "color: text, code: number, flag: number",
		"columns/table-logistic":       "length: number or null, shop: text or null, width: number or null, city: text or null",
		"columns/table-numbers":        "length: number, width: number, code: number",
		"columns/names-single":         "length: number or null, note: text, color: number or text or null",
		"columns/imputer-mark":         "mark: text",
		"columns/table-ordinal-forest": "length: number or null, color: text or null, width: number or null, size: text or null, flag: number or null, code: number or null",
		"text/logistic":                ": text",
	} {
		var got []string
		for _, c := range named(t, name).Columns {
			got = append(got, fmt.Sprintf("%s: %s", c.Name, c.Takes))
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

// TestTextsOfNoTable has cells that stand for texts which there are not.
func TestTextsOfNoTable(t *testing.T) {
	m := named(t, "columns/onehot")
	var bad *model.RangeError
	x := []float64{math.Float64frombits(0xfffc<<48 | 77), math.Float64frombits(0xfffc<<48 | 0xffffffff)}
	err := m.Predict(x, 1, make([]float64, m.Out), &model.Scratch{})
	if err == nil || !strings.Contains(err.Error(), "null") {
		t.Errorf("got %v, %v", err, bad)
	}
}
