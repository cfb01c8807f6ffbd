package model

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/weirhq/weir/service/document"
	"github.com/weirhq/weir/service/pickle"
)

// xgbModel is what an XGBoost booster computes: margins, which are base plus trees or a linear function, and what its
// objective makes of them. All of it is in 32 bits.
type xgbModel struct {
	version   int // 302 for 3.2
	in        int
	margins   int // for a row
	base      []float64
	trees     *forest
	weights   []float32 // of a linear booster: (in+1) × margins, the last row is the bias
	objective xgbObjective
	names     []string
	recoder   *recoder
	missing   float32 // the number that stands for a missing one, besides NaN
}

// xgbDocument returns the model that xgboost.core.Booster keeps in its handle: a document {Config, Model}.
func (a attrs) xgbDocument() (config, model document.Object, err error) {
	v, err := a.get("handle")
	if err != nil {
		return nil, nil, err
	}
	b, err := pickle.Bytes(v)
	if err != nil {
		return nil, nil, a.errorf("handle", "the booster has no model in it: was it trained? (%w)", err)
	}
	if len(b) == 0 || b[0] != '{' {
		return nil, nil, a.errorf("handle", "it is in XGBoost's old binary format, which ended with 1.6: load the file with "+
			"the XGBoost that wrote it, save_model to a file that ends in .json, load_model that with XGBoost 1.6 or newer, and "+
			"write it anew")
	}
	doc, err := document.Read(b, a.l.spend)
	if err != nil {
		return nil, nil, a.errorf("handle", "%w", err)
	}
	if model, err = doc.Inner("Model"); err != nil {
		return nil, nil, a.errorf("handle", "%w", err)
	}
	config, _ = doc.Inner("Config")
	return config, model, nil
}

// readXGB reads a booster. Best: only the iterations up to the best one, as the scikit-learn wrappers predict.
func (a attrs) readXGB(best bool) (*xgbModel, error) {
	config, doc, err := a.xgbDocument()
	if err != nil {
		return nil, err
	}
	m, err := newXGBModel(doc)
	if err != nil {
		return nil, a.errorf("handle", "%w", err)
	}
	if m.version > 0 {
		a.l.library = fmt.Sprintf("XGBoost %d.%d", m.version/100, m.version%100)
	}
	learner, _ := doc.Inner("learner")
	rounds := 0
	if best {
		rounds = a.bestRounds(learner)
	}
	if err := m.readBooster(a, learner, config, rounds); err != nil {
		return nil, a.errorf("handle", "%w", err)
	}
	return m, nil
}

// bestRounds is how many iterations early stopping left, 0 for all. XGBoost keeps it in the model and, before 2.0,
// also in the Python object.
func (a attrs) bestRounds(learner document.Object) int {
	if attributes, err := learner.Inner("attributes"); err == nil {
		if n, err := strconv.Atoi(attributes.Text("best_iteration")); err == nil && n >= 0 {
			return n + 1
		}
	}
	if n, err := a.integer("best_iteration"); err == nil && n >= 0 && n < math.MaxInt32 {
		return n + 1
	}
	return 0
}

// newXGBModel reads all but the trees.
func newXGBModel(doc document.Object) (*xgbModel, error) {
	learner, err := doc.Inner("learner")
	if err != nil {
		return nil, err
	}
	params, err := learner.Inner("learner_model_param")
	if err != nil {
		return nil, err
	}
	objective, err := learner.Inner("objective")
	if err != nil {
		return nil, err
	}
	m := &xgbModel{missing: float32(math.NaN())}
	if v, err := doc.Numbers("version", 3); err == nil {
		m.version = 100*v.Int(0) + v.Int(1)
	}
	if m.in, err = xgbCount(params, "num_feature"); err != nil {
		return nil, err
	}
	classes, targets := 0, 1
	for name, n := range map[string]*int{"num_class": &classes, "num_target": &targets} {
		if params.Text(name) != "" {
			if *n, err = xgbCount(params, name); err != nil {
				return nil, err
			}
		}
	}
	m.margins = max(classes, targets, 1)
	if m.in < 1 {
		return nil, errors.New("num_feature: the model takes no columns")
	}
	if m.objective, err = newXGBObjective(objective, m.version); err != nil {
		return nil, err
	}
	m.names = xgbNames(learner, m.in)
	return m, m.readBase(params.Text("base_score"))
}

