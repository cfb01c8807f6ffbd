package jobspec

import (
	"slices"
	"strconv"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/nomad/api"
)

// network decodes a network block and tells its ports with a static number, which are reserved, from the dynamic ones.
func (p *parser) network(block *hcl.Block) (*api.NetworkResource, hcl.Diagnostics) {
	network := &api.NetworkResource{}
	diags := p.decode(block.Body, network, nil)
	ports := network.DynamicPorts
	network.DynamicPorts = nil
	for _, port := range ports {
		if port.Value > 0 {
			network.ReservedPorts = append(network.ReservedPorts, port)
		} else {
			network.DynamicPorts = append(network.DynamicPorts, port)
		}
	}
	return network, diags
}

// freeBody decodes a config block, whose content only the task driver knows: attributes by name, and for each type of
// nested block a list of such maps.
func (p *parser) freeBody(body hcl.Body) (map[string]any, hcl.Diagnostics) {
	schema, _ := attributesOf(body) // whose complaint, that there are blocks too, is none here
	for _, name := range sortedKeys(p.configBlocks) {
		schema.Blocks = append(schema.Blocks, p.configBlocks[name])
	}
	content, diags := body.Content(schema)
	if diags.HasErrors() {
		return nil, diags
	}
	result := map[string]any{}
	for name, attr := range content.Attributes {
		value, more := attr.Expr.Value(p.ctx)
		if diags = append(diags, more...); !more.HasErrors() {
			setFree(result, name, native(value))
		}
	}
	for _, block := range content.Blocks {
		value, more := p.freeBody(block.Body)
		diags = append(diags, more...)
		for _, label := range slices.Backward(block.Labels) {
			value = map[string]any{label: []map[string]any{value}}
		}
		list, _ := result[block.Type].([]map[string]any)
		result[block.Type] = append(list, value)
	}
	return result, diags
}

// setFree stores one attribute of a config block as Nomad does: null leaves it out, a map is a block given once.
func setFree(config map[string]any, name string, value any) {
	switch value := value.(type) {
	case nil:
	case map[string]any:
		config[name] = []map[string]any{value}
	default:
		config[name] = value
	}
}

// shorthand are the arguments of constraint and affinity that give an operator and its value in one.
type shorthand struct {
	value    *string
	operator string
}

func (p *parser) constraint(block *hcl.Block) (*api.Constraint, hcl.Diagnostics) {
	var c struct {
		LTarget          string  `hcl:"attribute,optional"`
		RTarget          string  `hcl:"value,optional"`
		Operand          string  `hcl:"operator,optional"`
		Regexp           *string `hcl:"regexp,optional"`
		Version          *string `hcl:"version,optional"`
		Semver           *string `hcl:"semver,optional"`
		SetContains      *string `hcl:"set_contains,optional"`
		DistinctHosts    *bool   `hcl:"distinct_hosts,optional"`
		DistinctProperty *string `hcl:"distinct_property,optional"`
	}
	diags := p.decode(block.Body, &c, nil)
	shorthands := []shorthand{
		{c.Regexp, "regexp"},
		{c.Version, "version"},
		{c.Semver, "semver"},
		{c.SetContains, "set_contains"},
	}
	if c.DistinctHosts != nil {
		text := strconv.FormatBool(*c.DistinctHosts)
		shorthands = append(shorthands, shorthand{&text, "distinct_hosts"})
	}
	if c.DistinctProperty != nil {
		c.LTarget = *c.DistinctProperty
		shorthands = append(shorthands, shorthand{&c.RTarget, "distinct_property"})
	}
	diags = append(diags, resolve(shorthands, &c.RTarget, &c.Operand, block.DefRange)...)
	return &api.Constraint{LTarget: c.LTarget, RTarget: c.RTarget, Operand: c.Operand}, diags
}

func (p *parser) affinity(block *hcl.Block) (*api.Affinity, hcl.Diagnostics) {
	var a struct {
		LTarget     string  `hcl:"attribute,optional"`
		RTarget     string  `hcl:"value,optional"`
		Operand     string  `hcl:"operator,optional"`
		Weight      *int8   `hcl:"weight,optional"`
		Regexp      *string `hcl:"regexp,optional"`
		Version     *string `hcl:"version,optional"`
		Semver      *string `hcl:"semver,optional"`
		SetContains *string `hcl:"set_contains,optional"`
	}
	diags := p.decode(block.Body, &a, nil)
	shorthands := []shorthand{
		{a.Regexp, "regexp"},
		{a.Version, "version"},
		{a.Semver, "semver"},
		{a.SetContains, "set_contains"},
	}
	diags = append(diags, resolve(shorthands, &a.RTarget, &a.Operand, block.DefRange)...)
	return &api.Affinity{LTarget: a.LTarget, RTarget: a.RTarget, Operand: a.Operand, Weight: a.Weight}, diags
}

// resolve puts the one shorthand that is set into value and operator. Without any, the operator is "=" unless written.
func resolve(shorthands []shorthand, value, operator *string, at hcl.Range) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, s := range shorthands {
		if s.value == nil {
			continue
		}
		if *operator != "" {
			diags = append(diags, fault(at, "Conflicting operators", "%q and %q are both given; keep one.",
				*operator, s.operator)...)
		}
		*value, *operator = *s.value, s.operator
	}
	if *operator == "" {
		*operator = "="
	}
	return diags
}

// templateDefaults fills in what Nomad fills in while it parses, rather than later with the other defaults.
func templateDefaults(tmpl *api.Template) {
	setDefault(&tmpl.ChangeMode, "restart")
	setDefault(&tmpl.Splay, 5*time.Second)
	setDefault(&tmpl.Perms, "0644")
	setDefault(&tmpl.ErrMissingKey, false)
}

func setDefault[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}
