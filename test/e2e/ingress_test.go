package e2e

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weirhq/weir/deployer/rollout"
)

// The parts of the ingress that write nginx's configuration may die in a rollout: nginx goes on serving, they come
// back, and the rollout goes on.
func TestIngressPartsAreKilledInARollout(t *testing.T) {
	s := start(t)
	s.must(ship("v1.0.0", quick...)...)
	l := s.load()
	deploy := s.background(ship("v1.1.0", "--bake", "6s", "--watch", "1s")...)
	s.await(time.Minute, "10 %", in(rollout.Baking, 0))
	s.killPart("consul-template", "consul-template")
	s.await(time.Minute, "50 %", in(rollout.Baking, 1))
	s.killPart("ingress process", "--external-nginx")
	if err := deploy.Wait(); err != nil {
		t.Errorf("the rollout: %v, want Done", err)
	}
	s.serves(l, s.releaseOf("v1.1.0"))
	noLoss(t, l.Stop())
	s.stable(s.releaseOf("v1.1.0"))
}

// killPart kills the process of this system with a word in its command line, and waits until another one has come.
func (s *system) killPart(name, word string) {
	s.t.Helper()
	pid := s.part(word)
	if pid == 0 {
		s.t.Fatalf("no %s is running", name)
	}
	kill(s.t, pid)
	s.until(20*time.Second, "a new "+name, func() bool {
		now := s.part(word)
		return now != 0 && now != pid && syscall.Kill(now, 0) == nil
	})
}

// part finds a process of this system by a word in its command line; 0 if there is none.
func (s *system) part(word string) int {
	procs, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range procs {
		cmdline, err := os.ReadFile(filepath.Join(p, "cmdline"))
		line := strings.ReplaceAll(string(cmdline), "\x00", " ")
		if err != nil || !strings.Contains(line, s.dir) {
			continue
		}
		program, rest, _ := strings.Cut(line, " ")
		if strings.HasPrefix(filepath.Base(program), word) || strings.Contains(rest, word) && strings.HasPrefix(program, bin) {
			pid, _ := strconv.Atoi(filepath.Base(p)) // a number by the pattern
			return pid
		}
	}
	return 0
}
