package wire_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/weirhq/weir/service/wire"
)

// reference reads a body with encoding/json. Names are those of the columns.
func reference(body []byte, names []string) (x []any, count int, ok bool) {
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, 0, false
	}
	var raw json.RawMessage
	seen := map[any]bool{}
	for d.More() {
		key, err := d.Token()
		if err != nil || seen[key] {
			return nil, 0, false
		}
		seen[key] = true
		switch key {
		case "x":
			err = d.Decode(&raw)
		case "probabilities", "decision":
			var b *bool
			if err = d.Decode(&b); b == nil {
				return nil, 0, false
			}
		default:
			return nil, 0, false
		}
		if err != nil {
			return nil, 0, false
		}
	}
	if _, err := d.Token(); err != nil || !seen["x"] {
		return nil, 0, false
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, 0, false
	}
	return referenceRows(raw, names)
}

func referenceRows(raw []byte, names []string) (x []any, count int, ok bool) {
	var rows []json.RawMessage
	if json.Unmarshal(raw, &rows) != nil || len(rows) == 0 || rows[0][0] != '[' && rows[0][0] != '{' {
		rows = []json.RawMessage{raw}
	}
	for _, row := range rows {
		var list []any
		var err error
		if row[0] == rows[0][0] && row[0] == '{' && names != nil {
			list, err = referenceObject(row, names)
		} else if row[0] == rows[0][0] && row[0] == '[' {
			err = decode(row, &list)
		} else {
			return nil, 0, false
		}
		if err != nil || len(list) == 0 || len(x) != count*len(list) {
			return nil, 0, false
		}
		for _, v := range list {
			if v, err = referenceCell(v); err != nil {
				return nil, 0, false
			}
			x = append(x, v)
		}
		count++
	}
	return x, count, true
}

func decode(b []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	return d.Decode(to)
}

func referenceObject(row []byte, names []string) ([]any, error) {
	var object map[string]any
	if err := decode(row, &object); err != nil || len(object) != len(names) {
		return nil, fmt.Errorf("%d members: %w", len(object), err)
	}
	list := make([]any, len(names))
	for i, name := range names {
		v, ok := object[name]
		if !ok {
			return nil, fmt.Errorf("no %s", name)
		}
		list[i] = v
	}
	return list, nil
}

func referenceCell(v any) (any, error) {
	switch v := v.(type) {
	case nil, string:
		return v, nil
	case bool:
		return map[bool]float64{true: 1}[v], nil
	case json.Number:
		return v.Float64()
	}
	return nil, errors.New("no cell")
}

// FuzzParse compares the scanner with encoding/json, but for what encoding/json takes and RFC 8259 or Parse doesn't:
// broken characters, and the same member twice.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"x":[1,2,3]}`, `{"x":[[1,2],[3,4.5e-7]]}`, `{"x":[-0,0.1,1e22,123456789012345678901234567890]}`, `{"\u0078":[1]}`,
		`{"x":[1,null],"decision":true}`, `{"probabilities":false,"x":[1]}`, `{"x":[01]}`, `{"x":[1e999]}`, `{"X":[1]}`, `{"x":[1],"x":[2]}`,
		`{"x":[null]}`, `{"x":[[],[]]}`, ` {"x" : [ ] } `, `{"x":["a\u00e9\ud83d\ude00",true]}`, `{"x":{"size":1,"tülip":"a"}}`,
		`{"x":[{"t\u00fclip":null,"size":false},{"size":"\\","tülip":"a"}]}`, `{"x":["a",["b"]]}`, `{"x":[{"size":1}]}`,
		`{"x":[0e99999999999999999999]}`, `{"x":[0.000000000000000000000000000001e30]}`, "{\"x\xff\":[1]}",
	} {
		f.Add([]byte(s))
	}
	names := []string{"size", "tülip"}
	f.Fuzz(func(t *testing.T, body []byte) {
		x, count, ok := reference(body, names)
		text := string(body)
		var r wire.Rows
		err := r.Parse(body, math.MaxInt, mixed)
		if ok && err != nil && (strings.Contains(err.Error(), "twice") || strings.Contains(err.Error(), "not UTF-8") ||
			strings.Contains(err.Error(), "escape")) {
			return
		}
		if (err == nil) != ok {
			t.Fatalf("%q: scanner says %v, encoding/json says ok=%v", text, err, ok)
		}
		if !ok {
			return
		}
		if r.Count != count || len(r.X) != len(x) {
			t.Fatalf("%q: %d rows and %d cells, encoding/json has %d and %d", text, r.Count, len(r.X), count, len(x))
		}
		for i, got := range cells(&r) {
			if got != x[i] {
				t.Fatalf("%q: cell %d is %v, encoding/json has %v", text, i, got, x[i])
			}
			if v, number := got.(float64); number && math.Signbit(v) != math.Signbit(x[i].(float64)) {
				t.Fatalf("%q: cell %d has another sign", text, i)
			}
		}
	})
}
