package pickle_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/weirhq/weir/service/pickle"
)

func sklearn(g pickle.Global) bool { return strings.HasPrefix(g.Module, "sklearn.") }

// TestGuardsPicklesWithinJoblibFiles puts a call into the pickle that joblib writes for an object array.
func TestGuardsPicklesWithinJoblibFiles(t *testing.T) {
	data, err := os.ReadFile("../testdata/sklearn-1.2.1/logistic-object.plain.joblib")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pickle.Load(data, sklearn); err != nil {
		t.Fatal(err)
	}
	inner := []byte("\x80\x02cnumpy.core.multiarray\n_reconstruct\n")
	if bytes.Count(data, inner) != 1 {
		t.Fatal("the fixture has no inner pickle")
	}
	for change, want := range map[string]string{
		"\x80\x02cos\nsystem\n":                               "os.system",
		"\x80\x02ios\nsystem\n":                               "os.system",
		"\x80\x02h\x00cnumpy.core.multiarray\n_reconstruct\n": "before it is stored", // the memo is its own
		"\x80\x02N.cnumpy.core.multiarray\n_reconstruct\n":    "want a numpy array",
	} {
		_, err := pickle.Load(bytes.Replace(data, inner, []byte(change), 1), sklearn)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q in it", change, err, want)
		}
	}
}

// TestRefusesJoblibArraysBeyondTheFile changes the shape of an array whose content follows outside of the pickle.
func TestRefusesJoblibArraysBeyondTheFile(t *testing.T) {
	data, err := os.ReadFile("../testdata/sklearn-1.2.1/forest-regressor.plain.joblib")
	if err != nil {
		t.Fatal(err)
	}
	shape := []byte("shape\x94K")
	i := bytes.Index(data, shape)
	if i < 0 {
		t.Fatal("the fixture has no array")
	}
	changed := bytes.Clone(data)
	changed[i+len(shape)] = 255 // elements
	if _, err := pickle.Load(changed, sklearn); err == nil {
		t.Error("loaded with the wrong shape")
	}
	if _, err := pickle.Load(data[:len(data)/3], sklearn); err == nil || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("a third of the file: %v", err)
	}
}
