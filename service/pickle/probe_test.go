package pickle_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/weirhq/weir/service/pickle"
)

// TestProbesWhatItLoads probes every model file that lies open: what loads must pass, to its last byte, however little
// of it comes at a time.
func TestProbesWhatItLoads(t *testing.T) {
	paths, err := filepath.Glob("../testdata/*-*/*.[pj]*l*")
	if err != nil {
		t.Fatal(err)
	}
	each := func(pickle.Global) bool { return true }
	probed := 0
	for _, path := range paths {
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		data, err := pickle.Unpack(file, each)
		if err != nil || len(data) == 0 || data[0] != 0x80 {
			continue // not a pickle of protocol 2 or above
		}
		if _, err := pickle.Load(data, each); err != nil {
			continue
		}
		probed++
		size, err := pickle.Probe(iotest.HalfReader(bytes.NewReader(data)), len(file), each)
		if err != nil || size != len(data) {
			t.Errorf("%s: %d of %d bytes, %v", path, size, len(data), err)
		}
		if _, err := pickle.Probe(bytes.NewReader(data[:len(data)-1]), len(file), each); err == nil {
			t.Errorf("%s: passes without its last byte", path)
		}
		if _, err := pickle.Probe(bytes.NewReader(append(slices.Clip(data), 0)), len(file), each); err == nil {
			t.Errorf("%s: passes with a byte more", path)
		}
	}
	if probed < 20 {
		t.Errorf("%d files are probed: want 20 at least", probed)
	}
}

// FuzzProbe checks that what loads passes, and that nothing makes a probe panic or hang.
func FuzzProbe(f *testing.F) {
	for _, name := range []string{"sklearn-1.2.1/logistic-object.plain.joblib", "sklearn-1.2.1/forest-regressor.plain.joblib"} {
		data, err := os.ReadFile("../testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(nodesOfZeros(8192)))
	f.Add([]byte(proto4 + "\x8e" + le64(5000) + strings.Repeat("a", 5000) + "."))
	f.Fuzz(func(t *testing.T, data []byte) {
		size, err := pickle.Probe(bytes.NewReader(data), len(data), sklearn)
		if len(data) == 0 || data[0] != 0x80 {
			return
		}
		_, refused := pickle.Load(data, sklearn)
		if refused == nil && (err != nil || size != len(data)) && !strings.Contains(err.Error(), "of a tree has the children") {
			t.Errorf("it loads, but as a probe: %d of %d bytes, %v", size, len(data), err)
		}
	})
}
