package devnomad

import (
	"fmt"
	"slices"

	"github.com/hashicorp/nomad/api"
)

// unsupported lists, by name, the blocks of a job that the agent would have to ignore: it refuses the job instead.
func unsupported(job *api.Job) []string {
	var out []string
	refuse := func(present bool, where, what string) {
		if present {
			out = append(out, fmt.Sprintf("%s has %s, which the embedded agent has not; remove that, or use a Nomad cluster", where, what))
		}
	}
	refuse(job.Multiregion != nil, fmt.Sprintf("job %q", val(job.ID)), "a multiregion block")
	for _, g := range job.TaskGroups {
		group := fmt.Sprintf("group %q", val(g.Name))
		refuse(len(g.Volumes) > 0, group, "a volume block")
		refuse(g.Scaling != nil, group, "a scaling block")
		refuse(g.StopAfterClientDisconnect != nil, group, "stop_after_client_disconnect") //nolint:staticcheck // 1.6 has it
		refuse(g.MaxClientDisconnect != nil, group, "max_client_disconnect")              //nolint:staticcheck // 1.6 has it
		for _, n := range g.Networks {
			refuse(n.Mode != "" && n.Mode != "host", group, fmt.Sprintf("a network of mode %q", n.Mode))
			refuse(n.DNS != nil, group, "a dns block")
		}
		for _, t := range g.Tasks {
			task := fmt.Sprintf("task %q", t.Name)
			refuse(t.Lifecycle != nil, task, "a lifecycle block")
			refuse(t.Vault != nil, task, "a vault block")
			refuse(t.CSIPluginConfig != nil, task, "a csi_plugin block")
			refuse(t.DispatchPayload != nil, task, "a dispatch_payload block")
			refuse(len(t.VolumeMounts) > 0, task, "a volume_mount block")
			refuse(len(t.ScalingPolicies) > 0, task, "a scaling block")
			refuse(t.Resources != nil && len(t.Resources.Devices) > 0, task, "a device block")
			refuse(t.Resources != nil && len(t.Resources.Networks) > 0, task, "a network block in its resources")
			refuse(slices.ContainsFunc(t.Templates, func(m *api.Template) bool { return m.Wait != nil }), task, "a wait block in a template")
		}
	}
	return out
}
