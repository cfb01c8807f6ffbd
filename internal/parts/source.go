package parts

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const modulePath = "github.com/weirhq/weir"

// Source returns the root of the checkout of Weir that holds the working directory, or else the running program.
func Source() (string, error) {
	cwd, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the checkout of Weir: %w", err)
	}
	if root, found := checkoutAbove(cwd); found {
		return root, nil
	}
	if exe, err := os.Executable(); err == nil {
		if root, found := checkoutAbove(filepath.Dir(exe)); found {
			return root, nil
		}
	}
	return "", fmt.Errorf("find the checkout of Weir: %w in %s or above it", ErrNotFound, cwd)
}

func checkoutAbove(dir string) (string, bool) {
	for {
		if moduleName(filepath.Join(dir, "go.mod")) == modulePath {
			return dir, true
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", false
		}
		dir = parent
	}
}

// moduleName returns the module that a go.mod file declares, "" if it can't be read.
func moduleName(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if name, found := strings.CutPrefix(lines.Text(), "module "); found {
			return strings.TrimSpace(name)
		}
	}
	return ""
}
