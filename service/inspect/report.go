package inspect

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/weirhq/weir/service/model"
	"github.com/weirhq/weir/service/pickle"
)

// report is all that is said about a file.
type report struct {
	File        string  `json:"file"`
	Bytes       int     `json:"bytes"`
	Unpacked    int     `json:"bytes_uncompressed"`
	Digest      string  `json:"digest"`
	Format      string  `json:"format"`      // pickle or joblib, "" if unknown
	Compression string  `json:"compression"` // "" for none
	Protocol    int     `json:"protocol"`
	Serves      bool    `json:"serves"`
	Reason      string  `json:"reason,omitempty"` // why it doesn't
	Suspicious  bool    `json:"suspicious"`
	Findings    []odd   `json:"findings"`
	Refused     []name  `json:"refused"` // what it names and this server doesn't load
	Model       *object `json:"model,omitempty"`
	LoadMillis  float64 `json:"load_ms,omitempty"`
}

// odd is something that no training writes.
type odd = pickle.Finding

// name is a class or function in the file.
type name struct {
	Name   string `json:"name"`
	At     int    `json:"byte"`
	Times  int    `json:"times"`
	Called bool   `json:"called"`
	Why    string `json:"why"`
	system bool
}

// object is the model in the file.
type object struct {
	model.Part
	Library    string   `json:"library"`
	Inputs     []column `json:"inputs"`
	Kind       string   `json:"kind"`
	Outputs    int      `json:"outputs"` // numbers or labels for a row
	Classes    [][]any  `json:"classes,omitempty"`
	Proba      bool     `json:"probabilities"`
	Decision   bool     `json:"decision_values"`
	Trees      int      `json:"trees"`
	Nodes      int      `json:"nodes"`
	Parameters int      `json:"parameters"`
}

// column is one of the numbers or texts in a row.
type column struct {
	Name  string `json:"name,omitempty"`
	Takes string `json:"takes"`
}

func newReport(data []byte) *report {
	p := pickle.Inspect(data, model.Known)
	r := &report{
		Bytes: len(data), Unpacked: p.Bytes, Format: "pickle", Compression: p.Compression, Protocol: p.Protocol,
		Findings: append([]odd{}, p.Findings...), Refused: []name{},
	}
	switch {
	case p.Joblib:
		r.Format = "joblib"
	case p.Err != nil && len(p.Uses) == 0:
		r.Format = "" // perhaps no pickle at all
	}
	for _, u := range p.Uses {
		if !u.Allowed {
			r.refuse(u)
		}
	}
	if r.Suspicious = r.Suspicious || len(r.Findings) > 0; !r.Suspicious {
		r.load(data, p.Err)
	}
	return r
}

// load tries to load the model and describes it.
func (r *report) load(data []byte, err error) {
	if refused := (*pickle.RefusedError)(nil); errors.As(err, &refused) {
		r.Reason = "the file uses classes or functions that this server does not know"
		return
	}
	if err != nil {
		r.Reason = err.Error()
		return
	}
	start := time.Now()
	m, err := model.Load(data)
	r.LoadMillis = float64(time.Since(start).Microseconds()) / 1000
	if err != nil {
		r.Reason = err.Error()
		return
	}
	_, d, err := model.Describe(data)
	if err != nil {
		r.Reason = err.Error()
		return
	}
	r.Serves, r.Model = true, newObject(m, d)
}

func newObject(m *model.Model, d *model.Description) *object {
	o := &object{
		Part: d.Root, Library: d.Library, Inputs: []column{}, Kind: string(m.Kind), Outputs: m.Out,
		Classes: slices.Clone(m.Outputs), Proba: m.Proba > 0, Decision: m.Decision > 0,
		Trees: d.Trees, Nodes: d.Nodes, Parameters: d.Parameters,
	}
	if m.Labels != nil {
		o.Classes = [][]any{m.Labels}
	}
	for i, labels := range o.Classes {
		o.Classes[i] = printable(labels)
	}
	for _, c := range m.Columns {
		o.Inputs = append(o.Inputs, column{c.Name, c.Takes.String()})
	}
	return o
}

// printable is labels as JSON can have them: NaN as text.
func printable(labels []any) []any {
	out := slices.Clone(labels)
	for i, l := range out {
		if f, ok := l.(float64); ok && f-f != 0 {
			out[i] = fmt.Sprint(f)
		}
	}
	return out
}

func (r *report) exitCode() int {
	switch {
	case r.Suspicious:
		return ExitSuspicious
	case r.Serves:
		return ExitServes
	}
	return ExitError
}

// verdict is the report in a sentence.
func (r *report) verdict() string {
	switch {
	case r.Suspicious:
		return "suspicious: don't load this file with Python, which would run what is in it; this server refuses it"
	case r.Serves:
		return "can be served"
	}
	return fmt.Sprintf("can't be served: %s", r.Reason)
}
