package model

import (
	"maps"
	"slices"
	"strings"

	"github.com/weirhq/weir/service/pickle"
)

// Part is an estimator in a file, with the estimators within it.
type Part struct {
	Name  string `json:"name,omitempty"` // of a step, else the attribute that holds it
	Class string `json:"class"`
	Times int    `json:"times"` // so many like it follow one another
	Parts []Part `json:"parts,omitempty"`
}

// Description is what can be said of a file beside the model's signature.
type Description struct {
	Root       Part
	Library    string // that wrote the file, such as "scikit-learn 1.2.1"
	Trees      int
	Nodes      int // of all trees
	Parameters int // numbers in the arrays that fitting made, those of trees not counted
}

// Describe is Load with a description of what the file holds.
func Describe(data []byte) (*Model, *Description, error) {
	m, l, err := load(data)
	if err != nil {
		return nil, nil, err
	}
	d := &Description{Trees: l.trees, Nodes: l.nodes, Library: l.writer(m)}
	d.Root = d.part("", l.root, 0)
	return m, d, nil
}

// writer names the libraries that wrote the file.
func (l *loader) writer(m *Model) string {
	var out []string
	if m.Sklearn != "" {
		out = append(out, "scikit-learn "+m.Sklearn)
	}
	if l.library != "" {
		out = append(out, l.library)
	}
	if len(out) == 0 {
		module, _, _ := strings.Cut(l.root.Class.Module, ".")
		out = append(out, module)
	}
	return strings.Join(out, ", ")
}

// part describes an estimator and what its fitted attributes hold.
func (d *Description) part(name string, o *pickle.Object, depth int) Part {
	p := Part{Name: name, Class: o.Class.Name, Times: 1}
	for _, attr := range slices.Sorted(maps.Keys(o.Attrs)) {
		if depth < maxDepth && fitted(o, attr) {
			d.value(&p, attr, o.Attrs[attr], depth)
		}
	}
	return p
}

// fitted reports whether an attribute holds what fitting made, and not what it was made from.
func fitted(o *pickle.Object, attr string) bool {
	switch attr {
	case "steps", "transformer_list", "_preprocessor", "_Booster", "_fit_X":
		return true
	case "estimator_", "base_estimator_": // beside estimators_, only a pattern
		_, several := o.Attrs["estimators_"]
		return !several
	}
	return strings.HasSuffix(attr, "_")
}

// value adds what an attribute holds to p.
func (d *Description) value(p *Part, name string, v any, depth int) {
	if o, ok := v.(*pickle.Object); ok {
		if registry[o.Class] != nil {
			p.add(d.part(strings.Trim(name, "_"), o, depth+1))
		}
		return
	}
	if arr, err := pickle.ArrayOf(v); err == nil {
		if arr.Type.Kind == 'f' && name != "classes_" {
			d.Parameters += arr.Len()
		} else if items, err := arr.Values(); err == nil && arr.Type.Kind == 'O' {
			d.list(p, name, items, depth)
		}
		return
	}
	if items, err := pickle.Sequence(v); err == nil {
		d.list(p, name, items, depth)
	}
}

// list adds the items of a list. Steps are tuples with their name in front.
func (d *Description) list(p *Part, name string, items []any, depth int) {
	for _, item := range items {
		step, err := pickle.Sequence(item)
		if err != nil {
			d.value(p, name, item, depth)
			continue
		}
		if label, ok := firstText(step); ok {
			d.value(p, label, step[1], depth)
		}
	}
}

func firstText(step []any) (string, bool) {
	if len(step) < 2 {
		return "", false
	}
	label, ok := step[0].(string)
	return label, ok
}

// add appends a part, or counts it as one more of the last one.
func (p *Part) add(child Part) {
	if n := len(p.Parts); n > 0 {
		last := &p.Parts[n-1]
		if last.Name == child.Name && last.Class == child.Class && len(last.Parts)+len(child.Parts) == 0 {
			last.Times++
			return
		}
	}
	p.Parts = append(p.Parts, child)
}
