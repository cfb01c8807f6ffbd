package openapi

import (
	"fmt"
	"slices"

	"github.com/weirhq/weir/service/config"
	"github.com/weirhq/weir/service/model"
)

// maxDescribed is the number of columns or classes up to which each is described.
const maxDescribed = 1000

// request describes the body of /predict.
func request(m *model.Model, maxRows int) object {
	option := func(has bool, what string) object {
		if !has {
			return object{"const": false, "description": "the model has no " + what}
		}
		return object{"type": "boolean", "default": false, "description": "answer with the " + what + ", too"}
	}
	kinds, example := rows(m)
	forms := make([]object, 0, 2*len(kinds))
	for _, kind := range kinds {
		forms = append(forms, object{"type": "array", "items": kind, "minItems": 1, "maxItems": maxRows})
	}
	if !m.Documents {
		forms = append(forms, kinds...)
	}
	return object{
		"type": "object", "required": []string{"x"}, "additionalProperties": false,
		"properties": object{
			"x":             object{"anyOf": forms, "description": "one row, or a list of rows"},
			"probabilities": option(m.Proba > 0, "probabilities"),
			"decision":      option(m.Decision > 0, "decision values"),
		},
		"examples": []object{{"x": []any{example}}},
	}
}

// rows describes the ways to write a row, and has an example in the last one.
func rows(m *model.Model) (kinds []object, example any) {
	if m.Documents {
		text := object{"type": "string"}
		return []object{{"type": "array", "items": text, "minItems": 1, "maxItems": 1}, text}, "a text"
	}
	list := object{"type": "array", "minItems": 1}
	if m.In < 0 {
		list["items"] = cell(model.Numbers)
		return []object{list}, []any{0}
	}
	list["minItems"], list["maxItems"] = m.In, m.In
	cells, samples, members := make([]object, m.In), make([]any, m.In), object{}
	same, together := true, model.Takes(0)
	for i, column := range m.Columns {
		cells[i], samples[i] = cell(column.Takes), sample(column.Takes)
		if column.Name != "" {
			cells[i]["title"] = column.Name
			members[column.Name] = cells[i]
		}
		same, together = same && column == m.Columns[0], together|column.Takes
	}
	if same || m.In > maxDescribed {
		list["items"] = cell(together)
		return []object{list}, samples
	}
	list["prefixItems"], list["items"] = cells, false
	kinds, example = []object{list}, samples
	if len(members) == m.In {
		kinds = append(kinds, object{
			"type": "object", "properties": members, "required": m.Names, "additionalProperties": false,
		})
		byName := object{}
		for i, name := range m.Names {
			byName[name] = samples[i]
		}
		example = byName
	}
	return kinds, example
}

// cell describes what may stand in a column. Booleans are 1 and 0.
func cell(t model.Takes) object {
	var types []string
	for _, kind := range []struct {
		takes model.Takes
		names []string
	}{{model.Numbers, []string{"number", "boolean"}}, {model.Texts, []string{"string"}}, {model.Nulls, []string{"null"}}} {
		if t&kind.takes != 0 {
			types = append(types, kind.names...)
		}
	}
	return object{"type": types}
}

func sample(t model.Takes) any {
	if t&model.Numbers == 0 {
		return "text"
	}
	return 0
}

// prediction describes the answer of /predict.
func prediction(c config.Config, m *model.Model) object {
	properties := object{
		"prediction":    list(predicted(m), "for each row"),
		"model_version": object{"const": c.ModelVersion},
	}
	if m.Proba > 0 {
		row := numbers(m.Proba)
		if m.Grouped() {
			groups := make([]object, len(m.Outputs))
			for i, labels := range m.Outputs {
				groups[i] = numbers(len(labels))
			}
			row = object{"type": "array", "prefixItems": groups, "items": false, "minItems": len(groups)}
		}
		properties["probabilities"] = list(row, "for each row, those of the classes in their order")
	}
	if m.Decision > 0 {
		row := object{"type": "number"}
		if m.Decision > 1 {
			row = numbers(m.Decision)
		}
		properties["decision"] = list(row, "for each row")
	}
	return object{
		"type": "object", "required": []string{"prediction", "model_version"}, "additionalProperties": false,
		"properties": properties,
	}
}

// predicted describes the prediction of a row.
func predicted(m *model.Model) object {
	if m.Kind == model.Classifier {
		if m.Outputs == nil {
			return classes(m.Labels)
		}
		outputs := make([]object, len(m.Outputs))
		for i, labels := range m.Outputs {
			outputs[i] = classes(labels)
		}
		return object{"type": "array", "prefixItems": outputs, "items": false, "minItems": len(outputs)}
	}
	if !m.Vector {
		return object{"type": "number"}
	}
	row := numbers(m.Out)
	if m.Kind == model.Transformer && m.Missing {
		row["items"] = object{"type": []string{"number", "null"}}
	}
	return row
}

func classes(labels []any) object {
	if len(labels) > maxDescribed {
		return object{"description": fmt.Sprintf("one of %d classes", len(labels))}
	}
	return object{"enum": slices.Clone(labels)}
}

func numbers(n int) object {
	return object{"type": "array", "items": object{"type": "number"}, "minItems": n, "maxItems": n}
}

func list(items object, description string) object {
	return object{"type": "array", "items": items, "description": description}
}
