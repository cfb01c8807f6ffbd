package jobspec

import (
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// variables are the declared variables by name.
type variables map[string]*variable

// envPrefix starts the names of environment variables that set input variables.
const envPrefix = "NOMAD_VAR_"

// variable is a declared input variable.
type variable struct {
	name        string
	typ         cty.Type
	value       cty.Value // cty.NilVal until a default or a source sets it
	validations hcl.Blocks
	decl        hcl.Range
	at          hcl.Range // where the value comes from
}

var (
	variableSchema = &hcl.BodySchema{
		Attributes: []hcl.AttributeSchema{{Name: "type"}, {Name: "default"}, {Name: "description"}},
		Blocks:     []hcl.BlockHeaderSchema{{Type: "validation"}},
	}
	validationSchema = &hcl.BodySchema{Attributes: []hcl.AttributeSchema{
		{Name: "condition", Required: true}, {Name: "error_message", Required: true},
	}}
)

// inputs declares the variables, sets them from all sources, checks them, and returns the object that "var" stands for.
func (p *parser) inputs(root *hcl.BodyContent, vars Vars) (cty.Value, hcl.Diagnostics) {
	declared, diags := p.declare(root)
	if diags.HasErrors() {
		return cty.NilVal, diags
	}
	diags = append(diags, declared.assignEnv(vars.Env)...)
	for _, f := range vars.Files {
		diags = append(diags, declared.assignFile(f)...)
	}
	diags = append(diags, declared.assignFlags(vars.Flags)...)
	if diags.HasErrors() {
		return cty.NilVal, diags
	}
	values := map[string]cty.Value{}
	for _, name := range sortedKeys(declared) {
		v := declared[name]
		if v.value == cty.NilVal {
			diags = append(diags, fault(v.decl, "Unset variable "+quote(name),
				"It has no default. Set it with -var %s=…, in a file given with -var-file, or by %s%s.",
				name, envPrefix, name)...)
			continue
		}
		values[name] = v.value
		diags = append(diags, p.validate(v)...)
	}
	return cty.ObjectVal(values), diags
}

func (p *parser) declare(root *hcl.BodyContent) (variables, hcl.Diagnostics) {
	var diags hcl.Diagnostics
	declared := variables{}
	add := func(v *variable) {
		if old, ok := declared[v.name]; ok {
			diags = append(diags, fault(v.decl, "Duplicate variable", "Variable %q is declared at %s already.",
				v.name, old.decl)...)
			return
		}
		declared[v.name] = v
	}
	for _, block := range root.Blocks {
		switch block.Type {
		case "variable":
			v, more := p.variable(block)
			diags = append(diags, more...)
			add(v)
		case "variables": // name = default, of whatever type that is
			attrs, more := block.Body.JustAttributes()
			diags = append(diags, more...)
			for _, name := range sortedKeys(attrs) {
				value, more := attrs[name].Expr.Value(p.ctx)
				diags = append(diags, more...)
				at := attrs[name].Range
				add(&variable{name: name, typ: value.Type(), value: value, decl: at, at: at})
			}
		}
	}
	return declared, diags
}

func (p *parser) variable(block *hcl.Block) (*variable, hcl.Diagnostics) {
	v := &variable{name: block.Labels[0], typ: cty.DynamicPseudoType, decl: block.DefRange}
	content, diags := block.Body.Content(variableSchema)
	if diags.HasErrors() {
		return v, diags
	}
	v.validations = content.Blocks
	if attr, ok := content.Attributes["type"]; ok {
		v.typ, diags = typeexpr.Type(attr.Expr)
		if diags.HasErrors() {
			return v, diags
		}
	}
	if attr, ok := content.Attributes["default"]; ok {
		value, more := attr.Expr.Value(p.ctx)
		if diags = append(diags, more...); !more.HasErrors() {
			diags = append(diags, v.set(value, attr.Expr.Range())...)
			v.typ = v.value.Type() // where no type is written, the default's
		}
	}
	return v, diags
}

// set gives the variable a value, converted to its type.
func (v *variable) set(value cty.Value, at hcl.Range) hcl.Diagnostics {
	converted, err := convert.Convert(value, v.typ)
	if err != nil {
		return fault(at, "Invalid value for variable "+quote(v.name), "It must be of type %s: %s.",
			typeexpr.TypeString(v.typ), err)
	}
	v.value, v.at = converted, at
	return nil
}

// setText gives the variable the value that a flag or an environment variable holds as text.
func (v *variable) setText(text, source string) hcl.Diagnostics {
	at := hcl.Range{Filename: source, Start: hcl.InitialPos, End: hcl.InitialPos}
	if v.typ.IsPrimitiveType() {
		return v.set(cty.StringVal(text), at)
	}
	expr, diags := hclsyntax.ParseExpression([]byte(text), source, hcl.InitialPos)
	if diags.HasErrors() {
		return diags
	}
	value, diags := expr.Value(nil)
	if diags.HasErrors() {
		return diags
	}
	return v.set(value, at)
}

func (vs variables) assignEnv(env []string) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, entry := range env {
		key, text, _ := strings.Cut(entry, "=")
		name, ok := strings.CutPrefix(key, envPrefix)
		v, known := vs[name]
		if ok && known { // the environment serves many specifications: a name that this one lacks is no error
			diags = append(diags, v.setText(text, key)...)
		}
	}
	return diags
}

