// Package docs checks what the documentation says of the tree.
package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// named is how the pages name a test: its folder and its name.
var named = regexp.MustCompile("`([a-z0-9/]+):(Test[A-Za-z0-9]+)`")

// Every row of the page on lessons names tests that are there, and every lesson has a row.
func TestLessonsNameTestsThatExist(t *testing.T) {
	page, err := os.ReadFile("../../docs/lessons.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(string(page)) {
		if !strings.HasPrefix(line, "| ") || strings.Contains(line, "| shown by |") {
			continue
		}
		rows++
		tests := named.FindAllStringSubmatch(line, -1)
		if len(tests) == 0 {
			t.Errorf("no test shows %s", line)
		}
		for _, m := range tests {
			if !has(t, filepath.Join("../..", m[1]), m[2]) {
				t.Errorf("%s has no test %s, which docs/lessons.md names", m[1], m[2])
			}
		}
	}
	if lessons := regexp.MustCompile(`(?m)^\| \d+ \|`).FindAll(page, -1); len(lessons) != 22 || rows < 50 {
		t.Errorf("%d lessons in %d rows, want 22 and the tables of traps and features", len(lessons), rows)
	}
}

// has says whether a folder's tests have one of that name.
func has(t *testing.T, folder, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(src), "\nfunc "+name+"(") {
			return true
		}
	}
	return false
}
