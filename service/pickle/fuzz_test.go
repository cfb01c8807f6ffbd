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
	f.Add([]byte(joblibObjects("cos\nsystem\n.")))
	f.Add([]byte("(lp0\nI1\naVx\np1\nag1\na."))
	f.Add([]byte("ccopy_reg\n_reconstructor\np0\n(csklearn.utils\nBunch\np1\nc__builtin__\ndict\np2\n(dp3\nVa\np4\nI1\nstp6\nRp7\n."))
	f.Add([]byte(proto2 + "cos\nsystem\n" + str("x") + "\x85R."))
	f.Fuzz(func(_ *testing.T, data []byte) {
		data, err := pickle.Unpack(data, estimator)
		if err != nil {
			return
		}
		_, _ = pickle.Load(data, func(g pickle.Global) bool { return len(g.Name)%2 == 0 })
	})
}

// FuzzUnpack checks that no compressed content makes a decoder panic, hang or take memory without bound.
func FuzzUnpack(f *testing.F) {
	for _, pattern := range []string{"../testdata/sklearn-*/*.joblib"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range paths {
			if b, err := os.ReadFile(path); err == nil && len(b) < 2048 {
				f.Add(b)
			}
		}
	}
	for _, open := range writers {
		f.Add([]byte(compressed(f, 1, open)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		out, err := pickle.Unpack(data, estimator)
		if err == nil && len(out) > 25<<20+32*len(data) {
			t.Errorf("%d bytes became %d", len(data), len(out))
		}
	})
}
