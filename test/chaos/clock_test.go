//go:build linux

package chaos

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/weirhq/weir/test/hosts"
)

// A machine has one clock, and to step it would disturb all else on it. So the deployer of these tests is built with a
// time package whose Now adds to the wall clock, and not to the monotonic one, what the file <program>.clock says: 8
// bytes, nanoseconds. That is what a process sees whose machine's clock is stepped. Weir's own code is as it is.
const steppedNow = `package time

import (
	"sync/atomic"
	"syscall"
	"unsafe"
)

var stepBy = func() *int64 {
	var none int64
	var path [4096]byte
	n, err := syscall.Readlink("/proc/self/exe", path[:])
	if err != nil {
		return &none
	}
	fd, err := syscall.Open(string(path[:n])+".clock", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return &none
	}
	shared, err := syscall.Mmap(fd, 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	_ = syscall.Close(fd)
	if err != nil {
		return &none
	}
	return (*int64)(unsafe.Pointer(&shared[0]))
}()

// Now is the machine's time, stepped.
func Now() Time {
	t := machineNow()
	if stepBy == nil { // the package is not initialised
		return t
	}
	by := Duration(atomic.LoadInt64(stepBy))
	stepped := t.Add(by)
	if t.wall&hasMonotonic != 0 && stepped.wall&hasMonotonic != 0 {
		stepped.ext = t.ext
	}
	return stepped
}
`

// buildStepped builds the deployer with that package, once, and gives it its three names.
func buildStepped(n hosts.Network) error {
	overlay, err := writeOverlay(n.Folder())
	if err != nil {
		return err
	}
	if err := n.Build(daemonBin, "../../deployer", "-overlay", overlay); err != nil {
		return err
	}
	for _, name := range []string{deployBin, ingressBin} {
		if err := os.Link(n.Bin(daemonBin), n.Bin(name)); err != nil {
			return fmt.Errorf("name the deployer: %w", err)
		}
	}
	for _, name := range []string{daemonBin, deployBin, ingressBin} {
		if err := os.WriteFile(n.Bin(name)+".clock", make([]byte, 8), 0o600); err != nil {
			return fmt.Errorf("set the clock of %s: %w", name, err)
		}
	}
	return nil
}

// writeOverlay writes the two files that differ from Go's own, and the list of them.
func writeOverlay(dir string) (string, error) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("find Go: %w", err)
	}
	pkg := filepath.Join(strings.TrimSpace(string(root)), "src", "time")
	text, err := os.ReadFile(filepath.Join(pkg, "time.go"))
	if err != nil {
		return "", fmt.Errorf("read Go's time package: %w", err)
	}
	const now = "\nfunc Now() Time {\n"
	if strings.Count(string(text), now) != 1 {
		return "", fmt.Errorf("step the clock: %s has no %q any more: see how this Go tells the time", pkg, now)
	}
	files := map[string]string{
		"time.go":       strings.Replace(string(text), now, "\nfunc machineNow() Time {\n", 1),
		"steppednow.go": steppedNow,
	}
	replace := map[string]string{}
	for name, text := range files {
		replace[filepath.Join(pkg, name)] = filepath.Join(dir, name)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return "", fmt.Errorf("write the overlay: %w", err)
		}
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, list, 0o600)
}

// step sets by how much the clock of a program differs from the machine's.
func (s *system) step(bin string, by time.Duration) error {
	// Written over, not anew: the programs have it mapped.
	f, err := os.OpenFile(s.net.Bin(bin)+".clock", os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("step the clock: %w", err)
	}
	defer f.Close()
	if _, err := f.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(by)), 0); err != nil { //nolint:gosec // a negative one stays itself
		return fmt.Errorf("step the clock: %w", err)
	}
	return f.Close()
}
