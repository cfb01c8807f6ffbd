package server

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/weirhq/weir/service/model"
	"github.com/weirhq/weir/service/v2"
	"github.com/weirhq/weir/service/wire"
)

// tensors is what an inference request asks for, and the length of the JSON of a binary answer.
type tensors struct {
	id      string
	outputs []v2.Output
	header  int
}

// readTensors reads an inference request.
func (s *Server) readTensors(m *served, r *http.Request, w *work) *failure {
	header := len(w.body)
	if text := r.Header.Get(v2.HeaderLength); text != "" {
		var err error
		if header, err = strconv.Atoi(text); err != nil {
			return &failure{malformed, v2.HeaderLength + " is no number: want the length of the JSON in bytes"}
		}
	}
	request, err := v2.Parse(w.body, header)
	if err != nil {
		return &failure{malformed, err.Error()}
	}
	if len(request.Outputs) == 0 {
		request.Outputs = []v2.Output{{Name: m.outputs[0].Name, Binary: request.Binary}}
	}
	if f := m.check(request.Outputs); f != nil {
		return f
	}
	columns := v2.Columns{Count: m.In, Names: m.Names, Documents: m.Documents}
	if err := request.Fill(&w.rows, columns, s.opts.MaxRows); err != nil {
		if tooMany := (*wire.TooManyRowsError)(nil); errors.As(err, &tooMany) {
			return &failure{tooLarge, err.Error()}
		}
		return &failure{unusable, err.Error()}
	}
	for _, out := range request.Outputs {
		w.rows.Probabilities = w.rows.Probabilities || out.Name == outProba
		w.rows.Decision = w.rows.Decision || out.Name == outDecision
	}
	if w.tensors = (tensors{id: request.ID, outputs: request.Outputs}); w.tensors.id == "" {
		w.tensors.id = w.id
	}
	return nil
}

// check refuses outputs that the model doesn't have.
func (m *served) check(outputs []v2.Output) *failure {
	for _, out := range outputs {
		if m.output(out.Name) == nil {
			names := make([]string, len(m.outputs))
			for i := range m.outputs {
				names[i] = m.outputs[i].Name
			}
			return &failure{
				unusable, "the model has no output " + strconv.Quote(out.Name) + ": it has " + strings.Join(names, ", "),
			}
		}
	}
	return nil
}

// writeTensors builds the answer of an inference request.
func (s *Server) writeTensors(m *served, w *work) *failure {
	var all []v2.Tensor
	for _, out := range w.tensors.outputs {
		o := m.output(out.Name)
		t := v2.Tensor{Name: out.Name, Datatype: o.Datatype, Shape: slices.Clone(o.Shape), Binary: out.Binary}
		t.Shape[0] = w.rows.Count
		if out.Name == outPredict && m.Kind == model.Classifier {
			t.Append = func(dst []byte, i int, binary bool) []byte {
				return m.classes.Append(dst, i%m.Out, int(w.out[i]), binary)
			}
		} else if f := m.numbers(w, &t); f != nil {
			return f
		}
		all = append(all, t)
	}
	head := v2.Head{Model: s.opts.ModelName, Version: s.opts.ModelVersion, ID: w.tensors.id}
	w.answer, w.tensors.header = v2.Answer(w.answer[:0], head, all)
	return nil
}

// numbers gives a tensor its numbers.
func (m *served) numbers(w *work, t *v2.Tensor) *failure {
	values := w.out
	switch t.Name {
	case outProba:
		values = w.proba
	case outDecision:
		values = w.values
	}
	width := len(values) / w.rows.Count
	for r := range w.rows.Count {
		if !m.writable(values[r*width:(r+1)*width], &w.rows) {
			return infinite(r)
		}
	}
	t.Append = func(dst []byte, i int, binary bool) []byte { return v2.Float(dst, values[i], binary) }
	return nil
}

// sendTensors sends the answer.
func (s *Server) sendTensors(c *gin.Context, w *work) {
	contentType := s.headers.json
	if w.tensors.header > 0 {
		contentType = s.headers.binary
		c.Writer.Header().Set(v2.HeaderLength, strconv.Itoa(w.tensors.header))
	}
	s.respond(c, http.StatusOK, contentType, w.answer)
}
