package pickle_test

import (
	"math"
	"reflect"
	"testing"

	"github.com/weirhq/weir/service/pickle"
)

// TestReadsDictLikeClasses has the classes that are dicts, as Python 3 writes them in protocols 2 to 5, and in 0.
func TestReadsDictLikeClasses(t *testing.T) {
	items := "(" + str("a") + "K\x01" + str("b") + "K\x02u."
	for name, data := range map[string]string{
		"OrderedDict": proto4 + stackGlobal("collections", "OrderedDict") + ")R" + items,
		"defaultdict": proto4 + stackGlobal("collections", "defaultdict") + stackGlobal("builtins", "int") + "\x85R" + items,
		"Bunch":       proto4 + stackGlobal("sklearn.utils._bunch", "Bunch") + ")\x81" + items,
		"Bunch in protocol 0": "ccopy_reg\n_reconstructor\np0\n(csklearn.utils\nBunch\np1\nc__builtin__\ndict\np2\n(dp3\n" +
			"Va\np4\nI1\nsVb\np5\nL2L\nstp6\nRp7\n.",
	} {
		v, err := load([]byte(data))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := pickle.Dict(v)
		if err != nil || !reflect.DeepEqual(got, map[string]any{"a": 1, "b": 2}) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// TestReadsProtocol0 has each of the line opcodes.
func TestReadsProtocol0(t *testing.T) {
	tests := map[string]any{
		"I42\n.": int64(42), "I-7\n.": int64(-7), "I01\n.": true, "I00\n.": false, "L-300L\n.": int64(-300), "I0\n.": int64(0),
		"I2147483648\n.": int64(1 << 31), "L-128L\n.": int64(-128), "L128L\n.": int64(128), "F1.5\n.": 1.5,
		"F-2.5e-3\n.": -0.0025, "Vt\\u00fclip \xe4\n.": "tülip ä", "V\\U0001f337\n.": "🌷", "V\\u005cu0041\\u000a\n.": "\\u0041\n",
		"S'abc'\n.": "abc", "V\n.": "",
	}
	for data, want := range tests {
		v, err := load([]byte(data))
		if err != nil {
			t.Errorf("%q: %v", data, err)
			continue
		}
		if got, err := pickle.Scalar(v); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %v (%T), %v", data, got, got, err)
		}
	}
	v, err := load([]byte("(lp0\nI1\naVx\np1\nag1\na."))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := pickle.Sequence(v); err != nil || len(got) != 3 || got[1] != "x" || got[2] != "x" {
		t.Errorf("list: %v, %v", got, err)
	}
}

func TestReadsHalfFloats(t *testing.T) {
	half := pickle.DType{Kind: 'f', Size: 2}
	for bits, want := range map[uint16]float64{
		0x3c00: 1, 0xc000: -2, 0x3555: 0.333251953125, 0x0001: math.Ldexp(1, -24), 0x7bff: 65504, 0x7c00: math.Inf(1),
		0xfc00: math.Inf(-1), 0x0000: 0,
	} {
		if got := half.Number([]byte{byte(bits), byte(bits >> 8)}); got != want {
			t.Errorf("%#04x: got %v, want %v", bits, got, want)
		}
	}
	if got := half.Number([]byte{1, 0x7e}); !math.IsNaN(got) {
		t.Errorf("NaN: got %v", got)
	}
}
