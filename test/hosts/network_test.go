//go:build linux

package hosts

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// What a killed run has left, namespaces with processes and a folder, is gone after the next sweep; a run that lives
// keeps its own.
func TestSweep(t *testing.T) {
	if unable, err := prerequisites("multihost"); err != nil || unable != "" {
		t.Skipf("%s %v", unable, err)
	}
	brief := exec.Command("true")
	if err := brief.Run(); err != nil {
		t.Fatal(err)
	}
	dead, here := Network{brief.Process.Pid}, Host{"left", "10.77.0.99"}
	held, err := dead.claim()
	if err != nil {
		t.Fatal(err)
	}
	if err := dead.make([]Host{here}); err != nil {
		t.Fatal(err)
	}
	sleeper := exec.Command("sleep", "600")
	if err := dead.Launch(here, sleeper); err != nil {
		t.Fatal(err)
	}
	if err := sweep(); err != nil {
		t.Fatal(err)
	}
	if list, err := ip("netns", "list"); err != nil || !strings.Contains(list, dead.namespace("")) {
		t.Errorf("the sweep did not spare what is locked: %v, %s", err, list)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	if err := sweep(); err != nil {
		t.Fatal(err)
	}
	if err := sleeper.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the process in a left namespace ended with %v, want it killed", err)
	}
	if list, err := ip("netns", "list"); err != nil || strings.Contains(list, dead.namespace("")) {
		t.Errorf("namespaces are left: %v, %s", err, list)
	}
	if _, err := os.Stat(dead.Folder()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder is left: %v", err)
	}
}
