// Package spec reads rollout.hcl, the file that says how a rollout is to go, and its JSON form, rollout.json. Whatever
// is left out has a default: no file is needed at all.
package spec

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/hashicorp/hcl/v2/hclparse"

	"github.com/weirhq/weir/deployer/analysis"
	"github.com/weirhq/weir/deployer/judge"
	"github.com/weirhq/weir/deployer/rollout"
)

// Load reads and checks a file. Its errors name file, line and column.
func Load(path string) (rollout.Spec, error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return rollout.Spec{}, fmt.Errorf("read the rollout's spec: %w", err)
	}
	return Parse(path, src)
}

// Default is the spec of a strategy without a file: its steps, judged by what every instance of the inference server
// reports.
func Default(strategy rollout.Strategy) (rollout.Spec, error) {
	s, err := rollout.NewSpec(strategy, nil, rollout.DefaultBake, rollout.DefaultWatch)
	if err != nil {
		return s, err
	}
	return s, judge.Put(&s, judge.Config{Spec: shadowed(analysis.Default(), strategy)})
}

// shadowed adds what the strategy shadow is for.
func shadowed(s analysis.Spec, strategy rollout.Strategy) analysis.Spec {
	if strategy == rollout.StrategyShadow && s.Shadow == nil {
		shadow := analysis.DefaultShadow
		s.Shadow = &shadow
	}
	return s
}

// Parse reads and checks the content of a file. A name that ends in .json means HCL's JSON form.
func Parse(name string, src []byte) (rollout.Spec, error) {
	p := hclparse.NewParser()
	parse := p.ParseHCL
	if filepath.Ext(name) == ".json" {
		parse = p.ParseJSON
	}
	f, diags := parse(src, name)
	var doc document
	if !diags.HasErrors() {
		diags = append(diags, gohcl.DecodeBody(f.Body, nil, &doc)...)
	}
	if diags.HasErrors() {
		return rollout.Spec{}, complain(diags)
	}
	r := reader{dir: filepath.Dir(name), all: hcl.Range{Filename: name, Start: hcl.InitialPos, End: hcl.InitialPos}}
	s := r.spec(doc)
	if r.diags.HasErrors() {
		return s, complain(r.diags)
	}
	return s, nil
}

// complain makes one error of diagnostics, a line each: file:line,column: what.
func complain(diags hcl.Diagnostics) error {
	lines := make([]string, 0, len(diags))
	for _, d := range diags {
		what := d.Summary
		if d.Detail != "" {
			what += "; " + d.Detail
		}
		at := ""
		if d.Subject != nil {
			at = fmt.Sprintf("%s:%d,%d: ", d.Subject.Filename, d.Subject.Start.Line, d.Subject.Start.Column)
		}
		lines = append(lines, at+what)
	}
	return fmt.Errorf("%s", strings.Join(lines, "\n"))
}

// reader turns a document into a spec, and notes what is wrong with it.
type reader struct {
	dir   string    // that file names are relative to
	all   hcl.Range // the file as a whole
	diags hcl.Diagnostics
}

func (r *reader) wrong(at hcl.Range, err error) {
	if err == nil {
		return
	}
	if at.Filename == "" {
		at = r.all
	}
	r.diags = r.diags.Append(&hcl.Diagnostic{Severity: hcl.DiagError, Summary: err.Error(), Subject: &at})
}

// duration reads a time like "1m30s"; without one it is the default.
func (r *reader) duration(s *string, def rollout.Duration, at hcl.Range) rollout.Duration {
	if s == nil {
		return def
	}
	d, err := time.ParseDuration(*s)
	if err != nil || d < 0 {
		r.wrong(at, fmt.Errorf("%q is no time: want one like \"90s\" or \"1m30s\"", *s))
	}
	return rollout.Duration(d)
}

func (r *reader) spec(d document) rollout.Spec {
	strategy := rollout.Strategy(or(d.Strategy, string(rollout.StrategyCanary)))
	bake := r.duration(d.Bake, rollout.DefaultBake, d.BakeAt)
	s, err := rollout.NewSpec(strategy, nil, bake, r.duration(d.Watch, rollout.DefaultWatch, d.WatchAt))
	if err != nil {
		r.wrong(d.StrategyAt, err)
		return s
	}
	s.Place = r.duration(d.Place, s.Place, d.PlaceAt)
	s.Settle = r.duration(d.Settle, s.Settle, d.SettleAt)
	s.Blind = r.duration(d.Blind, s.Blind, d.BlindAt)
	s.Namespace, s.Region, s.Datacenter = or(d.Namespace, ""), or(d.Region, ""), or(d.Datacenter, "")
	s.Keep, s.Notify = or(d.Keep, 0), d.Notify
	s.ManualStart = r.manual(or(d.Start, "auto"), d.StartAt)
	if len(d.Steps) > 0 {
		s.Steps = nil
	}
	for _, b := range d.Steps {
		s.Steps = append(s.Steps, rollout.Step{
			Weight: b.Weight, Shadow: b.Shadow, Bake: r.duration(b.Bake, bake, b.BakeAt),
			Manual: r.manual(or(b.Gate, "auto"), b.At),
		})
	}
	for _, b := range d.Hooks {
		s.Hooks = append(s.Hooks, r.hook(b))
	}
	r.analysis(&s, d)
	if !r.diags.HasErrors() {
		r.wrong(r.blame(d, s), s.Check())
	}
	return s
}

// blame finds the step that breaks the rising order, where that is what is wrong.
func (r *reader) blame(d document, s rollout.Spec) hcl.Range {
	last := 0
	for i, b := range d.Steps {
		if !b.Shadow && (b.Weight <= last || b.Weight > 100) || b.Shadow && (i > 0 || s.Strategy != rollout.StrategyShadow) {
			return b.At
		}
		last = b.Weight
	}
	if n := len(d.Steps); n > 0 && last != 100 {
		return d.Steps[n-1].At
	}
	return r.all
}

func (r *reader) manual(gate string, at hcl.Range) bool {
	if gate != "auto" && gate != "manual" {
		r.wrong(at, fmt.Errorf("gate %q: want \"auto\" or \"manual\"", gate))
	}
	return gate == "manual"
}

func (r *reader) hook(b hookBlock) rollout.Hook {
	h := rollout.Hook{
		Name: b.Name, On: rollout.Moment(b.On), Command: b.Command, URL: or(b.URL, ""),
		Timeout: r.duration(b.Timeout, rollout.DefaultHookTimeout, b.At),
	}
	r.wrong(b.At, h.Check())
	return h
}

// or is what p points to, or the default.
func or[T any](p *T, def T) T {
	if p == nil {
		return def
	}
	return *p
}
