package devnomad

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/hashicorp/nomad/api"
)

// Kinds of differences.
const (
	diffNone    = "None"
	diffAdded   = "Added"
	diffDeleted = "Deleted"
	diffEdited  = "Edited"
)

// shape says what of a document is compared, and how it is called.
type shape struct {
	fields []string // plain fields by name
	maps   []string // maps, whose entries are shown as fields: Env[KEY]
	blocks []block
}

// block is a shape below another.
type block struct {
	key, name string // in the document, and in the difference
	kind      blockKind
	shape
}

type blockKind int

const (
	oneBlock    blockKind = iota // an object
	namedBlocks                  // a list, whose items are compared by their names
	setBlocks                    // a list, whose items are equal or not
	stringSet                    // a list of strings, shown as fields
	freeBlock                    // an object of any depth: a driver's configuration
)

var (
	constraints = []block{
		{key: "Constraints", name: "Constraint", kind: setBlocks, shape: shape{fields: []string{"LTarget", "Operand", "RTarget"}}},
		{key: "Affinities", name: "Affinity", kind: setBlocks, shape: shape{fields: []string{"LTarget", "Operand", "RTarget", "Weight"}}},
	}
	services = block{key: "Services", name: "Service", kind: namedBlocks, shape: shape{
		fields: []string{
			"Address", "AddressMode", "EnableTagOverride", "Name", "Namespace", "OnUpdate", "PortLabel", "Provider", "TaskName",
		},
		maps: []string{"CanaryMeta", "Meta"},
		blocks: []block{
			{key: "CanaryTags", name: "CanaryTags", kind: stringSet},
			{key: "Tags", name: "Tags", kind: stringSet},
			{key: "Checks", name: "Check", kind: namedBlocks, shape: checkShape},
		},
	}}
	checkShape = shape{
		fields: []string{
			"AddressMode", "Body", "Command", "Expose", "FailuresBeforeCritical", "GRPCService", "GRPCUseTLS", "InitialStatus",
			"Interval", "Method", "Name", "OnUpdate", "Path", "PortLabel", "Protocol", "SuccessBeforePassing", "TLSServerName",
			"TLSSkipVerify", "TaskName", "Timeout", "Type",
		},
		blocks: []block{
			{key: "CheckRestart", name: "CheckRestart", shape: shape{fields: []string{"Grace", "IgnoreWarnings", "Limit"}}},
			{key: "Args", name: "Args", kind: stringSet},
		},
	}
	jobShape = shape{
		fields: []string{"AllAtOnce", "Dispatched", "Name", "Namespace", "NodePool", "Priority", "Region", "Stop", "Type"},
		maps:   []string{"Meta"},
		blocks: append([]block{{key: "Datacenters", name: "Datacenters", kind: stringSet}}, constraints...),
	}
	groupShape = shape{
		fields: []string{"Count", "ShutdownDelay", "StopAfterClientDisconnect", "MaxClientDisconnect"},
		maps:   []string{"Meta"},
		blocks: slices.Concat(constraints, []block{
			{key: "RestartPolicy", name: "RestartPolicy", shape: shape{
				fields: []string{"Attempts", "Delay", "Interval", "Mode", "RenderTemplates"},
			}},
			{key: "ReschedulePolicy", name: "ReschedulePolicy", shape: shape{
				fields: []string{"Attempts", "Delay", "DelayFunction", "Interval", "MaxDelay", "Unlimited"},
			}},
			{key: "EphemeralDisk", name: "EphemeralDisk", shape: shape{fields: []string{"Migrate", "SizeMB", "Sticky"}}},
			{key: "Update", name: "Update", shape: shape{fields: []string{
				"AutoPromote", "AutoRevert", "Canary", "HealthCheck", "HealthyDeadline", "MaxParallel", "MinHealthyTime", "ProgressDeadline",
			}}},
			{key: "Networks", name: "Network", kind: setBlocks, shape: networkBlock},
			services,
		}),
	}
	networkBlock = shape{fields: []string{"Hostname", "MBits", "Mode"}, blocks: []block{
		{key: "ReservedPorts", name: "Static Port", kind: setBlocks, shape: shape{fields: []string{"HostNetwork", "Label", "To", "Value"}}},
		{key: "DynamicPorts", name: "Dynamic Port", kind: setBlocks, shape: shape{fields: []string{"HostNetwork", "Label", "To"}}},
	}}
	taskShape = shape{
		fields: []string{"Driver", "KillSignal", "KillTimeout", "Kind", "Leader", "ShutdownDelay", "User"},
		maps:   []string{"Env", "Meta"},
		blocks: slices.Concat(constraints, []block{
			{key: "Config", name: "Config", kind: freeBlock},
			{key: "Resources", name: "Resources", shape: shape{
				fields: []string{"CPU", "Cores", "DiskMB", "IOPS", "MemoryMB", "MemoryMaxMB"},
			}},
			{key: "LogConfig", name: "LogConfig", shape: shape{fields: []string{"Disabled", "MaxFileSizeMB", "MaxFiles"}}},
			{key: "Artifacts", name: "Artifact", kind: setBlocks, shape: shape{
				fields: []string{"GetterMode", "GetterSource", "RelativeDest"}, maps: []string{"GetterHeaders", "GetterOptions"},
			}},
			services,
			{key: "Templates", name: "Template", kind: setBlocks, shape: shape{fields: []string{
				"ChangeMode", "ChangeSignal", "DestPath", "EmbeddedTmpl", "Envvars", "ErrMissingKey", "LeftDelim", "Perms", "RightDelim",
				"SourcePath", "Splay", "VaultGrace",
			}}},
		}),
	}
)

