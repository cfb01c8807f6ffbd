// Package consultemplate holds what consul-template stages for the ingress: the weights and the endpoints, as JSON.
package consultemplate

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"text/template"
)

// The files that consul-template stages, each replaced as a whole.
const (
	Weights   = "weights.json"   // the keys under weir/traffic/, see weights.json.ctmpl
	Endpoints = "endpoints.json" // the passing instances, see endpoints.json.ctmpl
)

var (
	//go:embed weights.json.ctmpl
	weightsText []byte
	//go:embed endpoints.json.ctmpl
	endpointsText []byte
	//go:embed consul-template.hcl.tmpl
	configText string

	configTemplate = template.Must(
		template.New("consul-template.hcl").Funcs(template.FuncMap{"quote": quote}).Parse(configText))
)

var templates = []struct {
	name string
	text []byte
}{{Weights, weightsText}, {Endpoints, endpointsText}}

type templateView struct{ Source, Destination string }

// Write writes the templates and a configuration that uses them into dir and returns the configuration's path.
// consul-template with it reads Consul at consulAddr (host:port) and stages its files in staged.
func Write(dir, staged, consulAddr string) (string, error) {
	for _, d := range []string{dir, staged} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return "", fmt.Errorf("make a folder for consul-template: %w", err)
		}
	}
	view := struct {
		ConsulAddr string
		Templates  []templateView
	}{ConsulAddr: consulAddr}
	for _, t := range templates {
		source := filepath.Join(dir, t.name+".ctmpl")
		if err := os.WriteFile(source, t.text, 0o644); err != nil {
			return "", fmt.Errorf("write consul-template's template: %w", err)
		}
		view.Templates = append(view.Templates, templateView{source, filepath.Join(staged, t.name)})
	}
	var out bytes.Buffer
	if err := configTemplate.Execute(&out, view); err != nil {
		return "", fmt.Errorf("render consul-template's configuration: %w", err)
	}
	path := filepath.Join(dir, "consul-template.hcl")
	if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
		return "", fmt.Errorf("write consul-template's configuration: %w", err)
	}
	return path, nil
}

// quote writes an HCL string. strconv's escapes are HCL's, but for "${", which consul-template does not interpolate.
func quote(text string) string { return strconv.Quote(text) }
