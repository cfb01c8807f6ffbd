package devnomad

import (
	"maps"
	"reflect"

	"github.com/hashicorp/nomad/api"
)

// needsReplacement reports whether a group's allocations must be replaced to get from one version of a job to another.
// Count, update, reschedule and restart policies, services, kill timeouts and the like are taken over in place.
func needsReplacement(from, to *api.Job, group string) bool {
	a, b := lookupGroup(from, group), lookupGroup(to, group)
	if a == nil || b == nil || len(a.Tasks) != len(b.Tasks) {
		return true
	}
	if !same(a.EphemeralDisk, b.EphemeralDisk) || !same(portsOf(a.Networks), portsOf(b.Networks)) ||
		!same(a.Affinities, b.Affinities) || !same(from.Affinities, to.Affinities) ||
		!same(a.Spreads, b.Spreads) || !same(from.Spreads, to.Spreads) || !same(a.Volumes, b.Volumes) {
		return true
	}
	tasks := map[string]*api.Task{}
	for _, t := range b.Tasks {
		tasks[t.Name] = t
	}
	for _, t := range a.Tasks {
		other := tasks[t.Name]
		if other == nil || !same(processOf(from, a, t), processOf(to, b, other)) {
			return true
		}
	}
	return false
}

// process is what of a task cannot change while it runs.
type process struct {
	Driver, User string
	Config       map[string]any
	Env, Meta    map[string]string
	Artifacts    []*api.TaskArtifact
	Vault        *api.Vault
	Templates    []*api.Template
	Mounts       []*api.VolumeMount
	Resources    *api.Resources
	LogDisabled  bool
}

func processOf(job *api.Job, group *api.TaskGroup, t *api.Task) process {
	p := process{
		Driver: t.Driver, User: t.User, Config: t.Config, Env: t.Env, Meta: combinedMeta(job, group, t),
		Artifacts: t.Artifacts, Vault: t.Vault, Templates: t.Templates, Mounts: t.VolumeMounts, Resources: t.Resources,
	}
	if t.LogConfig != nil {
		p.LogDisabled = val(t.LogConfig.Disabled)
	}
	return p
}

// combinedMeta is the meta that a task sees: the job's, the group's over it, its own over both.
func combinedMeta(job *api.Job, group *api.TaskGroup, t *api.Task) map[string]string {
	meta := maps.Clone(job.Meta)
	if meta == nil {
		meta = map[string]string{}
	}
	maps.Copy(meta, group.Meta)
	maps.Copy(meta, t.Meta)
	return meta
}

// networkShape is what of a network matters: where its ports are does not.
type networkShape struct {
	Mode, Hostname string
	DNS            *api.DNSConfig
	Reserved       []api.Port
	Dynamic        []api.Port
}

func portsOf(networks []*api.NetworkResource) []networkShape {
	var out []networkShape
	for _, n := range networks {
		out = append(out, networkShape{n.Mode, n.Hostname, n.DNS, n.ReservedPorts, n.DynamicPorts})
	}
	return out
}

// same compares two values; nil and empty count as equal, as after a trip through JSON.
func same(a, b any) bool {
	return reflect.DeepEqual(normal(a), normal(b))
}