// compare returns the fields that differ, and the blocks.
func (s shape) compare(a, b map[string]any) ([]*api.FieldDiff, []*api.ObjectDiff) {
	fields := slices.DeleteFunc(diffFields(s.flatten(a), s.flatten(b)), func(f *api.FieldDiff) bool { return f.Type == diffNone })
	return fields, s.compareBlocks(a, b, false)
}

func (s shape) compareBlocks(a, b map[string]any, withEqual bool) []*api.ObjectDiff {
	var out []*api.ObjectDiff
	for _, bl := range s.blocks {
		out = append(out, bl.compare(a[bl.key], b[bl.key], withEqual)...)
	}
	return out
}

// flatten brings the fields and map entries to text, by name.
func (s shape) flatten(doc map[string]any) map[string]string {
	if doc == nil {
		return nil
	}
	out := map[string]string{}
	for _, f := range s.fields {
		out[f] = asText(doc[f])
	}
	for _, m := range s.maps {
		entries, _ := doc[m].(map[string]any)
		for k, v := range entries {
			out[m+"["+k+"]"] = asText(v)
		}
	}
	return out
}

// compare returns the differences of what stands under the block's key. An equal string set is shown too withEqual.
func (bl block) compare(a, b any, withEqual bool) []*api.ObjectDiff {
	one := func(a, b map[string]any) []*api.ObjectDiff {
		if len(a) == 0 && len(b) == 0 || same(a, b) {
			return nil
		}
		return []*api.ObjectDiff{bl.differ(a, b)}
	}
	switch bl.kind {
	case stringSet:
		return bl.compareStrings(texts(a), texts(b), withEqual)
	case namedBlocks:
		var out []*api.ObjectDiff
		before, after := named(a), named(b)
		for _, name := range union(before, after) {
			out = append(out, one(before[name], after[name])...)
		}
		return out
	case setBlocks:
		return bl.compareSets(objects(a), objects(b))
	case oneBlock, freeBlock:
	}
	before, _ := a.(map[string]any)
	after, _ := b.(map[string]any)
	return one(before, after)
}

