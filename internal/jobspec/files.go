package jobspec

import (
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

var errFileAccess = errors.New("functions on files are off here: the specification is read by a server, " +
	"not on the machine of its author")

// fileFunctions are the functions on paths and files. Without access each one fails when called. A relative path starts
// at the working directory, "~" at the home directory.
func fileFunctions(access bool) map[string]function.Function {
	guard := func(f func(string) (string, error)) function.Function {
		if !access {
			f = func(string) (string, error) { return "", errFileAccess }
		}
		return textFunc(f)
	}
	return map[string]function.Function{
		"abspath":    guard(filepath.Abs),
		"basename":   guard(pure(filepath.Base)),
		"dirname":    guard(pure(filepath.Dir)),
		"file":       guard(readFile),
		"filebase64": guard(readFileBase64),
		"fileexists": fileExists(access),
		"pathexpand": guard(expandHome),
	}
}

func readFile(path string) (string, error) {
	path, err := expandHome(path)
	if err != nil {
		return "", err
	}
	data, err := os.ReadFile(path)
	return string(data), err
}

func readFileBase64(path string) (string, error) {
	text, err := readFile(path)
	return base64.StdEncoding.EncodeToString([]byte(text)), err
}

func fileExists(access bool) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "path", Type: cty.String}},
		Type:   function.StaticReturnType(cty.Bool),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			if !access {
				return cty.UnknownVal(cty.Bool), errFileAccess
			}
			path, err := expandHome(args[0].AsString())
			if err != nil {
				return cty.UnknownVal(cty.Bool), err
			}
			info, err := os.Stat(path)
			return cty.BoolVal(err == nil && info.Mode().IsRegular()), nil
		},
	})
}

func expandHome(path string) (string, error) {
	rest, ok := strings.CutPrefix(path, "~")
	if !ok || rest != "" && !strings.HasPrefix(rest, "/") {
		return path, nil
	}
	home, err := os.UserHomeDir()
	return home + rest, err
}
