package openapi

import (
	"github.com/weirhq/weir/service/model"
	"github.com/weirhq/weir/service/v2"
)

var datatypes = []string{
	"BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BYTES",
}

// optional is a type that may be null, too: MLServer's clients write what they leave out so.
func optional(name string) []string { return []string{name, "null"} }

// tensor describes one of the Open Inference Protocol, in JSON.
func tensor(name object, datatype any) object {
	return object{
		"type": "object", "required": []string{"name", "datatype", "shape", "data"},
		"properties": object{
			"name": name, "datatype": object{"enum": datatype}, "parameters": object{"type": optional("object")},
			"shape": object{
				"type": "array", "items": object{"type": "integer", "minimum": 1}, "minItems": 1, "maxItems": 2,
			},
			"data": object{"type": "array", "description": "the elements, in one list or nested as the shape"},
		},
	}
}

func inferenceRequest(m *model.Model, meta v2.Metadata) object {
	outputs := make([]string, len(meta.Outputs))
	for i, o := range meta.Outputs {
		outputs[i] = o.Name
	}
	return object{
		"type": "object", "required": []string{"inputs"},
		"properties": object{
			"id": object{"type": optional("string")}, "parameters": object{"type": optional("object")},
			"inputs": object{
				"type": "array", "items": tensor(object{"type": "string"}, datatypes), "minItems": 1,
				"description": "one tensor with all columns, [rows, columns], or one for each named column, [rows, 1]",
			},
			"outputs": object{
				"type": optional("array"), "description": "what to compute; if left out, the first of them",
				"items": object{
					"type": "object", "required": []string{"name"},
					"properties": object{"name": object{"enum": outputs}, "parameters": object{"type": optional("object")}},
				},
			},
		},
		"examples": []object{{"inputs": exampleTensors(m, meta)}},
	}
}

// exampleTensors is one row for each input.
func exampleTensors(m *model.Model, meta v2.Metadata) []object {
	var out []object
	for _, in := range meta.Inputs[:min(len(meta.Inputs), maxDescribed)] {
		width := 1
		if len(meta.Inputs) == 1 {
			width = max(1, m.In)
		}
		data := make([]any, min(width, maxDescribed))
		for i := range data {
			if data[i] = 0; in.Datatype == "BYTES" {
				data[i] = "text"
			}
		}
		out = append(out, object{"name": in.Name, "datatype": in.Datatype, "shape": []int{1, width}, "data": data})
	}
	return out
}

func inferenceAnswer(meta v2.Metadata) object {
	kinds := make([]object, len(meta.Outputs))
	for i, o := range meta.Outputs {
		kinds[i] = tensor(object{"const": o.Name}, []string{o.Datatype})
	}
	return object{
		"type": "object", "required": []string{"model_name", "model_version", "id", "outputs"},
		"properties": object{
			"model_name": object{"const": meta.Name}, "model_version": object{"const": meta.Versions[0]},
			"id": object{"type": "string"}, "parameters": object{"type": optional("object")},
			"outputs": object{"type": "array", "items": object{"anyOf": kinds}},
		},
	}
}
