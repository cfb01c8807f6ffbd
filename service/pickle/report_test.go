package pickle_test

import (
	"testing"

	"github.com/weirhq/weir/service/pickle"
)

// TestInspectNames checks that every way to name a global is seen, and whether it is called.
func TestInspectNames(t *testing.T) {
	tests := []struct {
		name, data string
		called     bool
	}{
		{"GLOBAL", proto2 + "cos\nsystem\n.", false},
		{"GLOBAL REDUCE", proto2 + "cos\nsystem\n)R.", true},
		{"STACK_GLOBAL", proto4 + stackGlobal("os", "system") + ")R.", true},
		{"by memo", proto4 + "(" + str("os") + "\x94" + str("system") + "\x94th\x00h\x01\x93)R.", true},
		{"by POP and DUP", proto4 + str("os") + "2" + "0" + str("system") + "\x93)R.", true},
		{"by PUT", proto4 + str("system") + "q\x050" + str("os") + "h\x05\x93)R.", true},
		{"NEWOBJ", proto4 + stackGlobal("os", "system") + ")\x81.", false},
		{"NEWOBJ_EX", proto4 + stackGlobal("os", "system") + ")}\x92.", true},
		{"INST", proto2 + "(ios\nsystem\n.", true},
		{"OBJ", proto2 + "(cos\nsystem\no.", true},
		{"protocol 0", "cos\nsystem\n(tR.", true},
		{"behind a refused opcode", proto2 + "\x82\x010cos\nsystem\n)R.", true},
		{"behind a nested value", proto4 + "]N\x85a" + stackGlobal("os", "system") + ")R\x86.", true},
		{"in a second pickle", proto2 + "N." + proto2 + "cos\nsystem\n)R.", true},
		{"in a cut file", proto2 + "cos\nsystem\n)R", true},
	}
	for _, tt := range tests {
		r := pickle.Inspect([]byte(tt.data), estimator)
		found := false
		for _, u := range r.Uses {
			if u.String() == "os.system" {
				found = true
				if u.Called != tt.called || u.Allowed || u.Times != 1 {
					t.Errorf("%s: %+v: want called %t", tt.name, u, tt.called)
				}
			}
		}
		if !found || r.Err == nil {
			t.Errorf("%s: os.system is not seen: %+v", tt.name, r)
		}
	}
}

// FuzzInspect checks that no input makes the report panic or hang.
func FuzzInspect(f *testing.F) {
	for _, data := range []string{
		proto4 + "(" + str("os") + "\x94" + str("system") + "\x94th\x00h\x01\x93)R.", "(ios\nsystem\n.", proto2 + "(cos\nsystem\no.",
		proto4 + stackGlobal("os", "system") + ")}\x92.", proto2 + "N." + proto2 + "cos\nsystem\n)R.", proto4 + "(1(12000eust",
	} {
		f.Add([]byte(data))
	}
	f.Fuzz(func(_ *testing.T, data []byte) { pickle.Inspect(data, estimator) })
}
