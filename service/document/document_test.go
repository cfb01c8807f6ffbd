package document_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/weirhq/weir/service/document"
)

func anything(int) error { return nil }

// ubj writes a length in front of a text, as UBJSON has it.
func ubj(s string) string { return "L\x00\x00\x00\x00\x00\x00\x00" + string([]byte{byte(len(s))}) + s }

func TestReadsBothFormats(t *testing.T) {
	for name, data := range map[string]string{
		"JSON": ` {"a": {"b": "text é\n"}, "n": [1, -2.5E1, true], "none": null, "mixed": [1, "x"], "empty": [], "b":
			false, "f": 3}` + "\n",
		"UBJSON": "{" + ubj("a") + "{" + ubj("b") + "S" + ubj("text é\n") + "}" +
			ubj("n") + "[i\x01d\xc1\xc8\x00\x00T]" +
			ubj("none") + "Z" + ubj("mixed") + "[#L\x00\x00\x00\x00\x00\x00\x00\x02U\x01S" + ubj("x") + ubj("empty") + "[]" +
			ubj("b") + "F" + ubj("f") + "D\x40\x08\x00\x00\x00\x00\x00\x00}",
	} {
		t.Run(name, func(t *testing.T) {
			o, err := document.Read([]byte(strings.TrimPrefix(data, " ")), anything)
			if err != nil {
				t.Fatal(err)
			}
			if a, err := o.Inner("a"); err != nil || a.Text("b") != "text é\n" {
				t.Errorf("a.b: got %q, %v", a.Text("b"), err)
			}
			n, err := o.Numbers("n", 3)
			if err != nil || n.Float(0) != 1 || n.Int(1) != -25 || n.Float(2) != 1 {
				t.Errorf("n: got %v, %v", n, err)
			}
			if o.Get("none") != nil || o.Get("b") != false || o.Get("f") != 3.0 || len(o.Get("mixed").([]any)) != 2 {
				t.Errorf("got %v", o)
			}
			if e, err := o.Numbers("empty", 0); err != nil {
				t.Errorf("empty: got %v, %v", e, err)
			}
			if _, err := o.Numbers("n", 2); err == nil {
				t.Error("n has 3 numbers, but 2 are fine")
			}
			if _, err := o.Inner("a", "c"); err == nil {
				t.Error("a.c is not there, but found")
			}
		})
	}
}

func TestReadsTypedLists(t *testing.T) {
	for kind, bytes := range map[string]string{
		"i": "\xff", "I": "\xff\xff", "l": "\xff\xff\xff\xff", "L": strings.Repeat("\xff", 8), "d": "\xbf\x80\x00\x00",
		"D": "\xbf\xf0\x00\x00\x00\x00\x00\x00",
	} {
		o, err := document.Read([]byte("{"+ubj("x")+"[$"+kind+"#L\x00\x00\x00\x00\x00\x00\x00\x02"+bytes+bytes+"}"), anything)
		if err != nil {
			t.Fatal(kind, err)
		}
		if n, err := o.Numbers("x", 2); err != nil || n.Int(1) != -1 {
			t.Errorf("type %s: got %v, %v", kind, n, err)
		}
	}
}

func TestRefusesDamage(t *testing.T) {
	for name, data := range map[string]string{
		"nothing":             "",
		"no object":           "[]",
		"cut off":             "{" + ubj("a"),
		"long text":           "{" + ubj("a") + "SL\x00\x00\x00\x00\x00\x00\x01\x00x}",
		"negative length":     "{" + ubj("a") + "SL\xff\xff\xff\xff\xff\xff\xff\xffx}",
		"long list":           "{" + ubj("a") + "[#L\x00\x00\x00\x00\x00\x00\x01\x00Z}",
		"long typed list":     "{" + ubj("a") + "[$D#L\x20\x00\x00\x00\x00\x00\x00\x01xxxxxxxx}",
		"list of no type":     "{" + ubj("a") + "[$x#L\x00\x00\x00\x00\x00\x00\x00\x00}",
		"typed list, no size": "{" + ubj("a") + "[$d]}",
		"unknown type":        "{" + ubj("a") + "x}",
		"more behind":         "{}x",
		"deep":                strings.Repeat("{"+ubj("a"), 40) + "Z" + strings.Repeat("}", 40),
		"deep JSON":           strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40),
		"deep lists":          `{"a":` + strings.Repeat("[", 100_000),
		"JSON cut off":        `{"a":1`,
		"JSON text cut off":   `{"a`,
		"JSON escape cut off": `{"a\`,
		"JSON no colon":       `{"a" 1}`,
		"JSON no comma":       `{"a":1 "b":2}`,
		"JSON list no comma":  `{"a":[1 2]}`,
		"JSON no name":        `{1:2}`,
		"JSON bad word":       `{"a":nope}`,
		"JSON more behind":    `{"a":1} x`,
		"JSON bad escape":     `{"a":"\q"}`,
	} {
		if o, err := document.Read([]byte(data), anything); err == nil {
			t.Errorf("%s: want an error, not %v", name, o)
		}
	}
}

var errSpent = errors.New("spent")

// FuzzRead checks that no document makes the reader panic, or hold much more memory than it asked for.
func FuzzRead(f *testing.F) {
	f.Add([]byte("{" + ubj("a") + "[i\x01d\xc1\xc8\x00\x00T]" + ubj("b") + "{}}"))
	f.Add([]byte("{" + ubj("a") + "[$l#L\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x01}"))
	f.Add([]byte(`{"a": [1, -2.5E1, true, null], "b": {"c": "x\u00e9"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		left := 1 << 20
		o, err := document.Read(data, func(n int) error {
			if left -= n; left < 0 {
				return errSpent
			}
			return nil
		})
		if err != nil {
			return
		}
		for _, name := range []string{"a", "b"} {
			if n, err := o.Numbers(name, -1); err == nil {
				for i := range n.Len() {
					_, _ = n.Int(i), n.Float(i)
				}
			}
		}
	})
}
