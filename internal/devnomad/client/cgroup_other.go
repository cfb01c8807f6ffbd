//go:build !linux

package client

import (
	"log/slog"
	"os/exec"

	"github.com/hashicorp/nomad/api"

	"github.com/weirhq/weir/internal/proc"
)

// cgroups are Linux's: elsewhere no task has limits.
type cgroups struct{}

func openCgroups(_ string, log *slog.Logger) *cgroups {
	log.Warn("no resource limits: control groups are Linux's")
	return nil
}

func (*cgroups) of(*api.Task, *taskEnv) cgroup { return cgroup{} }
func (*cgroups) close()                        {}

type cgroup struct{}

func (cgroup) make(*api.Resources) error { return nil }
func (cgroup) start(cmd *exec.Cmd) error { return proc.Start(cmd) }
func (cgroup) end() bool                 { return false }
