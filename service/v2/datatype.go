package v2

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
)

// datatype says how the elements of a tensor are written.
type datatype struct {
	size  int                                // bytes of an element, 0 for BYTES
	parse func(text string) (float64, error) // from JSON
	read  func(b []byte) float64             // from binary, little endian
	null  bool                               // null stands for a missing number
}

var little = binary.LittleEndian

var datatypes = map[string]datatype{
	"BOOL":   {1, parseBool, func(b []byte) float64 { return float64(min(b[0], 1)) }, false},
	"UINT8":  {1, unsigned(8), func(b []byte) float64 { return float64(b[0]) }, false},
	"UINT16": {2, unsigned(16), func(b []byte) float64 { return float64(little.Uint16(b)) }, false},
	"UINT32": {4, unsigned(32), func(b []byte) float64 { return float64(little.Uint32(b)) }, false},
	"UINT64": {8, unsigned(64), func(b []byte) float64 { return float64(little.Uint64(b)) }, false},
	"INT8":   {1, signed(8), func(b []byte) float64 { return float64(int8(b[0])) }, false},
	"INT16":  {2, signed(16), func(b []byte) float64 { return float64(int16(little.Uint16(b))) }, false},
	"INT32":  {4, signed(32), func(b []byte) float64 { return float64(int32(little.Uint32(b))) }, false},
	"INT64":  {8, signed(64), func(b []byte) float64 { return float64(int64(little.Uint64(b))) }, false},
	"FP16":   {2, float(half), func(b []byte) float64 { return fromHalf(little.Uint16(b)) }, true},
	"FP32":   {4, float(single), func(b []byte) float64 { return float64(math.Float32frombits(little.Uint32(b))) }, true},
	"FP64":   {8, float(double), func(b []byte) float64 { return math.Float64frombits(little.Uint64(b)) }, true},
	"BYTES":  {},
}

func parseBool(text string) (float64, error) {
	switch text {
	case "true", "1":
		return 1, nil
	case "false", "0":
		return 0, nil
	}
	return 0, fmt.Errorf("%.20s is not true or false", text)
}

func unsigned(bits int) func(string) (float64, error) {
	return func(text string) (float64, error) {
		n, err := strconv.ParseUint(text, 10, bits)
		if err != nil {
			return 0, fmt.Errorf("%.30s is not a whole number from 0 to %d", text, uint64(1)<<bits-1)
		}
		return float64(n), nil
	}
}

func signed(bits int) func(string) (float64, error) {
	return func(text string) (float64, error) {
		n, err := strconv.ParseInt(text, 10, bits)
		if err != nil {
			return 0, fmt.Errorf("%.30s is not a whole number of %d bits", text, bits)
		}
		return float64(n), nil
	}
}

// float reads a number and rounds it to what the datatype holds, as numpy does with a list of Python's floats. Booleans
// are 1 and 0.
func float(round func(float64) float64) func(string) (float64, error) {
	return func(text string) (float64, error) {
		if text == "true" || text == "false" {
			return parseBool(text)
		}
		v, err := strconv.ParseFloat(text, 64)
		if v = round(v); err != nil || math.IsInf(v, 0) {
			return 0, fmt.Errorf("%.30s is not a number that the datatype holds", text)
		}
		return v, nil
	}
}

func double(v float64) float64 { return v }

func single(v float64) float64 { return float64(float32(v)) }

// half rounds to the nearest number of 16 bits, IEEE 754 binary16: 11 significant bits, exponents from -14 to 15.
func half(v float64) float64 {
	_, exponent := math.Frexp(v)
	unit := math.Ldexp(1, max(exponent, -13)-11)
	v = math.RoundToEven(v/unit) * unit
	if math.Abs(v) > 65504 {
		return math.Inf(1)
	}
	return v
}

func fromHalf(b uint16) float64 {
	exponent, fraction := int(b>>10&31), float64(b&1023)
	var v float64
	switch exponent {
	case 0:
		v = math.Ldexp(fraction, -24)
	case 31:
		if v = math.Inf(1); fraction != 0 {
			v = math.NaN()
		}
	default:
		v = math.Ldexp(fraction+1024, exponent-25)
	}
	if b>>15 == 1 {
		return -v
	}
	return v
}
