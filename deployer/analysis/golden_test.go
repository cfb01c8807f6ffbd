package analysis

import (
	"encoding/json"
	"testing"
)

func TestToleranceCompare(t *testing.T) {
	tol := Tolerance{Abs: 0.01, Rel: 0.1}
	for _, tc := range []struct {
		name, want, got string
		path            string // of the worst difference; "same" for none
		fails           bool
	}{
		{"the same", `{"a":[1,"x",null,true]}`, `{"a":[1.0,"x",null,true]}`, "same", false},
		{"within the tolerance", `[1, 100]`, `[1.05, 101]`, "[0]", false},
		{"the worst one wins", `[1, 100, 3]`, `[1.05, 150, 3]`, "[1]", true},
		{"around 0 the absolute tolerance", `[0]`, `[0.009]`, "[0]", false},
		{"beyond it", `[0]`, `[0.02]`, "[0]", true},
		{"another class", `{"predictions":["setosa"]}`, `{"predictions":["virginica"]}`, ".predictions[0]", true},
		{"a number for a text", `{"p":"1"}`, `{"p":1}`, ".p", true},
		{"too few", `[1,2]`, `[1]`, "", true},
		{"a missing member", `{"a":1}`, `{}`, ".a", true},
		{"null for a missing member is the same", `{"a":null}`, `{}`, "same", false},
		{"more members don't matter", `{"a":1}`, `{"a":1,"b":2}`, "same", false},
		{
			"no JSON", `[1]`, `<html>`,
			"given output: read JSON: invalid character '<' looking for beginning of value", true,
		},
		{"more than one document", `[1]`, `[1] [2]`, "given output: read JSON: there is more after the document", true},
		{"beyond float64", `[1e400]`, `[1e401]`, "[0]", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := tol.Compare([]byte(tc.want), []byte(tc.got))
			switch {
			case m == nil && tc.path != "same":
				t.Errorf("no difference, want one at %q", tc.path)
			case m != nil && (m.Path != tc.path || (m.Times > 1) != tc.fails):
				t.Errorf("%+v, want one at %q that fails: %t", m, tc.path, tc.fails)
			}
		})
	}
}

func TestZeroToleranceIsExact(t *testing.T) {
	if m := (Tolerance{}).Compare([]byte(`[0.1]`), []byte(`[0.10000000000000002]`)); m == nil || m.Times <= 1 {
		t.Errorf("a difference without a tolerance: %+v", m)
	}
}

func FuzzToleranceCompare(f *testing.F) {
	f.Add([]byte(`{"a":[1,2.5e3,"x",null]}`), []byte(`{"a":[1,2.5e3,"y",{}]}`))
	f.Fuzz(func(t *testing.T, want, got []byte) {
		m := DefaultGolden.Compare(want, got)
		if m == nil {
			return
		}
		if _, err := json.Marshal(m); err != nil || !(m.Times > 0) {
			t.Errorf("%+v: %v", m, err)
		}
	})
}

func TestMatcher(t *testing.T) {
	out := func(id, value string) Output { return Output{ID: id, Value: json.RawMessage(value)} }
	m := NewMatcher(Tolerance{Abs: 0.1})
	m.Add(true, []Output{out("1", `"a"`), out("2", `"a"`), out("", `"a"`)})
	m.Add(false, []Output{out("2", `"b"`), out("3", `1.0`), out("", `"b"`)})
	m.Add(true, []Output{out("1", `"a"`), out("2", `"a"`), out("3", `1.05`)}) // the ring again, with one more
	got := m.Add(false, []Output{out("1", `"a"`), out("2", `"b"`), out("3", `1.0`)})
	if got.Pairs != 3 || got.Disagree != 1 {
		t.Errorf("%d pairs, %d disagree; want 3 and 1", got.Pairs, got.Disagree)
	}
	if got.Worst == nil || got.Worst.Case != "2" || got.Worst.Want != `"b"` || got.Worst.Got != `"a"` {
		t.Errorf("worst %+v", got.Worst)
	}
}

func TestMatcherIsBounded(t *testing.T) {
	m := NewMatcher(Tolerance{})
	outputs := make([]Output, 3*maxWaiting)
	for i := range outputs {
		outputs[i] = Output{ID: string(rune(i/1000+1)) + string(rune(i%1000+1)), Value: json.RawMessage(`1`)}
	}
	m.Add(true, outputs)
	if len(m.waiting) > maxWaiting || len(m.order) > maxWaiting {
		t.Errorf("it remembers %d requests, want at most %d", len(m.waiting), maxWaiting)
	}
	if got := m.Add(false, outputs[len(outputs)-10:]); got.Pairs != 10 {
		t.Errorf("%d of the last 10 requests were paired", got.Pairs)
	}
}
