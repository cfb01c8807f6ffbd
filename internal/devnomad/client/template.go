package client

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"text/template"

	"github.com/hashicorp/nomad/api"
)

// renderTemplate writes a template block once, before the task starts. It is a template of Go's language, as Nomad's are,
// with the function env beside Go's own. With env = true its KEY=value lines join the task's environment. Nomad renders
// with the consul-template library, which would bring 31 more modules, Vault's client among them: its other functions,
// which watch Consul, Vault or Nomad, are refused by name. So nothing is rendered anew while the task runs, and every
// change_mode means the same.
func renderTemplate(t *api.Template, dir allocDir, task string, env *taskEnv) error {
	dest := env.expand(or(t.DestPath, ""))
	text, err := templateText(t, dir, task, env)
	if err != nil {
		return fmt.Errorf("render template %q: %w", dest, err)
	}
	path, err := dir.inTask(task, dest)
	if err != nil {
		return fmt.Errorf("render template: %w", err)
	}
	perms, err := strconv.ParseUint(firstOf(or(t.Perms, ""), "0644"), 8, 32)
	if err != nil {
		return fmt.Errorf("render template %q: read perms: %w", dest, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("render template %q: %w", dest, err)
	}
	if err := os.WriteFile(path, []byte(text), os.FileMode(perms)); err != nil {
		return fmt.Errorf("render template %q: %w", dest, err)
	}
	return addTemplateEnv(t, dir, task, env)
}

// addTemplateEnv adds the lines of a rendered template with env = true to the environment.
func addTemplateEnv(t *api.Template, dir allocDir, task string, env *taskEnv) error {
	if !or(t.Envvars, false) {
		return nil
	}
	path, err := dir.inTask(task, env.expand(or(t.DestPath, "")))
	if err != nil {
		return err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the environment of a template: %w", err)
	}
	return addEnvLines(string(text), env)
}

func templateText(t *api.Template, dir allocDir, task string, env *taskEnv) (string, error) {
	if or(t.DestPath, "") == "" {
		return "", errors.New("destination is missing")
	}
	data := or(t.EmbeddedTmpl, "")
	if source := env.expand(or(t.SourcePath, "")); source != "" {
		path, err := dir.inTask(task, source)
		if err != nil {
			return "", err
		}
		read, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		data = string(read)
	}
	lookup := func(name string) string { value, _ := env.lookup(name); return value }
	parsed, err := template.New("template").Delims(or(t.LeftDelim, ""), or(t.RightDelim, "")).
		Funcs(template.FuncMap{"env": lookup}).Parse(data)
	if call := unknownFunction.FindStringSubmatch(fmt.Sprint(err)); call != nil {
		return "", fmt.Errorf("the function %q of templates is %w, which has env only; use a real Nomad", call[1], errUnsupported)
	}
	if err != nil {
		return "", err
	}
	if or(t.ErrMissingKey, false) {
		parsed.Option("missingkey=error")
	}
	var text strings.Builder
	err = parsed.Execute(&text, nil)
	return text.String(), err
}

var unknownFunction = regexp.MustCompile(`function "(\w+)" not defined`)

// addEnvLines reads KEY=value lines, with blank lines, # comments and values in double quotes.
func addEnvLines(text string, env *taskEnv) error {
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, value, found := strings.Cut(strings.TrimPrefix(line, "export "), "=")
		if !found {
			return fmt.Errorf("read the environment of a template: line %d is not KEY=value: %q", n+1, line)
		}
		if unquoted, err := strconv.Unquote(value); err == nil {
			value = unquoted
		}
		env.own[strings.TrimSpace(key)] = value
	}
	return nil
}
