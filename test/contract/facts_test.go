package contract

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// facts is how many rows FACTS.md has: who adds or takes one away says so here.
const facts = 114

var (
	factRow      = regexp.MustCompile("^\\| (\\d+) \\| .+ \\| `([^`]+)` \\|$")
	recordingRow = regexp.MustCompile("^\\| `(testdata/[^`]+)` \\| `([^`]+)` \\|$")
)

// TestFacts checks FACTS.md: every statement has a test that holds the text that the row names, or a recording of that
// name; every recording has a test; and no test is skipped.
func TestFacts(t *testing.T) {
	t.Parallel()
	sources := testSources(t)
	page, err := os.ReadFile("FACTS.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(page)) {
		row := factRow.FindStringSubmatch(strings.TrimSpace(line))
		if row == nil {
			continue
		}
		if n++; row[1] != fmt.Sprint(n) {
			t.Errorf("row %d has number %s", n, row[1])
		}
		name, text, _ := strings.Cut(row[2], ": ")
		if body := sources[name]; body == "" || !strings.Contains(body, text) && !isRecording(text) {
			t.Errorf("row %d: no %q in %s", n, text, name)
		}
	}
	if n != facts {
		t.Errorf("%d rows, want %d", n, facts)
	}
	for name, body := range sources {
		if strings.Contains(body, "t.Skip") && name != "TestFacts" {
			t.Errorf("%s skips: a fact that is not tested must fail", name)
		}
	}
}

func isRecording(name string) bool {
	_, err := os.Stat("testdata/answers/" + name + ".json")
	return err == nil
}

// TestRecordingsAreUsed checks that every file of testdata has a row in FACTS.md, and every row files and a test.
func TestRecordingsAreUsed(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("FACTS.md")
	if err != nil {
		t.Fatal(err)
	}
	used, sources := map[string]int{}, testSources(t)
	for line := range strings.Lines(string(page)) {
		if row := recordingRow.FindStringSubmatch(strings.TrimSpace(line)); row != nil {
			used[row[1]] = 0
			if sources[row[2]] == "" {
				t.Errorf("%s: there is no %s", row[1], row[2])
			}
		}
	}
	err = filepath.WalkDir("testdata", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		for row := range used {
			if strings.HasPrefix(path, row) {
				used[row]++
				return nil
			}
		}
		t.Errorf("%s is not used", path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for row, files := range used {
		if files == 0 {
			t.Errorf("%s: there is no such recording", row)
		}
	}
}

// testSources are the functions of this package by name, methods as receiver.name, each with the tables of its file.
func testSources(t *testing.T) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		text, err := os.ReadFile(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, e.Name(), text, 0)
		if err != nil {
			t.Fatal(err)
		}
		tables := ""
		for _, d := range file.Decls {
			if v, ok := d.(*ast.GenDecl); ok && v.Tok == token.VAR {
				tables += string(text[files.Position(v.Pos()).Offset:files.Position(v.End()).Offset])
			}
		}
		for _, d := range file.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			name := fn.Name.Name
			if fn.Recv != nil {
				if star, ok := fn.Recv.List[0].Type.(*ast.StarExpr); ok {
					name = fmt.Sprint(star.X) + "." + name
				}
			}
			out[name] = tables + string(text[files.Position(fn.Pos()).Offset:files.Position(fn.End()).Offset])
		}
	}
	return out
}
