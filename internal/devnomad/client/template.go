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

// renderTemplate writes a template block once: static text and {{ env "NAME" }}. With env = true its KEY=value lines
// join the task's environment.
func renderTemplate(t *api.Template, dir allocDir, task string, env *taskEnv) error {
	dest := env.expand(or(t.DestPath, ""))
	text, err := templateText(t, env)
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
	if or(t.Envvars, false) {
		return addEnvLines(text, env)
	}
	return nil
}

func templateText(t *api.Template, env *taskEnv) (string, error) {
	switch {
	case or(t.DestPath, "") == "":
		return "", errors.New("destination is missing")
	case or(t.SourcePath, "") != "":
		return "", fmt.Errorf("source is %w; put the text into data", errUnsupported)
	case firstOf(or(t.LeftDelim, ""), "{{") != "{{" || firstOf(or(t.RightDelim, ""), "}}") != "}}":
		return "", fmt.Errorf("another delimiter is %w; use {{ and }}", errUnsupported)
	}
	text := envCall.ReplaceAllStringFunc(or(t.EmbeddedTmpl, ""), func(call string) string {
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
