package server

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/weirhq/weir/service/config"
	"github.com/weirhq/weir/service/model"
	"github.com/weirhq/weir/service/openapi"
	"github.com/weirhq/weir/service/v2"
)

// The outputs of the Open Inference Protocol, named as scikit-learn's methods and as MLServer has them.
const (
	outPredict   = "predict"
	outTransform = "transform"
	outProba     = "predict_proba"
	outDecision  = "decision_function"
)

// describe fills what the server says of a model.
func (m *served) describe(c config.Config) (err error) {
	if m.classes, err = v2.NewLabels(outputLabels(m.Model)); err != nil {
		return fmt.Errorf("describe classes: %w", err)
	}
	m.outputs = m.outputTensors()
	meta := v2.Metadata{
		Name: c.ModelName, Versions: []string{c.ModelVersion}, Platform: "sklearn_pickle",
		Inputs: inputTensors(m.Model), Outputs: m.outputs,
	}
	if m.metadata, err = json.Marshal(meta); err != nil {
		return fmt.Errorf("describe tensors: %w", err)
	}
	if m.document, err = openapi.Document(c, m.Model, meta); err != nil {
		return fmt.Errorf("describe interface: %w", err)
	}
	return nil
}

// outputTensors lists what the model computes, the default first.
func (m *served) outputTensors() []v2.TensorMetadata {
	name, datatype, shape := outPredict, "FP64", []int{-1, m.Out}
	switch m.Kind {
	case model.Classifier:
		datatype = m.classes.Datatype
	case model.Transformer:
		name = outTransform
	case model.Regressor:
	}
	all := []v2.TensorMetadata{{Name: name, Datatype: datatype, Shape: shape}}
	if m.Proba > 0 {
		all = append(all, v2.TensorMetadata{Name: outProba, Datatype: "FP64", Shape: []int{-1, m.Proba}})
	}
	if m.Decision > 0 {
		all = append(all, v2.TensorMetadata{Name: outDecision, Datatype: "FP64", Shape: []int{-1, m.Decision}})
	}
	return all
}

// output finds an output, or returns nil.
func (m *served) output(name string) *v2.TensorMetadata {
	for i := range m.outputs {
		if m.outputs[i].Name == name {
			return &m.outputs[i]
		}
	}
	return nil
}

// inputTensors lists a tensor for each column, or one that holds whole rows where the columns have neither names nor
// text.
func inputTensors(m *model.Model) []v2.TensorMetadata {
	if m.Documents {
		return []v2.TensorMetadata{{Name: "x", Datatype: "BYTES", Shape: []int{-1, 1}}}
	}
	all, texts := make([]v2.TensorMetadata, len(m.Columns)), false
	for i, column := range m.Columns {
		all[i] = v2.TensorMetadata{Name: column.Name, Datatype: "FP64", Shape: []int{-1, 1}}
		if column.Name == "" {
			all[i].Name = fmt.Sprintf("column-%d", i)
		}
		// What only hands a column on takes anything in it: as a rule, that is numbers.
		text := column.Takes & (model.Texts | model.Numbers)
		if text == model.Texts || text != model.Numbers && m.Kind != model.Transformer {
			all[i].Datatype, texts = "BYTES", true
		}
	}
	if len(m.Names) == 0 && !texts {
		return []v2.TensorMetadata{{Name: "x", Datatype: "FP64", Shape: []int{-1, m.In}}}
	}
	return all
}

// getDocument answers with the OpenAPI document of the model.
func (s *Server) getDocument(c *gin.Context) {
	if m := s.model.Load(); m != nil {
		s.answer(c, http.StatusOK, m.document)
		return
	}
	s.refuse(c, &failure{loading, "the model is being loaded: try again when /health answers 200"})
}

// getPage answers with the page to try the model.
func (s *Server) getPage(c *gin.Context) {
	h := c.Writer.Header()
	h.Set("Content-Security-Policy", openapi.Policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	s.respond(c, http.StatusOK, []string{"text/html; charset=utf-8"}, openapi.Page)
}
