package contract

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/hashicorp/nomad/api"
)

// clusterConfig says what Nomad to start. Only the first node knows Consul.
type clusterConfig struct {
	consulAddr string
	token      string // with ACLs, the token that may do everything
	nodes      int
}

// cluster is a Nomad that the suite has started, and whose nodes it may take away.
type cluster struct {
	*target
	nodes map[string]*nodeProcess // by name; none where nodes are no processes of their own
}

// nodeProcess is a node that can be killed and started again.
type nodeProcess struct {
	start func() (*exec.Cmd, error)

	mu  sync.Mutex
	cmd *exec.Cmd
}

// reap kills what is left of processes that the suite has started, known by their program.
func reap(pids []int, programs ...string) {
	for _, pid := range pids {
		exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		if err == nil && slices.Contains(programs, exe) {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
		}
	}
}

// startCluster starts a Nomad of the suite's own.
func startCluster(cfg clusterConfig) (*cluster, error) {
	if binary := realBinary(); binary != "" {
		return startReal(binary, cfg)
	}
	if given() {
		return nil, errors.New("the Nomad at NOMAD_ADDR can't show this, and beside it the suite has none to start: " +
			"set CONTRACT_NOMAD to a nomad program of its version")
	}
	return startEmbedded(cfg)
}

// ownCluster is startCluster with a Consul of its own.
func ownCluster(t *testing.T, nodes int) *cluster {
	t.Helper()
	consulAddr, err := startConsul()
	if err != nil {
		t.Fatal(err)
	}
	c, err := startCluster(clusterConfig{consulAddr: consulAddr, nodes: nodes})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func nodeName(i int) string { return fmt.Sprintf("client-%d", i) }

func (c *cluster) addNode(name string, start func() (*exec.Cmd, error)) error {
	n := &nodeProcess{start: start}
	c.nodes[name] = n
	return n.restart()
}

func (n *nodeProcess) restart() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	cmd, err := n.start()
	n.cmd = cmd
	return err
}

// kill kills a node, but not its tasks; it returns them.
func (n *nodeProcess) kill() (tasks []int, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if tasks, err = descendants(n.cmd.Process.Pid); err != nil {
		return nil, err
	}
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	atEnd(func() error { reap(tasks, exe, realBinary()); return nil })
	err = n.cmd.Process.Kill()
	_ = n.cmd.Wait() // killed
	return tasks, err
}

// lose kills a node with all that it has started, as if the machine had no power any more.
func (n *nodeProcess) lose() error {
	tasks, err := n.kill()
	for _, pid := range tasks {
		if killed := syscall.Kill(pid, syscall.SIGKILL); !errors.Is(killed, syscall.ESRCH) {
			err = errors.Join(err, killed)
		}
	}
	return err
}

func (c *cluster) ready() int {
	n := 0
	nodes, _, err := c.nomad.Nodes().List(nil)
	for _, node := range nodes {
		if err == nil && node.Status == api.NodeStatusReady {
			n++
		}
	}
	return n
}

// descendants lists the processes below one, parents first.
func descendants(pid int) ([]int, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	children := map[int][]int{}
	for _, path := range stats {
		body, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		var id, parent int
		head, rest, _ := strings.Cut(string(body), " (")
		fields := rest[strings.LastIndex(rest, ") ")+2:] // state, parent, …
		if _, err := fmt.Sscanf(head+" "+fields[2:], "%d %d", &id, &parent); err == nil {
			children[parent] = append(children[parent], id)
		}
	}
	found := []int{pid}
	for i := 0; i < len(found); i++ {
		found = append(found, children[found[i]]...)
	}
	return found[1:], nil
}
