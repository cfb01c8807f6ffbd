package pickle_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/weirhq/weir/service/pickle"
)

// FuzzLoad checks that no input makes the reader panic, hang or take memory without bound.
func FuzzLoad(f *testing.F) {
	paths, err := filepath.Glob("../testdata/sklearn-*/*.[pj]*l*")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		if len(b) < 4096 {
			f.Add(b)
		}
	}
	f.Add([]byte(proto4 + "\x95" + le64(1<<40)))
	f.Add([]byte(proto2 + "cos\nsystem\n" + str("x") + "\x85R."))
	f.Fuzz(func(_ *testing.T, data []byte) {
		data, err := pickle.Unpack(data)
		if err != nil {
			return
		}
		_, _ = pickle.Load(data, func(g pickle.Global) bool { return len(g.Name)%2 == 0 })
	})
}