// differ shows a block that differs, with all its fields.
func (bl block) differ(a, b map[string]any) *api.ObjectDiff {
	out := &api.ObjectDiff{Name: bl.name, Type: kindOf(a, b, true)}
	if bl.kind == freeBlock {
		out.Fields = diffFields(flattenAny(a), flattenAny(b))
		return out
	}
	out.Fields = diffFields(bl.flatten(a), bl.flatten(b))
	out.Objects = bl.compareBlocks(a, b, true)
	return out
}

func (bl block) compareSets(a, b []map[string]any) []*api.ObjectDiff {
	in := func(list []map[string]any) func(map[string]any) bool {
		return func(m map[string]any) bool {
			return slices.ContainsFunc(list, func(o map[string]any) bool { return same(m, o) })
		}
	}
	var out []*api.ObjectDiff
	for _, m := range slices.DeleteFunc(slices.Clone(b), in(a)) {
		out = append(out, bl.differ(nil, m))
	}
	for _, m := range slices.DeleteFunc(slices.Clone(a), in(b)) {
		out = append(out, bl.differ(m, nil))
	}
	return out
}

func (bl block) compareStrings(a, b []string, withEqual bool) []*api.ObjectDiff {
	out := &api.ObjectDiff{Name: bl.name, Type: diffNone}
	add := func(old, now string) {
		kind := kindOfText(old, now)
		out.Fields = append(out.Fields, &api.FieldDiff{Type: kind, Name: bl.name, Old: old, New: now})
		switch {
		case kind == diffNone || kind == out.Type:
		case out.Type == diffNone:
			out.Type = kind
		default:
			out.Type = diffEdited
		}
	}
	for _, v := range a {
		if slices.Contains(b, v) {
			add(v, v)
		} else {
			add(v, "")
		}
	}
	for _, v := range b {
		if !slices.Contains(a, v) {
			add("", v)
		}
	}
	slices.SortFunc(out.Fields, func(f, g *api.FieldDiff) int { return cmp.Or(cmp.Compare(f.Old, g.Old), cmp.Compare(f.New, g.New)) })
	if out.Type == diffNone && (!withEqual || len(out.Fields) == 0) {
		return nil
	}
	return []*api.ObjectDiff{out}
}

func diffFields(a, b map[string]string) []*api.FieldDiff {
	var out []*api.FieldDiff
	for _, name := range union(a, b) {
		out = append(out, &api.FieldDiff{Type: kindOfText(a[name], b[name]), Name: name, Old: a[name], New: b[name]})
	}
	return out
}

func kindOf(a, b map[string]any, differ bool) string {
	switch {
	case a == nil && b != nil:
		return diffAdded
	case a != nil && b == nil:
		return diffDeleted
	case differ:
		return diffEdited
	}
	return diffNone
}

func kindOfText(old, now string) string {
	switch {
	case old == now:
		return diffNone
	case old == "":
		return diffAdded
	case now == "":
		return diffDeleted
	}
	return diffEdited
}

// flattenAny brings nested values to text: a[0], b.c.
func flattenAny(m map[string]any) map[string]string {
	out := map[string]string{}
	var walk func(at string, v any)
	walk = func(at string, v any) {
		switch x := v.(type) {
		case map[string]any:
			for k, child := range x {
				walk(at+"."+k, child)
			}
		case []any:
			for i, child := range x {
				walk(fmt.Sprintf("%s[%d]", at, i), child)
			}
		default:
			out[at] = asText(v)
		}
	}
	for k, v := range m {
		walk(k, v)
	}
	return out
}

func asText(v any) string {
	switch x := v.(type) {
	case nil:
		return ""
	case float64:
		return fmt.Sprintf("%.0f", x)
	}
	return fmt.Sprint(v)
}

func texts(v any) []string {
	list, _ := v.([]any)
	var out []string
	for _, item := range list {
		out = append(out, asText(item))
	}
	return out
}

func named(v any) map[string]map[string]any {
	out := map[string]map[string]any{}
	for _, m := range objects(v) {
		out[asText(m["Name"])] = m
	}
	return out
}
