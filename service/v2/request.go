// Package v2 reads and writes the messages of the Open Inference Protocol, version 2, over HTTP, with its extension for
// binary tensors. https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
// and https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
package v2

import (
	"encoding/json"
	"fmt"
	"slices"
)

// HeaderLength is the HTTP header that says how many bytes of a body are JSON, where binary tensors follow.
const HeaderLength = "Inference-Header-Content-Length"

// Request is an inference request, decoded and checked.
type Request struct {
	ID      string
	Inputs  []Input
	Outputs []Output // those asked for, none: the default
	// Columns: the parameter content_type is "pd", that is, each tensor is a column of a table.
	Columns bool
	// Binary: outputs that don't say otherwise are to be binary.
	Binary bool
}

// Input is a tensor: its numbers, or its texts if the datatype is BYTES, in row-major order.
type Input struct {
	Name     string
	Datatype string
	Shape    []int
	Numbers  []float64 // NaN where a JSON tensor of floats has null
	Texts    [][]byte  // nil where a JSON tensor has null
}

// Output is an output that is asked for.
type Output struct {
	Name   string
	Binary bool
}

// parameters are those that mean something here. Others are let through, as the protocol wants.
type parameters struct {
	ContentType  string `json:"content_type"`
	BinarySize   *int   `json:"binary_data_size"`
	BinaryData   *bool  `json:"binary_data"`
	BinaryOutput bool   `json:"binary_data_output"`
}

type message struct {
	ID         string
	Parameters parameters
	Inputs     []struct {
		Name       string
		Datatype   string
		Shape      []int
		Parameters parameters
		Data       json.RawMessage
	}
	Outputs []struct {
		Name       string
		Parameters parameters
	}
}

// Parse reads a body whose first header bytes are JSON; binary tensors follow. The Request keeps parts of body.
func Parse(body []byte, header int) (*Request, error) {
	if header < 0 || header > len(body) {
		return nil, fmt.Errorf("%s is %d, but the body has %d bytes", HeaderLength, header, len(body))
	}
	var m message
	if err := json.Unmarshal(body[:header], &m); err != nil {
		return nil, fmt.Errorf("the JSON is no inference request: %w", err)
	}
	if len(m.Inputs) == 0 {
		return nil, fmt.Errorf(`want at least one tensor in "inputs"`)
	}
	r := &Request{ID: m.ID, Binary: m.Parameters.BinaryOutput, Columns: m.Parameters.ContentType == "pd"}
	if err := checkContentType(m.Parameters.ContentType); err != nil {
		return nil, err
	}
	binary := body[header:]
	for i := range m.Inputs {
		in := &m.Inputs[i]
		t := Input{Name: in.Name, Datatype: in.Datatype, Shape: in.Shape}
		err := checkContentType(in.Parameters.ContentType)
		if err == nil {
			binary, err = t.read(in.Data, in.Parameters.BinarySize, binary)
		}
		if err != nil {
			return nil, fmt.Errorf("input %q: %w", in.Name, err)
		}
		r.Inputs = append(r.Inputs, t)
	}
	if len(binary) > 0 {
		return nil, fmt.Errorf("%d bytes follow the last binary tensor", len(binary))
	}
	for _, out := range m.Outputs {
		o := Output{out.Name, r.Binary}
		if out.Parameters.BinaryData != nil {
			o.Binary = *out.Parameters.BinaryData
		}
		if slices.ContainsFunc(r.Outputs, func(p Output) bool { return p.Name == o.Name }) {
			return nil, fmt.Errorf("output %q is asked for twice", o.Name)
		}
		r.Outputs = append(r.Outputs, o)
	}
	return r, nil
}

// checkContentType refuses what the content types of MLServer say that is not done here.
func checkContentType(name string) error {
	switch name {
	case "", "np", "pd", "str":
		return nil
	}
	return fmt.Errorf("the content_type %.40q is not supported: want np, pd or str", name)
}

// read decodes the tensor: from data, or from the first size bytes of binary. It returns the rest of binary.
func (t *Input) read(data json.RawMessage, size *int, binary []byte) ([]byte, error) {
	d, ok := datatypes[t.Datatype]
	if !ok {
		return nil, fmt.Errorf("the datatype %.20q is not known: want BOOL, UINT8 to UINT64, INT8 to INT64, FP16, FP32, "+
			"FP64 or BYTES", t.Datatype)
	}
	n, err := elements(t.Shape)
	if err != nil {
		return nil, err
	}
	if size == nil {
		if len(data) == 0 {
			return nil, fmt.Errorf(`it has neither "data" nor the parameter binary_data_size`)
		}
		return binary, t.fromJSON(data, d, n)
	}
	if len(data) > 0 {
		return nil, fmt.Errorf(`it has both "data" and the parameter binary_data_size`)
	}
	if *size < 0 || *size > len(binary) {
		return nil, fmt.Errorf("it should have %d bytes, but %d are left in the body; %s must be the length of the JSON",
			*size, len(binary), HeaderLength)
	}
	return binary[*size:], t.fromBinary(binary[:*size], d, n)
}

// maxElements caps the product of a shape, before it is compared with what is there.
const maxElements = 1 << 31

// elements is the product of a shape.
func elements(shape []int) (int, error) {
	if len(shape) == 0 || len(shape) > 8 {
		return 0, fmt.Errorf("the shape %v has %d dimensions: want 1 or 2", shape, len(shape))
	}
	n := 1
	for _, d := range shape {
		if d < 0 || d > maxElements || n*d > maxElements {
			return 0, fmt.Errorf("the shape %v is negative or too large", shape)
		}
		n *= d
	}
	return n, nil
}
