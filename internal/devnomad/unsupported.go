package devnomad

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"
)

// honoured are the fields of a job that the agent acts on, by type. Whatever else is set is refused by name, so that
// nothing in a job is ever ignored, and nothing that a newer API adds.
var honoured = map[reflect.Type][]string{
	reflect.TypeFor[api.Job](): fields("ID Name Namespace Type Priority Datacenters NodePool Constraints Affinities Spreads " +
		"TaskGroups Update Reschedule Migrate Meta Stop Status StatusDescription Stable Version SubmitTime CreateIndex " +
		"ModifyIndex JobModifyIndex"),
	reflect.TypeFor[api.TaskGroup](): fields("Name Count Constraints Affinities Spreads Tasks RestartPolicy ReschedulePolicy " +
		"EphemeralDisk Update Migrate Networks Meta Services ShutdownDelay"),
	reflect.TypeFor[api.Task](): fields("Name Driver User Config Constraints Affinities Env Services Resources RestartPolicy " +
		"Meta KillTimeout LogConfig Artifacts Templates Leader ShutdownDelay KillSignal"),
	reflect.TypeFor[api.Resources]():       fields("CPU MemoryMB MemoryMaxMB"),
	reflect.TypeFor[api.EphemeralDisk]():   fields("SizeMB Sticky"),
	reflect.TypeFor[api.NetworkResource](): fields("DynamicPorts ReservedPorts"),
	reflect.TypeFor[api.Port]():            fields("Label Value To"),
	reflect.TypeFor[api.Service](): fields("Name Tags CanaryTags EnableTagOverride PortLabel Address Checks CheckRestart Meta " +
		"CanaryMeta TaskName OnUpdate Weights Provider"),
	reflect.TypeFor[api.ServiceCheck](): fields("Name Type Command Args Path Protocol PortLabel Interval Timeout InitialStatus " +
		"Notes TLSServerName TLSSkipVerify Header Method CheckRestart TaskName SuccessBeforePassing FailuresBeforeCritical " +
		"Body OnUpdate"),
	reflect.TypeFor[api.TaskArtifact](): fields("GetterSource GetterOptions GetterHeaders GetterMode RelativeDest"),
	// Nothing is rendered anew, so that what a change would do does not matter.
	reflect.TypeFor[api.Template](): fields("SourcePath DestPath EmbeddedTmpl ChangeMode ChangeScript ChangeSignal Once Splay " +
		"Perms LeftDelim RightDelim Envvars ErrMissingKey"),
	reflect.TypeFor[api.RestartPolicy](): fields("Interval Attempts Delay Mode"),
	reflect.TypeFor[api.LogConfig]():     fields("MaxFiles MaxFileSizeMB Enabled Disabled"),
	reflect.TypeFor[api.UpdateStrategy](): fields("Stagger MaxParallel HealthCheck MinHealthyTime HealthyDeadline " +
		"ProgressDeadline Canary AutoRevert AutoPromote"),
}

// ordinary are texts that say no more than leaving a field out.
var ordinary = map[string][]string{
	"Region": {"global"}, "Mode": {"host"}, "HostNetwork": {"default"}, "Cluster": {"default"}, "AddressMode": {"auto", "host"},
}

func fields(names string) []string { return strings.Fields(names) }

// unsupported lists what a job has and the agent has not.
func unsupported(job *api.Job) []string {
	var out refusals
	out.look(reflect.ValueOf(job), "", "")
	for _, g := range job.TaskGroups {
		if isSystem(job) && g.Update != nil {
			out.refuse(fmt.Sprintf("group %q", val(g.Name)), "update in a system job")
		}
	}
	return out
}

type refusals []string

func (r *refusals) refuse(where, what string) {
	*r = append(*r, fmt.Sprintf("%s has %s, which the embedded agent has not; remove that, or use a Nomad cluster", where, what))
}

// look refuses what is set in a value and not honoured. where is the part of the job that has a name, path the blocks
// from there.
func (r *refusals) look(v reflect.Value, where, path string) {
	v = reflect.Indirect(v)
	if v.Kind() == reflect.Slice {
		for i := range v.Len() {
			r.look(v.Index(i), where, path)
		}
		return
	}
	if v.Kind() != reflect.Struct || honoured[v.Type()] == nil {
		return
	}
	if kind, named := kinds[v.Type()]; named {
		where, path = fmt.Sprintf("%s %q", kind, reflect.Indirect(v.FieldByName(nameField(v.Type()))).String()), ""
	}
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name := path + hclName(field)
		switch {
		case isUnset(v.Field(i), field.Name):
		case slices.Contains(honoured[v.Type()], field.Name):
			r.look(v.Field(i), where, name+".")
		default:
			r.refuse(where, name)
		}
	}
}

// kinds are the parts of a job that messages name.
var kinds = map[reflect.Type]string{
	reflect.TypeFor[api.Job](): "job", reflect.TypeFor[api.TaskGroup](): "group", reflect.TypeFor[api.Task](): "task",
	reflect.TypeFor[api.Service](): "service", reflect.TypeFor[api.ServiceCheck](): "check",
}

func nameField(t reflect.Type) string {
	if t == reflect.TypeFor[api.Job]() {
		return "ID"
	}
	return "Name"
}

// hclName is what a jobspec calls a field.
func hclName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("hcl"), ",")
	if name == "" {
		return f.Name
	}
	return name
}

// isUnset reports whether the value of a field says nothing: a pointer to nothing, and what holds only such, too.
func isUnset(v reflect.Value, field string) bool {
	switch v.Kind() { //nolint:exhaustive // the others are what they are
	case reflect.Pointer:
		return v.IsNil() || isUnset(v.Elem(), field)
	case reflect.String:
		return v.String() == "" || slices.Contains(ordinary[field], v.String())
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	case reflect.Struct:
		for i := range v.NumField() {
			if !isUnset(v.Field(i), v.Type().Field(i).Name) {
				return false
			}
		}
		return true
	}
	return v.IsZero()
}
