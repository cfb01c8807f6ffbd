package pickle_test

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/weirhq/weir/service/pickle"
)

const (
	proto2 = "\x80\x02"
	proto4 = "\x80\x04"
)

// str is SHORT_BINUNICODE.
func str(s string) string { return "\x8c" + string(rune(len(s))) + s }

// stackGlobal names a global by STACK_GLOBAL.
func stackGlobal(module, name string) string { return str(module) + str(name) + "\x93" }

func le64(n uint64) string { return string(binary.LittleEndian.AppendUint64(nil, n)) }

func le32(n uint32) string { return string(binary.LittleEndian.AppendUint32(nil, n)) }

// estimator accepts the one class that the tests need.
func estimator(g pickle.Global) bool {
	return g == pickle.Global{Module: "sklearn.linear_model._base", Name: "LinearRegression"}
}

func TestRefusesAttacks(t *testing.T) {
	const command = "echo pwned"
	known := proto4 + stackGlobal("sklearn.linear_model._base", "LinearRegression")
	encode := proto4 + stackGlobal("_codecs", "encode")
	call := "\x85R." // TUPLE1 REDUCE STOP
	tests := []struct{ name, data, want string }{
		{"GLOBAL os.system", proto2 + "cos\nsystem\n" + str(command) + call, "os.system"},
		{"GLOBAL posix.system", proto2 + "cposix\nsystem\n" + str(command) + call, "posix.system"},
		{"STACK_GLOBAL builtins.eval", proto4 + stackGlobal("builtins", "eval") + str(command) + call, "builtins.eval"},
		{
			"STACK_GLOBAL names by memo",
			proto4 + str("nt") + "\x94" + str("system") + "\x940h\x00h\x01\x93" + str(command) + call, "POP",
		},
		{
			"STACK_GLOBAL names by memo without POP",
			proto4 + "(" + str("nt") + "\x94" + str("system") + "\x94th\x00h\x01\x93" + str(command) + "\x85R\x86.", "nt.system",
		},
		{"dotted name", proto4 + stackGlobal("numpy", "ndarray.__class__.__base__") + ")R.", "numpy.ndarray.__class__"},
		{"numpy.load", proto4 + stackGlobal("numpy", "load") + str("x") + call, "numpy.load"},
		{"joblib.load", proto4 + stackGlobal("joblib", "load") + str("x") + call, "joblib.load"},
		{"INST", proto2 + "(" + str(command) + "ios\nsystem\n.", "os.system"},
		{"OBJ", proto2 + "(cos\nsystem\n" + str(command) + "o.", "os.system"},
		{"NEWOBJ", proto4 + stackGlobal("subprocess", "Popen") + str(command) + "\x85\x81.", "subprocess.Popen"},
		{"NEWOBJ_EX", proto4 + stackGlobal("subprocess", "Popen") + ")}\x92.", "subprocess.Popen"},
		{"OBJ of a known class", proto4 + "(" + stackGlobal("numpy", "ndarray") + "o.", "OBJ"},
		{"NEWOBJ_EX of a known class", proto4 + stackGlobal("numpy", "ndarray") + ")}\x92.", "NEWOBJ_EX"},
		{"EXT1", proto2 + "\x82\x01)R.", "EXT1"},
		{"EXT2", proto2 + "\x83\x01\x00)R.", "EXT2"},
		{"EXT4", proto2 + "\x84\x01\x00\x00\x00)R.", "EXT4"},
		{"PERSID", proto2 + "Pos\n.", "PERSID"},
		{"BINPERSID", proto2 + str("os") + "Q.", "BINPERSID"},
		{"NEXT_BUFFER", "\x80\x05\x97.", "NEXT_BUFFER"},
		{
			"REDUCE of a known class by a copyreg chain",
			proto4 + stackGlobal("copyreg", "_reconstructor") + stackGlobal("os", "system") + stackGlobal("builtins", "object") +
				"N\x87R.", "os.system",
		},
		{"BUILD with slot state on a dict", proto2 + "}N}\x86b.", "no instance"},
		{"BUILD with slot state", known + ")\x81N}\x86b.", "want a dict"},
		{"call of a called object", proto4 + stackGlobal("numpy", "ndarray") + ")R)R.", "numpy.ndarray is called"},
		{"_codecs.encode with another codec", encode + str("a") + str("rot13") + "\x86R.", "latin1"},

		{"FRAME of 2^40", proto4 + "\x95" + le64(1<<40), "a frame claims"},
		{"FRAME of 2^64-1", proto4 + "\x95" + le64(1<<64-1), "a frame claims"},
		{"FRAME in a FRAME", proto4 + "\x95" + le64(12) + "\x95" + le64(1) + "NN.", "inside another"},
		{"opcode across the end of a frame", proto4 + "\x95" + le64(2) + str("abc") + ".", "crosses the end"},
		{"BINUNICODE of 4 GB", proto2 + "X" + le32(0xffffffff) + "a.", "claims 4294967295 bytes"},
		{"BINUNICODE8 of 2^62", proto4 + "\x8d" + le64(1<<62) + "a.", "claims"},
		{"BINBYTES8 of 2^63", proto4 + "\x8e" + le64(1<<63) + "a.", "claims"},
		{"BYTEARRAY8 of 2^62", "\x80\x05\x96" + le64(1<<62) + "a.", "claims"},
		{"LONG4", proto2 + "\x8b" + le32(1<<31-1) + "a.", "LONG4"},
		{"LONG1 of 0", proto2 + "\x8a\x00.", "integer of 0 bytes"},
		{"LONG1 of 200", proto2 + "\x8a\xc8" + strings.Repeat("\x01", 200) + ".", "integer of 200 bytes"},
		{"opcode 0xff", proto2 + "\xff.", "no opcode"},
		{"many MARKs", proto2 + strings.Repeat("(", 1<<20), "inside one another"},
		{"odd SETITEMS", proto2 + "}(Nu.", "without a value"},
		{"SETITEMS without MARK", proto2 + "}u.", "never began"},
		{"APPEND to a tuple", proto2 + ")Na.", "no container"},
		{"ADDITEMS to a list", proto4 + "](N\x90.", "no container"},
		{"GET of an undefined slot", proto2 + "h\x07.", "before it is stored"},
		{"PUT far away", proto2 + "Nr" + le32(1<<31) + ".", "memo index"},
		{"PUT twice", proto2 + "Nq\x00q\x00.", "used twice"},
		{"PUT of nothing", proto2 + "q\x00.", "not there"},
		{"PUT below a MARK", proto2 + "N(q\x00.", "not there"},
		{"DUP", proto2 + "N2.", "DUP"},
		{"STOP inside a MARK", proto2 + "(N.", "unfinished"},
		{"STOP on an empty stack", proto2 + ".", "unfinished"},
		{"two values", proto2 + "NN.", "unfinished"},
		{"bytes behind STOP", proto2 + "N.cos\nsystem\n", "follow the end"},
		{"a second pickle", proto2 + "N." + proto2 + "N.", "follow the end"},
		{"protocol 0", "cos\nsystem\n(S'echo'\ntR.", "os.system"},
		{"protocol 0 by copy_reg", "ccopy_reg\n_reconstructor\n(cos\nsystem\nc__builtin__\nobject\nNtR.", "os.system"},
		{"protocol 0 INST", "(S'echo'\nios\nsystem\n.", "INST"},
		{"protocol 0 PERSID", "]Pos\na.", "PERSID"},
		{"protocol 0 long number", "L" + strings.Repeat("9", 1<<16) + "L\n.", "longer than"},
		{"protocol 0 odd text", "V\\u12\n.", "escape"},
		{"protocol 0 without end", "(lp0", "cut off"},
		{"protocol 6", "\x80\x06N.", "protocol 6"},
		{"PROTO twice", proto2 + proto2 + "N.", "nowhere else"},
		{"empty", "", "empty"},
		{"only PROTO", proto2, "cut off"},
		{"GLOBAL without end", proto2 + "cos\nsys", "cut off"},
		{"a long GLOBAL", proto2 + "c" + strings.Repeat("a", 1<<16) + "\nb\n.", "longer than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v, err := load([]byte(tt.data))
			if err == nil {
				t.Fatalf("loaded %v", v)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q: want %q in it", err, tt.want)
			}
			if len(err.Error()) > 1000 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
}

func load(data []byte) (any, error) {
	data, err := pickle.Unpack(data, estimator)
	if err != nil {
		return nil, err
	}
	return pickle.Load(data, estimator)
}

func TestNamesAllRefusedGlobalsAtOnce(t *testing.T) {
	data := proto4 + "(" + stackGlobal("os", "system") + stackGlobal("numpy", "ndarray") +
		stackGlobal("builtins", "eval") + stackGlobal("os", "system") +
		stackGlobal("sklearn.linear_model._base", "LinearRegression") + "t."
	_, err := load([]byte(data))
	var refused *pickle.RefusedError
	if !errors.As(err, &refused) {
		t.Fatalf("got %v", err)
	}
	if want := []string{"os.system", "builtins.eval"}; !slices.Equal(refused.Globals, want) {
		t.Errorf("got %q, want %q", refused.Globals, want)
	}
}

func TestNamesRefusedGlobalsOfBrokenFiles(t *testing.T) {
	_, err := load([]byte(proto4 + stackGlobal("os", "system") + str("x") + "\x85R"))
	if err == nil || !strings.Contains(err.Error(), "os.system") {
		t.Errorf("got %v", err)
	}
}

// joblibObjects is a joblib file of an array of objects, whose elements follow as the pickle inner.
func joblibObjects(inner string) string {
	return proto4 + stackGlobal("joblib.numpy_pickle", "NumpyArrayWrapper") + ")\x81}(" +
		str("subclass") + stackGlobal("numpy", "ndarray") + str("shape") + "K\x01\x85" + str("order") + str("C") +
		str("dtype") + stackGlobal("numpy", "dtype") + str("O8") + "\x85R" + "ub" + inner + "."
}

// TestRefusesAttacksWithinObjectArrays has pickles within the pickle, where joblib puts arrays of objects.
func TestRefusesAttacksWithinObjectArrays(t *testing.T) {
	deep := "N."
	for range 4 {
		deep = joblibObjects(deep)
	}
	for name, tt := range map[string]struct{ inner, want string }{
		"os.system":        {proto2 + "cos\nsystem\n" + str("x") + "\x85R.", "os.system"},
		"no array":         {proto2 + "N.", "want a numpy array"},
		"no pickle":        {"\xff\xff", "protocol"},
		"cut off":          {proto2 + "B" + le32(64), "claims 64 bytes"},
		"nested in itself": {deep, "nested more than"},
		"large FRAME":      {proto4 + "\x95" + le64(1<<50), "a frame claims"},
	} {
		v, err := load([]byte(joblibObjects(tt.inner)))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, %v: want %q in the error", name, v, err, tt.want)
		}
	}
}

// TestRefusesTheReadersOwnName has the global that the reader uses for large bytes.
func TestRefusesTheReadersOwnName(t *testing.T) {
	for _, data := range []string{proto2 + "c\x00large\nbytes\n.", proto4 + stackGlobal("\x00large", "bytes") + "."} {
		if v, err := load([]byte(data)); err == nil {
			t.Errorf("loaded %v", v)
		}
	}
}

func TestNamesUnsupportedCompression(t *testing.T) {
	if _, err := load([]byte("ZF0x")); err == nil || !strings.Contains(err.Error(), "joblib before 0.10") {
		t.Errorf("got %v", err)
	}
}

func TestRefusesDamagedCompression(t *testing.T) {
	for _, magic := range []string{"\xfd7zXZ\x00", "\x5d\x00\x00", "\x04\x22\x4d\x18", "\x1f\x8b", "BZh9", "\x78\x9c"} {
		for _, tail := range []string{"", "\x00", strings.Repeat("\xff", 40), strings.Repeat("\x00", 40)} {
			if v, err := load([]byte(magic + tail)); err == nil {
				t.Errorf("%q and %q: loaded %v", magic, tail, v)
			}
		}
	}
}
