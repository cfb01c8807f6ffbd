package analysis

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
)

// GoldenReport is what became of the golden set on the canary's instances.
type GoldenReport struct {
	Instances int       `json:"instances"` // that have replayed it
	Cases     int       `json:"cases"`     // compared, over all instances
	Failed    int       `json:"failed"`
	Worst     *Mismatch `json:"worst,omitempty"` // the largest difference, tolerated or not
	Down      string    `json:"down,omitempty"`  // why an instance could not replay it
}

// Mismatch is a difference between an expected and a given output.
type Mismatch struct {
	Case  string  `json:"case"`
	Path  string  `json:"path"` // like .predictions[3]
	Want  string  `json:"want"`
	Got   string  `json:"got"`
	Times float64 `json:"times"` // the difference in tolerances; above 1 fails. MaxTimes for what is no number
}

// MaxTimes stands for a difference that no tolerance covers: another text, a missing field.
const MaxTimes = math.MaxFloat64

// Compare adds one case: the expected and the given output, both JSON.
func (g *GoldenReport) Compare(tol Tolerance, name string, want, got []byte) {
	g.Cases++
	m := tol.Compare(want, got)
	if m == nil {
		return
	}
	m.Case = name
	if m.Times > 1 {
		g.Failed++
	}
	if g.Worst == nil || m.Times > g.Worst.Times {
		g.Worst = m
	}
}

// Compare returns the largest difference between two JSON documents, or nil if they are the same. Numbers differ by
// |want − got| / (Abs + Rel·|want|) tolerances; everything else is the same or not. Members of an object that are not
// in want don't matter: an answer may say more than is expected.
func (t Tolerance) Compare(want, got []byte) *Mismatch {
	unread := func(which string, err error) *Mismatch {
		return &Mismatch{Want: short(want), Got: short(got), Path: which + ": " + err.Error(), Times: MaxTimes}
	}
	w, err := decode(want)
	if err != nil {
		return unread("expected output", err)
	}
	g, err := decode(got)
	if err != nil {
		return unread("given output", err)
	}
	var worst *Mismatch
	t.walk("", w, g, func(m Mismatch) {
		if worst == nil || m.Times > worst.Times {
			worst = &m
		}
	})
	return worst
}

func (t Tolerance) walk(path string, want, got any, report func(Mismatch)) {
	differ := func(times float64) {
		report(Mismatch{Path: path, Want: render(want), Got: render(got), Times: times})
	}
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			differ(MaxTimes)
			return
		}
		for _, name := range slices.Sorted(maps.Keys(w)) {
			t.walk(path+"."+name, w[name], g[name], report)
		}
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			differ(MaxTimes)
			return
		}
		for i := range w {
			t.walk(fmt.Sprintf("%s[%d]", path, i), w[i], g[i], report)
		}
	case json.Number:
		if times := t.times(w, got); times > 0 {
			differ(times)
		}
	default:
		if want != got {
			differ(MaxTimes)
		}
	}
}

// times is how many tolerances lie between two numbers; 0 where they are equal.
func (t Tolerance) times(want json.Number, got any) float64 {
	g, ok := got.(json.Number)
	if !ok {
		return MaxTimes
	}
	a, errA := want.Float64()
	b, errB := g.Float64()
	switch diff, allowed := math.Abs(a-b), t.Abs+t.Rel*math.Abs(a); {
	case want == g || errA == nil && errB == nil && diff == 0:
		return 0
	case errA != nil || errB != nil || allowed == 0:
		return MaxTimes
	default:
		return math.Min(diff/allowed, MaxTimes)
	}
}

func decode(b []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("read JSON: %w", err)
	}
	if d.More() {
		return nil, fmt.Errorf("read JSON: there is more after the document")
	}
	return v, nil
}

func render(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return short(b)
}

// short bounds what is kept in a record.
func short(b []byte) string {
	const most = 200
	if len(b) > most {
		return string(bytes.ToValidUTF8(b[:most], nil)) + "…"
	}
	return string(b)
}
