package client

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/hashicorp/nomad/api"
)

// envCall is the one template function of the embedded agent: {{ env "NAME" }}.
var envCall = regexp.MustCompile("{{-?\\s*env\\s+[\"`]([A-Za-z_][A-Za-z0-9_]*)[\"`]\\s*-?}}")

// renderTemplate writes a template block once, before the task starts: static text and {{ env "NAME" }}. With env = true
// its KEY=value lines join the task's environment. Nomad renders with the consul-template library, which would bring 31
// more modules, Vault's client among them: what watches Consul, Vault or Nomad is refused by name instead. So nothing is
// rendered anew while the task runs, and every change_mode means the same.
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
	switch {
	case or(t.DestPath, "") == "":
		return "", errors.New("destination is missing")
	case firstOf(or(t.LeftDelim, ""), "{{") != "{{" || firstOf(or(t.RightDelim, ""), "}}") != "}}":
		return "", fmt.Errorf("another delimiter is %w; use {{ and }}", errUnsupported)
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
	text := envCall.ReplaceAllStringFunc(data, func(call string) string {
		value, _ := env.lookup(envCall.FindStringSubmatch(call)[1])
		return strings.ReplaceAll(value, "{{", "{{\x00") // a value is text, not a template
	})
	if at := strings.Index(strings.ReplaceAll(text, "{{\x00", ""), "{{"); at >= 0 {
		return "", fmt.Errorf("a template of more than text and {{ env \"NAME\" }} is %w; use a real Nomad", errUnsupported)
	}
	return strings.ReplaceAll(text, "{{\x00", "{{"), nil
}

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
