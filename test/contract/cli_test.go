package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// nomadBinary finds the nomad command line: $WEIR_NOMAD, the Nomad under test, or PATH; "" for none.
func nomadBinary() string {
	return or(os.Getenv("WEIR_NOMAD"), or(realBinary(), commandLine()))
}

const cliJob = `
variable "version" {
  default = "1"
}

job "JOB" {
  datacenters = ["dc1"]
  group "model" {
    count = 2
    network {
      port "http" {}
    }
    update {
      max_parallel      = 2
      canary            = 1
      min_healthy_time  = "200ms"
      healthy_deadline  = "10s"
      progress_deadline = "30s"
      health_check      = "task_states"
    }
    task "server" {
      driver = "raw_exec"
      config {
        command = "EXE"
      }
      env {
        CONTRACT_TASK = "good"
        VERSION       = var.version
      }
      resources {
        cpu    = 20
        memory = 20
      }
    }
  }
}
`

// cli runs the nomad command line against the Nomad under test.
type cli struct {
	*fixture
	binary, file string
}

// run checks the exit code of a command and that its output matches every pattern, and returns it.
func (c *cli) run(t *testing.T, exit int, args []string, patterns ...string) string {
	t.Helper()
	cmd := exec.CommandContext(c.ctx, c.binary, args...)
	cmd.Env = append(os.Environ(), "NOMAD_ADDR="+c.addr, "NOMAD_TOKEN="+c.token, "NOMAD_CLI_NO_COLOR=1")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	got := 0
	if failed := (*exec.ExitError)(nil); errors.As(err, &failed) {
		got = failed.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	if got != exit {
		t.Errorf("nomad %s: exit %d, want %d:\n%s", strings.Join(args, " "), got, exit, out.String())
	}
	for _, p := range patterns {
		if !regexp.MustCompile(p).MatchString(out.String()) {
			t.Errorf("nomad %s: no %q in\n%s", strings.Join(args, " "), p, out.String())
		}
	}
	return out.String()
}

// TestNomadCommandLine runs a life of a job by Nomad's own command line.
func TestNomadCommandLine(t *testing.T) {
	f := newFixture(t)
	c := &cli{fixture: f, binary: nomadBinary(), file: filepath.Join(t.TempDir(), "job.nomad.hcl")}
	if c.binary == "" {
		if given() {
			t.Fatal("find the nomad command line: none in $WEIR_NOMAD or on PATH, and with NOMAD_ADDR it is needed")
		}
		t.Log("no nomad binary in $WEIR_NOMAD or on PATH: the command line itself was not run, see TestRecordedCommands")
		return
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("JOB", f.id, "EXE", exe).Replace(cliJob)
	if err := os.WriteFile(c.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c.firstVersion(t)
	c.secondVersion(t)
	c.allocations(t)
	c.nodes(t)
	c.rollbacks(t)
	c.end(t)
}

func args(a ...string) []string { return a }

func (c *cli) firstVersion(t *testing.T) {
	c.run(t, 0, args("job", "validate", c.file), "Job validation successful")
	c.run(t, 1, args("job", "plan", c.file), `\+ Job: "`+c.id+`"`, `\+ Task Group: "model" \(2 create\)`, `forces create`,
		"All tasks successfully allocated", "Job Modify Index: 0")
	c.run(t, 0, args("job", "run", c.file), "Monitoring evaluation", `finished with status "complete"`, "Monitoring deployment",
		`Status\s+= successful`, "Deployment completed successfully")
	c.run(t, 0, args("job", "plan", c.file), `Job: "`+c.id+`"`, `Task Group: "model" \(2 ignore\)`)
	c.run(t, 0, args("job", "status"), c.id+`\s+service\s+50\s+running`)
	c.run(t, 1, args("job", "status", "zzz"), `No job\(s\) with prefix or ID "zzz" found`)
}

func (c *cli) secondVersion(t *testing.T) {
	c.run(t, 1, args("job", "plan", "-var", "version=2", c.file), `\+/- Task Group: "model" \(1 canary, 2 ignore\)`,
		`\+/- Task: "server" \(forces create/destroy update\)`, `\+/- Env\[VERSION\]: "1" => "2"`)
	c.run(t, 1, args("job", "run", "-detach", "-check-index", "5", "-var", "version=2", c.file),
		"Enforcing job modify index 5: job exists with conflicting job modify index", "Job not updated")
	c.run(t, 0, args("job", "run", "-detach", "-var", "version=2", c.file), "Job registration successful", "Evaluation ID: ")
	id := c.canariesHealthy(1).ID
	c.run(t, 0, args("job", "status", c.id), "requires manual promotion", `model\s+false\s+2\s+1\s+1\s+1\s+0`)
	c.run(t, 0, args("deployment", "list"), id[:8]+`\s+`+c.id+`\s+1\s+running`)
	c.run(t, 0, args("deployment", "status", id[:8]), `Status\s+= running`, "requires manual promotion")
	c.run(t, 0, args("deployment", "pause", id[:8]), `Deployment "`+id+`" paused`)
	c.run(t, 0, args("deployment", "status", id[:8]), `Status\s+= paused`)
	c.run(t, 0, args("deployment", "resume", "-detach", id[:8]), `Deployment "`+id+`" resumed`, "Evaluation ID")
	c.run(t, 0, args("job", "promote", "-detach", c.id), "Evaluation ID")
	c.deploymentIs("successful", "")
	c.run(t, 0, args("job", "history", "-p", c.id), `Version\s+= 1`, `Stable\s+= true`, `Env\[VERSION\]: "1" => "2"`)
	c.run(t, 1, args("deployment", "promote", "-detach", id[:8]), "can't promote terminal deployment")
}

func (c *cli) allocations(t *testing.T) {
	id := c.running(1)[0].ID
	c.run(t, 0, args("alloc", "status", id[:8]), `ID\s+= `+id, `Client Status\s+= running`, `Task "server" is "running"`,
		`\*http\s+yes\s+127\.0\.0\.1:\d+`, "Task started by client")
	c.run(t, 0, args("alloc", "logs", id[:8]), "start alloc="+id+" version=2")
	c.run(t, 0, args("alloc", "logs", "-stderr", "-task", "server", id))
	c.run(t, 0, args("alloc", "fs", id[:8], "alloc/logs"), "server.stdout.0")
	c.run(t, 0, args("alloc", "fs", id[:8], "alloc/logs/server.stdout.0"), "start alloc="+id)
	c.run(t, 0, args("alloc", "fs", "-stat", id[:8], "alloc/logs/server.stdout.0"), "server.stdout.0")
	c.run(t, 1, args("alloc", "fs", id[:8], "../../etc"), "escapes")
	c.run(t, 0, args("alloc", "checks", id[:8]))
	c.run(t, 0, args("alloc", "restart", id[:8]))
	c.eventually("its task has been restarted", func() bool {
		s := c.alloc(id).TaskStates["server"]
		return s.Restarts == 1 && s.State == "running"
	}, c.list)
	c.run(t, 0, args("alloc", "stop", id[:8]), "Monitoring evaluation", `finished with status "complete"`)
	c.eventually("another takes its place", func() bool { return len(c.running(1)) == 2 && c.alloc(id).DesiredStatus == "stop" }, c.list)
	c.run(t, 0, args("job", "allocs", c.id), id[:8])
	c.run(t, 0, args("job", "eval", "-detach", c.id), "Created eval ID")
	c.run(t, 0, args("eval", "list", "-job", c.id), "alloc-stop")
	c.run(t, 0, args("eval", "status", c.lastEval(t)[:8]), `Status\s+= complete`)
}

func (c *cli) lastEval(t *testing.T) string {
	t.Helper()
	evals, _, err := c.nomad.Jobs().Evaluations(c.id, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range evals {
		if e.Status == "complete" {
			return e.ID
		}
	}
	t.Fatal("no evaluation is complete")
	return ""
}

func (c *cli) nodes(t *testing.T) {
	id := c.running(1)[0].NodeID
	c.run(t, 0, args("node", "status"), id[:8]+`.*eligible\s+ready`)
	c.run(t, 0, args("node", "status", id[:8]), `ID\s+= `+id, `Status\s+= ready`, `raw_exec`, c.running(1)[0].ID[:8])
	c.run(t, 0, args("node", "eligibility", "-enable", id[:8]), "scheduling eligibility set: eligible for scheduling")
	c.run(t, 0, args("server", "members"), `alive\s+true`)
	c.run(t, 0, args("status", c.id), `ID\s+= `+c.id)
	out := c.run(t, 0, args("job", "inspect", c.id))
	var doc struct{ Job struct{ ID string } }
	if err := json.Unmarshal([]byte(out), &doc); err != nil || doc.Job.ID != c.id {
		t.Errorf("inspect: %v, %v", doc, err)
	}
	c.run(t, 0, args("operator", "api", "/v1/job/nope"), "job not found")
}

func (c *cli) rollbacks(t *testing.T) {
	c.run(t, 0, args("job", "scale", "-detach", c.id, "model", "3"), "Evaluation ID")
	c.eventually("the scaled version is deployed", func() bool { d := c.at(2); return d != nil && d.Status == "successful" }, c.list)
	c.run(t, 0, args("job", "revert", "-detach", c.id, "0"), "Evaluation ID")
	c.eventually("the rollback is deployed", func() bool { return c.at(3) != nil }, c.list)
	id := c.canariesHealthy(1).ID
	c.run(t, 0, args("deployment", "promote", "-detach", id[:8]), "Evaluation ID")
	c.deploymentIs("successful", "")
	c.run(t, 0, args("job", "run", "-detach", "-var", "version=3", c.file), "Job registration successful")
	c.eventually("the next is deployed", func() bool { return c.at(4) != nil }, c.list)
	id = c.canariesHealthy(1).ID
	c.run(t, 0, args("deployment", "fail", "-detach", id[:8]), `Deployment "`+id+`" failed`)
	c.run(t, 0, args("job", "deployments", c.id), id[:8]+`\s+`+c.id+`\s+4\s+failed\s+Deployment marked as failed`)
	c.run(t, 0, args("job", "deployments", "-latest", c.id), `Status\s+= failed`)
}

func (c *cli) end(t *testing.T) {
	// Both watch the newest deployment too, which has failed: hence exit code 1.
	c.run(t, 1, args("job", "stop", c.id), "Monitoring evaluation", `finished with status "complete"`, `Status\s+= failed`)
	c.run(t, 0, args("job", "status", c.id), `Status\s+= dead \(stopped\)`)
	c.run(t, 1, args("job", "stop", "-purge", "-yes", c.id), `finished with status "complete"`)
	c.run(t, 1, args("job", "status", c.id), "No job")
}
