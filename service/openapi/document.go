// Package openapi describes the interface of a loaded model: an OpenAPI 3.1 document that knows the model's columns,
// types and classes, and a page to try it.
package openapi

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/weirhq/weir/service/config"
	"github.com/weirhq/weir/service/model"
	"github.com/weirhq/weir/service/v2"
)

// object is one of JSON.
type object map[string]any

// Document returns the document for a model. Its paths are relative to where it is served.
func Document(c config.Config, m *model.Model, meta v2.Metadata) ([]byte, error) {
	paths, named := object{}, "/v2/models/"+c.ModelName
	paths["/health"] = get("Whether the server takes predictions", ref("Health"), ref("Health"))
	paths["/metrics"] = object{"get": object{
		"summary": "Prometheus metrics", "operationId": "metrics",
		"responses": object{"200": answer("the metrics", "text/plain", object{"type": "string"})},
	}}
	paths["/predict"] = post("Predict rows", "predict", "Request", "Prediction", "application/json")
	paths["/v2"] = get("What the server is", object{
		"type": "object", "required": []string{"name", "version", "extensions"},
	}, nil)
	paths["/v2/health/live"] = get("Whether the server runs", flag("live"), nil)
	paths["/v2/health/ready"] = get("Whether the server takes predictions", flag("ready"), flag("ready"))
	paths[named] = get("What the model takes and gives", ref("Metadata"), ref("Error"))
	paths[named+"/ready"] = get("Whether the model takes predictions", flag("ready"), flag("ready"))
	paths[named+"/infer"] = post("Predict tensors: Open Inference Protocol", "infer", "InferenceRequest",
		"InferenceAnswer", "application/json")
	return json.Marshal(object{
		"openapi": "3.1.0",
		"info": object{
			"title": c.ModelName, "version": c.ModelVersion, "summary": "Predictions of " + c.ModelName,
			"description": fmt.Sprintf("%s of scikit-learn %s, release %s.", m.Class, m.Sklearn, c.ModelRelease),
		},
		"servers": []object{{"url": "./"}},
		"paths":   paths,
		"components": object{"schemas": object{
			"Health": object{
				"type": "object", "required": []string{"status", "version"}, "additionalProperties": false,
				"properties": object{
					"status":  object{"enum": []string{"ok", "loading", "draining"}},
					"version": object{"const": c.ModelVersion},
				},
			},
			"Error": object{
				"type": "object", "required": []string{"error"}, "additionalProperties": false,
				"properties": object{"error": object{"type": "string", "description": "what is wrong, where, and what to do"}},
			},
			"Request": request(m, c.MaxRows), "Prediction": prediction(c, m),
			"InferenceRequest": inferenceRequest(m, meta), "InferenceAnswer": inferenceAnswer(meta),
			"Metadata": object{"type": "object", "const": meta},
		}},
	})
}

func ref(schema string) object { return object{"$ref": "#/components/schemas/" + schema} }

func flag(name string) object {
	return object{
		"type": "object", "required": []string{name}, "properties": object{name: object{"type": "boolean"}},
	}
}

// get describes a path with an answer and, if there is one, another one while the server can't be used.
func get(summary string, ok, unavailable object) object {
	responses := object{"200": answer("the answer", "application/json", ok)}
	if unavailable != nil {
		responses["503"] = answer("the model is being loaded, or the server is leaving", "application/json", unavailable)
	}
	return object{"get": object{"summary": summary, "responses": responses}}
}

func post(summary, id, request, answered, contentType string) object {
	responses := object{"200": answer("the predictions", contentType, ref(answered))}
	for code, reason := range map[int]string{
		400: "the request is not one, or the model can't take it", 408: "the request has not come in time",
		413: "too many bytes or rows", 415: "the body has a type that is not taken",
		422: "the answer is no finite number", 500: "the model or the server failed",
		503: "the server is full or has no model yet: try again after Retry-After seconds",
	} {
		responses[strconv.Itoa(code)] = answer(reason, "application/json", ref("Error"))
	}
	return object{"post": object{
		"summary": summary, "operationId": id,
		"parameters": []object{{
			"name": "X-Request-Id", "in": "header", "schema": object{},
			"description": "1 to 128 letters, digits and ._:@/+=- come back in the answer, and are in logs and traces; " +
				"anything else is replaced",
		}},
		"requestBody": object{"required": true, "content": object{"application/json": object{"schema": ref(request)}}},
		"responses":   responses,
	}}
}

func answer(description, contentType string, schema object) object {
	return object{
		"description": description, "content": object{contentType: object{"schema": schema}},
		"headers": object{
			"X-Request-Id":    object{"schema": object{"type": "string"}},
			"X-Model-Release": object{"schema": object{"type": "string"}},
		},
	}
}
