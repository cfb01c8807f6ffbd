package cli

import (
	"cmp"
	"os"

	"github.com/spf13/pflag"

	"github.com/weirhq/weir/deployer/nomad"
	"github.com/weirhq/weir/deployer/rollout"
)

// place is where the commands look: given by flags, else by the environment, else by rollout.hcl, else wherever the agents
// are at home.
type place struct{ namespace, region, datacenter string }

func (p *place) register(f *pflag.FlagSet) {
	f.StringVar(&p.namespace, "namespace", "", "Nomad's namespace (default: NOMAD_NAMESPACE)")
	f.StringVar(&p.region, "region", "", "Nomad's region (default: NOMAD_REGION)")
	f.StringVar(&p.datacenter, "consul-dc", "", "Consul's datacenter (default: CONSUL_DATACENTER)")
}

// settle decides between flags, environment and spec, and has the spec and all further calls name the same.
func (p *place) settle(s *rollout.Spec) {
	p.namespace = cmp.Or(p.namespace, os.Getenv("NOMAD_NAMESPACE"), s.Namespace)
	p.region = cmp.Or(p.region, os.Getenv("NOMAD_REGION"), s.Region)
	p.datacenter = cmp.Or(p.datacenter, os.Getenv("CONSUL_DATACENTER"), s.Datacenter)
	s.Namespace, s.Region, s.Datacenter = p.namespace, p.region, p.datacenter
}

func (p *place) nomad() nomad.Place { return nomad.Place{Namespace: p.namespace, Region: p.region} }

func (p *place) consul() string { return cmp.Or(p.datacenter, os.Getenv("CONSUL_DATACENTER")) }
