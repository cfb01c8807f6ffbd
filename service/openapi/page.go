package openapi

import (
	"crypto/sha256"
	_ "embed" // of the page
	"encoding/base64"
	"strings"
)

var (
	//go:embed page.html
	frame string
	//go:embed page.css
	style string
	//go:embed page.js
	script string
)

// Page is a page to try a model with. It reads the document and asks /predict, both beside it, and nothing else.
var Page = []byte(strings.NewReplacer("{{STYLE}}", style, "{{SCRIPT}}", script).Replace(frame))

// Policy is the Content-Security-Policy under which Page works: its own style and script, and requests to its server.
var Policy = "default-src 'none'; style-src " + hash(style) + "; script-src " + hash(script) +
	"; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func hash(content string) string {
	sum := sha256.Sum256([]byte(content))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
