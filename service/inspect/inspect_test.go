package inspect_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/weirhq/weir/service/inspect"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"inference": func() { os.Exit(inspect.Run(os.Args[2:], os.Stdout, os.Stderr)) },
	})
}

const (
	proto2 = "\x80\x02"
	proto4 = "\x80\x04"
)

// str is SHORT_BINUNICODE, and global names a global with two of them.
func str(s string) string { return "\x8c" + string(rune(len(s))) + s }

func global(module, name string) string { return str(module) + str(name) + "\x93" }

// call calls a global with one text.
func call(module, name, arg string) string { return global(module, name) + str(arg) + "\x85R" }

// files are what the scripts inspect beside real models.
func files(good string) map[string]string {
	return map[string]string{
		"system.pkl": proto4 + call("os", "system", "id") + ".",
		"several.pkl": proto4 + "]" + call("posix", "system", "id") + "a" + call("weird.module", "run", "x") + "a" +
			global("sklearn.future", "NewModel") + ")\x81a.",
		"memo.pkl":     proto4 + "(" + str("nt") + "\x94" + str("system") + "\x94th\x00h\x01\x93" + str("id") + "\x85R\x86.",
		"computed.pkl": proto4 + "NN\x93)R.",
		"inst.pkl":     proto2 + "(" + str("id") + "ios\nsystem\n.",
		"text.pkl":     "cos\nsystem\n(S'id'\ntR.",
		"getlinc.pkl":  proto4 + call("numpy.f2py.crackfortran", "getlincoef", "1") + ".",
		"custom.pkl":   proto4 + global("__main__", "MyModel") + ")\x81}b.",
		"future.pkl":   proto4 + global("sklearn.future", "NewModel") + ")\x81}b.",
		"tail.pkl":     good + "\x00\x00",
		"second.pkl":   good + proto4 + call("os", "system", "id") + ".",
		"bomb.pkl":     proto4 + "\x95\x00\x00\x00\x00\x00\x01\x00\x00",
		"cut.pkl":      good[:len(good)/2],
		"empty.pkl":    "",
		"words.pkl":    "hello\n",
		"number.pkl":   proto4 + "K\x01.",
	}
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			good, err := os.ReadFile("../../test/testdata/iris-v1.0.0.pkl")
			if err != nil {
				return err
			}
			all := files(string(good))
			for name, path := range map[string]string{
				"pipeline.pkl": "../../test/testdata/iris-v1.0.0.pkl", "forest.pkl": "../../test/testdata/iris-v1.1.0.pkl",
				"names.pkl":     "../testdata/sklearn-1.2.1/pipeline-names.pkl",
				"packed.joblib": "../testdata/sklearn-1.2.1/logistic-object.zlib.joblib",
			} {
				b, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				all[name] = string(b)
			}
			for name, content := range all {
				if err := os.WriteFile(filepath.Join(env.WorkDir, name), []byte(content), 0o600); err != nil {
					return err
				}
			}
			return nil
		},
		UpdateScripts: os.Getenv("UPDATE") != "",
	})
}

// TestWholeModels inspects every plain fixture: no finding, nothing refused.
func TestWholeModels(t *testing.T) {
	paths, err := filepath.Glob("../testdata/sklearn-*/*.pkl")
	if err != nil || len(paths) == 0 {
		t.Fatal("no fixtures", err)
	}
	more, err := filepath.Glob("../testdata/sklearn-*/*.joblib")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(paths, more...) {
		var out, errs strings.Builder
		if code := inspect.Run([]string{path}, &out, &errs); code != inspect.ExitServes || errs.Len() > 0 {
			t.Errorf("%s: exit code %d\n%s%s", path, code, out.String(), errs.String())
		}
	}
}