func (vs variables) assignFile(f File) hcl.Diagnostics {
	file, diags := hclsyntax.ParseConfig(f.Src, f.Name, hcl.InitialPos)
	if diags.HasErrors() {
		return diags
	}
	attrs, diags := file.Body.JustAttributes()
	for _, name := range sortedKeys(attrs) {
		attr := attrs[name]
		v, ok := vs[name]
		if !ok {
			diags = append(diags, undeclared(name, attr.Range)...)
			continue
		}
		value, more := attr.Expr.Value(nil)
		if diags = append(diags, more...); !more.HasErrors() {
			diags = append(diags, v.set(value, attr.Expr.Range())...)
		}
	}
	return diags
}

func (vs variables) assignFlags(flags map[string]string) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, name := range sortedKeys(flags) {
		source := "-var " + name
		if v, ok := vs[name]; ok {
			diags = append(diags, v.setText(flags[name], source)...)
		} else {
			at := hcl.Range{Filename: source, Start: hcl.InitialPos, End: hcl.InitialPos}
			diags = append(diags, undeclared(name, at)...)
		}
	}
	return diags
}

func undeclared(name string, at hcl.Range) hcl.Diagnostics {
	return fault(at, "Undeclared variable "+quote(name),
		"The job specification declares no such variable. Correct the name, or add a variable %q block.", name)
}

// validate runs the validation blocks of a variable, which see it as var.<name>.
func (p *parser) validate(v *variable) hcl.Diagnostics {
	var diags hcl.Diagnostics
	ctx := p.ctx.NewChild()
	ctx.Variables = map[string]cty.Value{"var": cty.ObjectVal(map[string]cty.Value{v.name: v.value})}
	for _, block := range v.validations {
		content, more := block.Body.Content(validationSchema)
		if diags = append(diags, more...); more.HasErrors() {
			continue
		}
		condition := content.Attributes["condition"]
		value, more := condition.Expr.Value(ctx)
		if diags = append(diags, more...); more.HasErrors() {
			continue
		}
		held, err := convert.Convert(value, cty.Bool)
		if err != nil || held.IsNull() || !held.IsKnown() {
			diags = append(diags, fault(condition.Range, "Invalid condition", "It must be true or false.")...)
		} else if held.False() {
			message, more := content.Attributes["error_message"].Expr.Value(ctx)
			diags = append(diags, more...)
			diags = append(diags, fault(v.at, "Invalid value for variable "+quote(v.name), "%s (The rule is at %s.)",
				textOf(message), condition.Range)...)
		}
	}
	return diags
}

// locals evaluates all locals, in whatever order they need one another.
func (p *parser) locals(root *hcl.BodyContent) hcl.Diagnostics {
	var diags hcl.Diagnostics
	pending := hcl.Attributes{}
	for _, block := range root.Blocks.OfType("locals") {
		attrs, more := block.Body.JustAttributes()
		diags = append(diags, more...)
		for name, attr := range attrs {
			if old, ok := pending[name]; ok {
				diags = append(diags, fault(attr.Range, "Duplicate local", "Local %q is defined at %s already.",
					name, old.Range)...)
			}
			pending[name] = attr
		}
	}
	values := map[string]cty.Value{}
	for len(pending) > 0 && !diags.HasErrors() {
		diags = append(diags, p.localsRound(pending, values)...)
	}
	p.ctx.Variables["local"] = cty.ObjectVal(values)
	return diags
}

// localsRound moves the locals that need no pending one from pending to values.
func (p *parser) localsRound(pending hcl.Attributes, values map[string]cty.Value) hcl.Diagnostics {
	var diags hcl.Diagnostics
	moved := false
	for _, name := range sortedKeys(pending) {
		if needsPending(pending[name].Expr, pending) {
			continue
		}
		value, more := pending[name].Expr.Value(p.ctx)
		diags = append(diags, more...)
		values[name] = value
		p.ctx.Variables["local"] = cty.ObjectVal(values)
		delete(pending, name)
		moved = true
	}
	if !moved {
		name := sortedKeys(pending)[0]
		return fault(pending[name].Range, "Circular local", "Local %q refers to itself, directly or through others.", name)
	}
	return diags
}

func needsPending(expr hcl.Expression, pending hcl.Attributes) bool {
	for _, traversal := range expr.Variables() {
		if traversal.RootName() != "local" {
			continue
		}
		if len(traversal) < 2 {
			return len(pending) > 1 // the object of all locals
		}
		if step, ok := traversal[1].(hcl.TraverseAttr); ok && pending[step.Name] != nil {
			return true
		}
	}
	return false
}
