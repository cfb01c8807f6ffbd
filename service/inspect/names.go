package inspect

import (
	"slices"
	"strings"
	"unicode"

	"github.com/weirhq/weir/service/pickle"
)

// libraries are those whose classes are in model files without harm.
var libraries = []string{
	"sklearn", "numpy", "scipy", "joblib", "pandas", "xgboost", "lightgbm", "catboost", "imblearn", "category_encoders",
	"torch", "tensorflow", "keras", "statsmodels", "feature_engine", "sklearn_pandas", "skorch", "polars", "pyarrow",
}

// systems are modules of Python whose names reach the system or run code. A name that is called is suspicious anyway,
// whatever its module; these are also when they are only named.
var systems = []string{
	"os", "posix", "nt", "sys", "subprocess", "builtins", "__builtin__", "importlib", "runpy", "shutil", "socket", "pty",
	"ctypes", "pickle", "_pickle", "cPickle", "marshal", "code", "codeop", "types", "operator", "_operator", "functools",
	"commands", "platform", "webbrowser", "multiprocessing", "threading", "asyncio", "http", "urllib", "requests",
	"smtplib",
	"ftplib", "pathlib", "tempfile", "io", "_io", "inspect", "pdb", "bdb", "timeit", "cProfile", "profile", "trace", "pip",
	"setuptools", "distutils", "pydoc", "doctest", "zipimport", "pkgutil", "signal", "resource", "gc", "weakref", "site",
}

// refuse notes a name that this server doesn't load, and why.
func (r *report) refuse(u pickle.Use) {
	n := name{Name: u.String(), At: u.At, Times: u.Times, Called: u.Called}
	switch library := isOf(u.Module, libraries); {
	case u.Module == "?":
		n.Why, n.system = "the file computes this name, to hide it", true
	case isOf(u.Module, systems):
		n.Why, n.system = "it reaches the system or runs code", true
	case strings.Contains(u.Name, "."):
		n.Why, n.system = "it reaches for something inside a class or module", true
	case library && u.Called && !remakes(u.Name):
		n.Why, n.system = "Python would call it while it loads the file, and it is no class", true
	case library:
		n.Why = "it is a class or function that this server can't evaluate"
	case u.Called:
		n.Why, n.system = "Python would call it while it loads the file", true
	case u.Module == "__main__":
		n.Why = "it is code from the training script: put a class of scikit-learn in its place"
	default:
		n.Why = "it is code that is not in the file: put a class of scikit-learn in its place"
	}
	r.Suspicious = r.Suspicious || n.system
	r.Refused = append(r.Refused, n)
}

// remakes reports whether a library's name is that of a class, or of a function by which a class is unpickled.
func remakes(name string) bool {
	bare := strings.TrimLeft(name, "_")
	if bare == "" || unicode.IsUpper(rune(bare[0])) {
		return bare != ""
	}
	for _, part := range []string{"unpickle", "reconstruct", "rebuild", "ctor", "newObj"} {
		if strings.Contains(bare, part) {
			return true
		}
	}
	return false
}

// isOf reports whether a dotted name is in one of the modules.
func isOf(dotted string, modules []string) bool {
	first, _, _ := strings.Cut(dotted, ".")
	return slices.Contains(modules, first)
}
