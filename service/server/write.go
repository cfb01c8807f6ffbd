package server

import (
	"fmt"

	"github.com/weirhq/weir/service/model"
	"github.com/weirhq/weir/service/wire"
)

// write builds the JSON of an answer.
func (s *Server) write(m *served, w *work) *failure {
	w.answer = append(w.answer[:0], `{"prediction":[`...)
	for r := range w.rows.Count {
		if r > 0 {
			w.answer = append(w.answer, ',')
		}
		out := w.out[r*m.Out : (r+1)*m.Out]
		if m.Kind == model.Classifier {
			w.answer = m.appendClasses(w.answer, out)
			continue
		}
		if !m.writable(out, &w.rows) {
			return infinite(r)
		}
		w.answer = appendValues(w.answer, out, m.Vector)
	}
	w.answer = append(w.answer, ']')
	if w.rows.Probabilities {
		if f := m.writeProba(w); f != nil {
			return f
		}
	}
	if w.rows.Decision {
		if f := m.writeDecision(w); f != nil {
			return f
		}
	}
	w.answer = append(w.answer, s.suffix...)
	return nil
}

// appendClasses appends the label of one row, or a list with one for each output.
func (m *served) appendClasses(dst []byte, out []float64) []byte {
	if m.Outputs == nil {
		return append(dst, m.labels[0][int(out[0])]...)
	}
	dst = append(dst, '[')
	for i, class := range out {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, m.labels[i][int(class)]...)
	}
	return append(dst, ']')
}

func infinite(row int) *failure {
	return &failure{
		notFinite,
		fmt.Sprintf("the model's answer for row %d is not a finite number: the numbers in x are too large for it", row),
	}
}

// writable reports whether all numbers can be written. A transformer hands missing numbers on, as null.
func (m *served) writable(values []float64, rows *wire.Rows) bool {
	for _, v := range values {
		if v-v != 0 && !(v != v && rows.Missing && m.Kind == model.Transformer) {
			return false
		}
	}
	return true
}

func (m *served) writeProba(w *work) *failure {
	w.answer = append(w.answer, `,"probabilities":[`...)
	for r := range w.rows.Count {
		if r > 0 {
			w.answer = append(w.answer, ',')
		}
		row := w.proba[r*m.Proba : (r+1)*m.Proba]
		if !m.writable(row, &w.rows) {
			return infinite(r)
		}
		if !m.Grouped() {
			w.answer = appendValues(w.answer, row, true)
			continue
		}
		for i, labels := range m.Outputs {
			w.answer = append(w.answer, "[,"[min(i, 1)])
			w.answer = appendValues(w.answer, row[:len(labels)], true)
			row = row[len(labels):]
		}
		w.answer = append(w.answer, ']')
	}
	w.answer = append(w.answer, ']')
	return nil
}

func (m *served) writeDecision(w *work) *failure {
	w.answer = append(w.answer, `,"decision":[`...)
	n := m.Decision
	for r := range w.rows.Count {
		if r > 0 {
			w.answer = append(w.answer, ',')
		}
		row := w.values[r*n : (r+1)*n]
		if !m.writable(row, &w.rows) {
			return infinite(r)
		}
		w.answer = appendValues(w.answer, row, n > 1)
	}
	w.answer = append(w.answer, ']')
	return nil
}

func appendValues(dst []byte, values []float64, vector bool) []byte {
	if !vector {
		return appendValue(dst, values[0])
	}
	dst = append(dst, '[')
	for i, v := range values {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendValue(dst, v)
	}
	return append(dst, ']')
}

func appendValue(dst []byte, v float64) []byte {
	if v != v {
		return append(dst, "null"...)
	}
	return wire.AppendFloat(dst, v)
}
