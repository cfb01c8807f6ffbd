// Package parts finds the real programs that Weir runs beside itself (Consul, consul-template, nginx, Nomad), builds
// the ones that can be built, and runs them as supervised children.
package parts

import "regexp"

// Part is a program that Weir needs and does not contain.
type Part struct {
	Name    string // also the name of the binary on PATH
	Version string // the pinned version, which is built where none is found; "" where any will do
	Env     string // the environment variable that names the binary and wins over everything

	module       string         // folder of the nested Go module that builds it; "" if Weir can't
	pkg          string         // its main package
	versionArgs  []string       // arguments that print the version
	versionLine  *regexp.Regexp // finds major, minor and patch in what they print
	oldest       version        // the oldest version that Weir works with
	closed       version        // the first version that is not open source; zero if there is none
	closedBefore string         // the last open version, for the message
	alsoAt       []string       // paths to try when PATH has none
	install      string         // what to do when it is nowhere
}

// The parts. This is the one place where their versions are pinned; the go.mod files in tools/ follow it.
var (
	Consul = Part{
		Name: "consul", Version: "1.14.11", Env: "WEIR_CONSUL",
		module: "tools/consul", pkg: "github.com/hashicorp/consul",
		versionArgs: []string{"version"}, versionLine: regexp.MustCompile(`Consul v(\d+)\.(\d+)\.(\d+)`),
		oldest: version{1, 14, 0}, closed: version{1, 16, 4}, closedBefore: "1.16.3",
	}
	ConsulTemplate = Part{
		Name: "consul-template", Version: "0.41.1", Env: "WEIR_CONSUL_TEMPLATE",
		module: "tools/consul-template", pkg: "github.com/hashicorp/consul-template",
		versionArgs: []string{"-version"}, versionLine: regexp.MustCompile(`consul-template v(\d+)\.(\d+)\.(\d+)`),
		oldest: version{0, 30, 0},
	}
	Nginx = Part{
		Name: "nginx", Env: "WEIR_NGINX",
		versionArgs: []string{"-v"}, versionLine: regexp.MustCompile(`nginx/(\d+)\.(\d+)\.(\d+)`),
		oldest: version{1, 18, 0}, alsoAt: []string{"/usr/sbin/nginx", "/usr/local/sbin/nginx"},
		install: "install it with: apt-get install nginx-light",
	}
	Nomad = Part{
		Name: "nomad", Env: "WEIR_NOMAD",
		versionArgs: []string{"version"}, versionLine: regexp.MustCompile(`Nomad v(\d+)\.(\d+)\.(\d+)`),
		oldest: version{1, 4, 0}, closed: version{1, 7, 0}, closedBefore: "1.6.5",
		install: "Weir's embedded agent stands in for it on one machine",
	}
)