// xgbCount reads a number that XGBoost writes as text.
func xgbCount(o document.Object, name string) (int, error) {
	n, err := strconv.Atoi(o.Text(name))
	if err != nil || n < 0 || n > maxWidth {
		return 0, fmt.Errorf("%s: want a number of 0 to %d", name, maxWidth)
	}
	return n, nil
}

// xgbNames returns the names of the columns, or nil.
func xgbNames(learner document.Object, n int) []string {
	list, _ := learner.Get("feature_names").([]any)
	if len(list) != n {
		return nil
	}
	names := make([]string, n)
	for i, v := range list {
		names[i], _ = v.(string)
	}
	return names
}

// readBase reads base_score: "5E-1", or since 3.1 a list "[5E-1]" that may have a number for each margin. It is what the
// objective gives where there are no trees.
func (m *xgbModel) readBase(text string) error {
	parts := strings.Split(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"), ",")
	if len(parts) != 1 && len(parts) != m.margins {
		return fmt.Errorf("base_score: want %d numbers, not %d", m.margins, len(parts))
	}
	m.base = make([]float64, m.margins)
	for i := range m.base {
		f, err := strconv.ParseFloat(strings.TrimSpace(parts[i%len(parts)]), 32)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Errorf("base_score: %.40q is no number", text)
		}
		m.base[i] = float64(m.objective.link(float32(f)))
		if math.IsNaN(m.base[i]) || math.IsInf(m.base[i], 0) {
			return fmt.Errorf("base_score: %v is none that %s can give", f, m.objective.name)
		}
	}
	return nil
}

// margin computes the margins of each row.
func (m *xgbModel) margin(x []float64, rows int, out []float64, s *Scratch) error {
	mark := s.mark()
	defer s.release(mark)
	for r := range rows {
		copy(out[r*m.margins:(r+1)*m.margins], m.base)
	}
	if m.missing == m.missing {
		with := s.floats(len(x))
		for i, v := range x {
			with[i] = v
			if float32(v) == m.missing {
				with[i] = math.NaN()
			}
		}
		x = with
	}
	if m.weights == nil {
		return m.trees.add(x, rows, out, s)
	}
	for i, v := range x {
		if math.IsInf(float64(float32(v)), 0) {
			return &RangeError{Row: i / m.in, Column: i % m.in, Reason: errFloat32}
		}
	}
	for r := range rows {
		m.addLinear(x[r*m.in:(r+1)*m.in], out[r*m.margins:(r+1)*m.margins])
	}
	return nil
}

// addLinear adds the linear function of a row, of which missing numbers are no part.
func (m *xgbModel) addLinear(x, out []float64) {
	for k := range out {
		sum := m.weights[m.in*m.margins+k] + float32(out[k])
		for j, v := range x {
			if v == v {
				sum += float32(v) * m.weights[j*m.margins+k]
			}
		}
		out[k] = float64(sum)
	}
}

// values computes what Booster.predict gives: outputs() numbers for a row.
func (m *xgbModel) values(x []float64, rows int, out []float64, s *Scratch) error {
	mark := s.mark()
	defer s.release(mark)
	n, k := m.margins, m.outputs()
	v := out
	if n != k {
		v = s.floats(rows * n)
	}
	if err := m.margin(x, rows, v, s); err != nil {
		return err
	}
	for r := range rows {
		row := v[r*n : (r+1)*n]
		m.objective.transform(row)
		copy(out[r*k:(r+1)*k], row)
	}
	return nil
}

// outputs is how many numbers predict gives for a row.
func (m *xgbModel) outputs() int {
	if m.objective.name == "multi:softmax" {
		return 1
	}
	return m.margins
}
