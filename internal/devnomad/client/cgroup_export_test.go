//go:build linux

package client

import "github.com/hashicorp/nomad/api"

// Limit writes the limits of a task into a folder, as into its control group.
func Limit(dir string, r *api.Resources) error { return cgroup{{dir: dir}}.make(r) }

// OOMKilled reads a folder as a task's control group.
func OOMKilled(dir string) bool { return cgroupDir{dir: dir}.oomKilled() }
