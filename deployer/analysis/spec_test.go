package analysis

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
)

func TestSpecCheck(t *testing.T) {
	limit := 1.0
	query := Query{Name: "q", PromQL: "up", Max: &limit, InARow: 1, MinSeen: 1}
	for _, tc := range []struct {
		name   string
		change func(*Spec)
		want   string // part of the error; "" for none
	}{
		{"everything", func(*Spec) {}, ""},
		{"alpha", func(s *Spec) { s.Alpha = 1 }, "alpha 1"},
		{"alpha is no number", func(s *Spec) { s.Alpha = math.NaN() }, "alpha NaN"},
		{"minimum", func(s *Spec) { s.MinRequests = -1 }, "min_requests"},
		{"missing", func(s *Spec) { s.MaxMissing = 1 }, "max_missing"},
		{"extend", func(s *Spec) { s.Extend = -1 }, "extend"},
		{"ratio", func(s *Spec) { s.Errors.Ratio = 0.5 }, "errors: want ratio"},
		{"margin", func(s *Spec) { s.Rejections.Margin = 5 }, "rejections: want"},
		{"latency", func(s *Spec) { s.Latency.Slack = -1 }, "latency: want"},
		{"tolerance", func(s *Spec) { s.Classes.Tolerance = 1 }, "classes: tolerance 1"},
		{"split", func(s *Spec) { s.Split.Tolerance = -1 }, "split: tolerance"},
		{"golden", func(s *Spec) { s.Golden.Abs = -1 }, "golden: want"},
		{"shadow", func(s *Spec) { s.Shadow.Budget = 0 }, "shadow: want"},
		{"query without a name", func(s *Spec) { s.Queries = []Query{{PromQL: "up"}} }, "want a name"},
		{"query of a taken name", func(s *Spec) { s.Queries = []Query{query, query} }, "taken"},
		{"query of a metric's name", func(s *Spec) {
			q := query
			q.Name = "errors"
			s.Queries = []Query{q}
		}, "taken"},
		{"query without a limit", func(s *Spec) { s.Queries = []Query{{Name: "q", PromQL: "up"}} }, "min, max or both"},
		{"query without looks", func(s *Spec) {
			s.Queries = []Query{{Name: "q", PromQL: "up", Max: &limit}}
		}, "in_a_row"},
		{"dry run", func(s *Spec) { s.DryRun = []string{"saturation", "errors"} }, ""},
		{"dry run of nothing", func(s *Spec) { s.DryRun = []string{"eror"} }, `no metric "eror"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := everything()
			tc.change(&s)
			err := s.Check()
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Check() = %v, want %q", err, tc.want)
			}
		})
	}
	if err := Default().Check(); err != nil {
		t.Errorf("the default: %v", err)
	}
}

func TestAlphaIsSplit(t *testing.T) {
	s := everything() // six tests that decide
	if got := s.TestAlpha(4); math.Abs(got-0.05/24) > 1e-15 {
		t.Errorf("TestAlpha(4) = %g", got)
	}
	s.DryRun = []string{"errors", "split", "golden", "shadow"}
	if got := s.TestAlpha(1); math.Abs(got-0.05/4) > 1e-15 {
		t.Errorf("with dry runs: %g", got)
	}
	if got := (Spec{Alpha: 0.05}).TestAlpha(0); got != 0.05 {
		t.Errorf("without tests: %g", got)
	}
}

func TestSpecIsKeptAsJSON(t *testing.T) {
	want := everything()
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Spec
	if err := json.Unmarshal(b, &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s\nreads as %+v: %v", b, got, err)
	}
}
