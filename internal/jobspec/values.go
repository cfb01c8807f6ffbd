package jobspec

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"time"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/gocty"
)

var durationType = reflect.TypeFor[time.Duration]()

// store puts an HCL value into a Go value: the conversions are HCL's ("5" is a number, 5 is a string), and a duration
// is text such as "1m30s" or a number of nanoseconds. Null leaves the Go value as it is.
func store(value cty.Value, into reflect.Value) error {
	if value.IsNull() {
		return nil
	}
	if !value.IsWhollyKnown() {
		return errors.New("the value is not known while the specification is read")
	}
	if into.Kind() == reflect.Pointer {
		target := reflect.New(into.Type().Elem())
		if err := store(value, target.Elem()); err != nil {
			return err
		}
		into.Set(target)
		return nil
	}
	if into.Type() == durationType && value.Type() == cty.String {
		d, err := time.ParseDuration(value.AsString())
		if err != nil {
			return fmt.Errorf("%q is not a duration; write one such as \"30s\" or \"1h30m\"", value.AsString())
		}
		into.SetInt(int64(d))
		return nil
	}
	typ, err := gocty.ImpliedType(into.Interface())
	if err != nil {
		return fmt.Errorf("convert to %s: %w", into.Type(), err)
	}
	converted, err := convert.Convert(value, typ)
	if err != nil {
		return err
	}
	return gocty.FromCtyValue(converted, into.Addr().Interface())
}

// native turns an HCL value into the Go value that encoding/json writes the same way: string, bool, int, float64, []any
// and map[string]any.
func native(value cty.Value) any {
	if value.IsNull() || !value.IsKnown() {
		return nil
	}
	typ := value.Type()
	switch {
	case typ == cty.String:
		return value.AsString()
	case typ == cty.Bool:
		return value.True()
	case typ == cty.Number:
		if n, accuracy := value.AsBigFloat().Int64(); accuracy == 0 {
			return int(n)
		}
		f, _ := value.AsBigFloat().Float64()
		return f
	case typ.IsMapType() || typ.IsObjectType():
		result := map[string]any{}
		for key, elem := range value.AsValueMap() {
			result[key] = native(elem)
		}
		return result
	}
	result := []any{}
	for _, elem := range value.AsValueSlice() {
		result = append(result, native(elem))
	}
	return result
}

// textOf is the text of a value that should be a string.
func textOf(value cty.Value) string {
	text, err := convert.Convert(value, cty.String)
	if err != nil || text.IsNull() || !text.IsKnown() {
		return "(no message)"
	}
	return text.AsString()
}

func quote(s string) string { return strconv.Quote(s) }
