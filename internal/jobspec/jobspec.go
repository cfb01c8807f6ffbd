// Package jobspec reads a Nomad job specification, written in HCL2, into the job document of Nomad's API, as
// `nomad job run` does: input variables with validation, locals, functions, dynamic blocks, and runtime references such
// as ${NOMAD_ADDR_http} or ${attr.kernel.name}, which stay in the document as text for the Nomad client to fill in.
//
// What this package does not decode it refuses by name and position; nothing in a specification is ignored.
package jobspec

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/dynblock"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/nomad/api"
	"github.com/zclconf/go-cty/cty"
)

// Vars are the values of a specification's input variables. A later source wins over an earlier one: Env, then Files in
// their order, then Flags.
type Vars struct {
	Env   []string          // process environment as os.Environ gives it: NOMAD_VAR_<name>=<value> counts, the rest not
	Files []File            // variable files: <name> = <value> lines
	Flags map[string]string // name → value: text for a string variable, else an HCL expression

	// FileAccess allows the functions that read or resolve paths (file, fileset, abspath …). A server that parses
	// other people's specifications leaves it off, as Nomad does.
	FileAccess bool
}

// File is a variable file.
type File struct {
	Name string // for messages
	Src  []byte
}

var rootSchema = &hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{
	{Type: "variable", LabelNames: []string{"name"}},
	{Type: "variables"},
	{Type: "locals"},
	{Type: "job", LabelNames: []string{"name"}},
}}

// Parse reads the specification src and returns its job, with no defaults filled in: unset fields stay nil. The error
// lists every complaint as "file:line,column: summary; detail".
func Parse(filename string, src []byte, vars Vars) (*api.Job, error) {
	file, diags := hclsyntax.ParseConfig(src, filename, hcl.InitialPos)
	if diags.HasErrors() {
		return nil, diagError(diags)
	}
	p := &parser{
		ctx:          &hcl.EvalContext{Functions: functions(vars.FileAccess), Variables: map[string]cty.Value{}},
		configBlocks: map[string]hcl.BlockHeaderSchema{},
	}
	job, diags := p.job(file, vars)
	if diags.HasErrors() {
		return nil, diagError(diags)
	}
	return job, nil
}

// parser holds what is known while one file is decoded.
type parser struct {
	ctx          *hcl.EvalContext
	configBlocks map[string]hcl.BlockHeaderSchema // block types seen inside config blocks, whose schema is free
}

func (p *parser) job(file *hcl.File, vars Vars) (*api.Job, hcl.Diagnostics) {
	root, diags := file.Body.Content(rootSchema)
	if diags.HasErrors() {
		return nil, diags
	}
	inputs, diags := p.inputs(root, vars)
	if diags.HasErrors() {
		return nil, diags
	}
	p.ctx.Variables["var"] = inputs
	for _, block := range root.Blocks {
		if block.Type == "locals" || block.Type == "job" {
			diags = append(diags, p.prepare(block.Body, file.Bytes)...)
		}
	}
	if diags.HasErrors() {
		return nil, diags
	}
	if diags = p.locals(root); diags.HasErrors() {
		return nil, diags
	}
	jobs := root.Blocks.OfType("job")
	if len(jobs) != 1 {
		at := file.Body.MissingItemRange()
		if len(jobs) > 1 {
			at = jobs[1].DefRange
		}
		return nil, fault(at, `Want exactly one "job" block`, `A job specification has one job; this one has %d.`, len(jobs))
	}
	return p.decodeJob(jobs[0])
}

func (p *parser) decodeJob(block *hcl.Block) (*api.Job, hcl.Diagnostics) {
	job := &api.Job{}
	diags := p.decode(dynblock.Expand(block.Body, p.ctx), job, block.Labels)
	if job.Name == nil {
		job.Name = &block.Labels[0]
	}
	if job.ID == nil {
		job.ID = &block.Labels[0]
	}
	return job, diags
}

// fault returns one error at a place in a file.
func fault(at hcl.Range, summary, detail string, args ...any) hcl.Diagnostics {
	return hcl.Diagnostics{{
		Severity: hcl.DiagError, Summary: summary, Detail: fmt.Sprintf(detail, args...), Subject: &at,
	}}
}

// mostErrors bounds the list: a file that is no jobspec at all has an error in every line.
const mostErrors = 10

// diagError turns the errors among diags into one Go error: a line each, in the order of the text they are about.
func diagError(diags hcl.Diagnostics) error {
	sorted := slices.Clone(diags)
	slices.SortStableFunc(sorted, func(a, b *hcl.Diagnostic) int { return comparePlaces(a.Subject, b.Subject) })
	var errs []error
	for _, d := range sorted {
		if d.Severity == hcl.DiagError {
			errs = append(errs, d)
		}
	}
	if more := len(errs) - mostErrors; more > 0 {
		errs = append(errs[:mostErrors:mostErrors], fmt.Errorf("and %d more", more))
	}
	return errors.Join(errs...)
}

func comparePlaces(a, b *hcl.Range) int {
	if a == nil || b == nil {
		return 0
	}
	return cmp.Or(cmp.Compare(a.Filename, b.Filename), cmp.Compare(a.Start.Byte, b.Start.Byte))
}

// sortedKeys are the keys of a map, sorted, so that what is made of them is the same each time.
func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
