package parts

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
)

// version is major, minor, patch.
type version [3]int

func (v version) String() string { return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]) }

func (v version) before(other version) bool { return slices.Compare(v[:], other[:]) < 0 }

// versionOf runs the binary at path to learn its version.
func (p Part) versionOf(ctx context.Context, path string) (version, error) {
	out, err := exec.CommandContext(ctx, path, p.versionArgs...).CombinedOutput()
	if err != nil {
		return version{}, fmt.Errorf("ask %s for its version: %w", path, err)
	}
	return p.parseVersion(path, out)
}

func (p Part) parseVersion(path string, out []byte) (version, error) {
	found := p.versionLine.FindSubmatch(out)
	if found == nil {
		return version{}, fmt.Errorf("ask %s for its version: it does not print that of a %s: %.80q", path, p.Name, out)
	}
	var v version
	for i := range v {
		n, err := strconv.Atoi(string(found[i+1]))
		if err != nil {
			return version{}, fmt.Errorf("read version %q of %s: %w", found[0], path, err)
		}
		v[i] = n
	}
	return v, nil
}
