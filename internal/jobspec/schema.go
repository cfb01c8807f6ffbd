package jobspec

import (
	"reflect"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/nomad/api"
)

type fieldKind int

const (
	kindAttr fieldKind = iota
	kindBlock
	kindLabel
)

// field is a field of an api struct that a job specification can set.
type field struct {
	index    int
	name     string // of the attribute or block
	kind     fieldKind
	required bool
	attrMap  bool // a block of strings that may be written as an attribute, name = {…}, too
	typ      reflect.Type
}

// unsupported names the blocks that this package refuses, with what they are for.
var unsupported = map[string]string{
	"action":           "commands run in a task on demand",
	"connect":          "Consul's service mesh",
	"consul":           "Consul namespaces and identities",
	"csi_plugin":       "storage plugins",
	"device":           "devices such as GPUs",
	"disconnect":       "rules for disconnected clients",
	"dispatch_payload": "dispatched jobs",
	"identity":         "workload identities",
	"multiregion":      "jobs that span regions",
	"numa":             "NUMA placement",
	"parameterized":    "dispatched jobs",
	"periodic":         "jobs run by the clock",
	"reserved_ports":   "the old way to write port blocks with a static number",
	"scaling":          "the autoscaler",
	"schedule":         "time-based tasks",
	"secret":           "secrets from other stores",
	"tagged_addresses": "further addresses of a service",
	"ui":               "notes for Nomad's web page",
	"vault":            "secrets from Vault",
	"volume":           "storage volumes",
	"volume_mount":     "storage volumes",
	"weights":          "Consul's DNS weights, which Nomad 1.6 lacks",
}

var (
	mapType       = reflect.TypeFor[map[string]string]()
	attrMapOwners = map[reflect.Type]bool{
		reflect.TypeFor[api.Job](): true, reflect.TypeFor[api.TaskGroup](): true, reflect.TypeFor[api.Task](): true,
	}
)

// fieldsOf lists the settable fields of an api struct from its hcl tags, which read `name,optional`, `name,block`,
// `,label` or, for a required attribute, `name`.
func fieldsOf(typ reflect.Type) []field {
	var fields []field
	for i := range typ.NumField() {
		tag, ok := typ.Field(i).Tag.Lookup("hcl")
		if !ok || tag == "-" {
			continue
		}
		name, kind, _ := strings.Cut(tag, ",")
		f := field{index: i, name: name, required: kind == "", typ: typ.Field(i).Type}
		switch kind {
		case "block":
			f.kind = kindBlock
		case "label":
			f.kind = kindLabel
		}
		f.attrMap = f.kind == kindBlock && f.typ == mapType && attrMapOwners[typ]
		fields = append(fields, f)
	}
	return fields
}

// schemaOf is the HCL schema of a body with these fields.
func schemaOf(fields []field) *hcl.BodySchema {
	schema := &hcl.BodySchema{}
	for _, f := range fields {
		if f.kind == kindBlock {
			schema.Blocks = append(schema.Blocks, hcl.BlockHeaderSchema{Type: f.name, LabelNames: labelsOf(f.typ)})
		}
		if f.kind == kindAttr || f.attrMap {
			schema.Attributes = append(schema.Attributes, hcl.AttributeSchema{Name: f.name, Required: f.required})
		}
	}
	return schema
}

// labelsOf names the labels that blocks of this type carry.
func labelsOf(typ reflect.Type) []string {
	if typ.Kind() == reflect.Map { // only map[string]*T has a label: the key
		if typ.Elem().Kind() == reflect.Pointer {
			return []string{"name"}
		}
		return nil
	}
	for typ.Kind() == reflect.Slice || typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	for _, f := range fieldsOf(typ) {
		if f.kind == kindLabel {
			return []string{"name"}
		}
	}
	return nil
}
