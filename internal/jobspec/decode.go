package jobspec

import (
	"reflect"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/nomad/api"
)

// decode fills the struct that target points to from a body, by the hcl tags of the api package. labels are those of
// the body's block.
func (p *parser) decode(body hcl.Body, target any, labels []string) hcl.Diagnostics {
	into := reflect.ValueOf(target).Elem()
	fields := fieldsOf(into.Type())
	content, diags := body.Content(schemaOf(fields))
	if content == nil {
		return diags
	}
	for _, f := range fields {
		field := into.Field(f.index)
		switch f.kind {
		case kindLabel:
			setLabel(field, labels)
		case kindBlock:
			diags = append(diags, p.decodeBlocks(content, f, field)...)
		default:
			if attr, ok := content.Attributes[f.name]; ok {
				diags = append(diags, p.decodeAttr(attr, field)...)
			}
		}
	}
	return diags
}

// setLabel stores the block's label, unless the block has none because it stands for a job, whose label is special.
func setLabel(field reflect.Value, labels []string) {
	if len(labels) == 0 {
		return
	}
	if field.Kind() == reflect.Pointer {
		field.Set(reflect.ValueOf(&labels[0]))
		return
	}
	field.SetString(labels[0])
}

// decodeBlocks decodes all blocks of one field's type into that field: a pointer or a map takes one, a slice many.
func (p *parser) decodeBlocks(content *hcl.BodyContent, f field, into reflect.Value) hcl.Diagnostics {
	blocks := content.Blocks.OfType(f.name)
	if why, ok := unsupported[f.name]; ok && len(blocks) > 0 {
		return fault(blocks[0].DefRange, "Unsupported block "+quote(f.name), "Weir's reader of job specifications "+
			"does not decode this block (%s). Remove it, or submit this job with Nomad's own CLI.", why)
	}
	if len(blocks) > 1 && into.Kind() != reflect.Slice {
		return fault(blocks[1].DefRange, "Duplicate "+f.name+" block", "Only one is allowed here; the first is at %s.",
			blocks[0].DefRange)
	}
	var diags hcl.Diagnostics
	if attr, ok := content.Attributes[f.name]; ok { // maps may be written name = {…} too
		diags = p.decodeAttr(attr, into)
	}
	for _, block := range blocks {
		diags = append(diags, p.decodeBlock(block, into)...)
	}
	return diags
}

func (p *parser) decodeBlock(block *hcl.Block, into reflect.Value) hcl.Diagnostics {
	switch target := into.Addr().Interface().(type) {
	case *map[string]any:
		value, diags := p.freeBody(block.Body)
		*target = value
		return diags
	case *map[string]string, *map[string][]string:
		return p.decodeMap(block, into)
	case *[]*api.NetworkResource:
		network, diags := p.network(block)
		*target = append(*target, network)
		return diags
	case *[]*api.Constraint:
		constraint, diags := p.constraint(block)
		*target = append(*target, constraint)
		return diags
	case *[]*api.Affinity:
		affinity, diags := p.affinity(block)
		*target = append(*target, affinity)
		return diags
	}
	elem := into.Type()
	if elem.Kind() == reflect.Slice {
		elem = elem.Elem()
	}
	isPointer := elem.Kind() == reflect.Pointer
	if isPointer {
		elem = elem.Elem()
	}
	value := reflect.New(elem)
	diags := p.decode(block.Body, value.Interface(), block.Labels)
	if tmpl, ok := reflect.TypeAssert[*api.Template](value); ok {
		templateDefaults(tmpl)
	}
	if !isPointer {
		value = value.Elem()
	}
	if into.Kind() == reflect.Slice {
		value = reflect.Append(into, value)
	}
	into.Set(value)
	return diags
}

// decodeMap decodes a block such as meta or env, whose attributes are the keys of a map.
func (p *parser) decodeMap(block *hcl.Block, into reflect.Value) hcl.Diagnostics {
	schema, diags := attributesOf(block.Body)
	if diags.HasErrors() {
		return diags
	}
	content, diags := block.Body.Content(schema)
	into.Set(reflect.MakeMap(into.Type()))
	for name, attr := range content.Attributes {
		value := reflect.New(into.Type().Elem()).Elem()
		if v, _ := attr.Expr.Value(p.ctx); v.IsNull() {
			diags = append(diags, fault(attr.Range, "Invalid value for "+quote(name), "It must not be null.")...)
			continue
		}
		diags = append(diags, p.decodeAttr(attr, value)...)
		into.SetMapIndex(reflect.ValueOf(name), value)
	}
	return diags
}

// decodeAttr evaluates an attribute and stores its value, converted to the field's type.
func (p *parser) decodeAttr(attr *hcl.Attribute, into reflect.Value) hcl.Diagnostics {
	value, diags := attr.Expr.Value(p.ctx)
	if diags.HasErrors() {
		return diags
	}
	if err := store(value, into); err != nil {
		return append(diags, fault(attr.Expr.Range(), "Invalid value for "+quote(attr.Name), "%s.", err)...)
	}
	return diags
}

// attributesOf is the schema of the attributes that a body has. (JustAttributes alone would do, but inside a dynamic
// block its expressions do not see the iterator; those that Content gives for a schema do.)
func attributesOf(body hcl.Body) (*hcl.BodySchema, hcl.Diagnostics) {
	attrs, diags := body.JustAttributes()
	schema := &hcl.BodySchema{}
	for _, name := range sortedKeys(attrs) {
		schema.Attributes = append(schema.Attributes, hcl.AttributeSchema{Name: name})
	}
	return schema, diags
}
