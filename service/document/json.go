package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// jsonReader reads JSON as XGBoost 1.0 to 1.5 writes it.
type jsonReader struct {
	data  []byte // what is left
	total int
	depth int
	spend func(int) error
}

func (r *jsonReader) read() (any, error) {
	r.total = len(r.data)
	v, err := r.value()
	if r.skipSpace(); err == nil && len(r.data) > 0 {
		err = errors.New("something follows its end")
	}
	if err != nil {
		return nil, fmt.Errorf("JSON, byte %d: %w", r.total-len(r.data), err)
	}
	return v, nil
}

func (r *jsonReader) skipSpace() { r.data = bytes.TrimLeft(r.data, " \t\r\n") }

// next reports whether the next character is c, and moves past it if so.
func (r *jsonReader) next(c byte) bool {
	r.skipSpace()
	if len(r.data) == 0 || r.data[0] != c {
		return false
	}
	r.data = r.data[1:]
	return true
}

var words = map[string]any{"true": true, "false": false, "null": nil}

func (r *jsonReader) value() (any, error) {
	r.skipSpace()
	if len(r.data) == 0 {
		return nil, errCutOff
	}
	if err := r.spend(costValue); err != nil {
		return nil, err
	}
	switch r.data[0] {
	case '{', '[':
		return r.container()
	case '"':
		return r.text()
	}
	end := bytes.IndexAny(r.data[:min(len(r.data), 64)], ",]} \t\r\n")
	if end < 0 {
		return nil, errCutOff
	}
	word := string(r.data[:end])
	if v, ok := words[word]; ok {
		r.data = r.data[end:]
		return v, nil
	}
	f, err := strconv.ParseFloat(word, 64)
	if err != nil {
		return nil, fmt.Errorf("%.20q is no number", word)
	}
	r.data = r.data[end:]
	return f, nil
}

func (r *jsonReader) text() (string, error) {
	end := 1
	for end < len(r.data) && r.data[end] != '"' {
		if r.data[end] == '\\' {
			end++
		}
		end++
	}
	if end >= len(r.data) {
		return "", errCutOff
	}
	var s string
	if err := json.Unmarshal(r.data[:end+1], &s); err != nil {
		return "", errors.New("a text is damaged")
	}
	r.data = r.data[end+1:]
	return s, r.spend(len(s))
}

func (r *jsonReader) container() (any, error) {
	if r.depth++; r.depth > maxNesting {
		return nil, errNested
	}
	defer func() { r.depth-- }()
	if err := r.spend(costOuter); err != nil {
		return nil, err
	}
	if r.next('{') {
		return r.object()
	}
	return r.list()
}

func (r *jsonReader) object() (any, error) {
	var out Object
	for !r.next('}') {
		if len(out) > 0 && !r.next(',') {
			return nil, errors.New("want a comma or the end of an object")
		}
		if r.skipSpace(); len(r.data) == 0 || r.data[0] != '"' {
			return nil, errors.New("want the name of a field")
		}
		name, err := r.text()
		if err != nil {
			return nil, err
		}
		if !r.next(':') {
			return nil, errors.New("want a colon")
		}
		v, err := r.value()
		if err != nil {
			return nil, err
		}
		out = append(out, field{name, v})
	}
	return out, nil
}

func (r *jsonReader) list() (any, error) {
	r.next('[')
	out := []any{}
	for !r.next(']') {
		if len(out) > 0 && !r.next(',') {
			return nil, errors.New("want a comma or the end of a list")
		}
		v, err := r.value()
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return asNumbers(out), nil
}
