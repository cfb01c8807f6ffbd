package cli

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Each command's help has examples, and each example is a call that its command takes: known flags, and as many arguments
// as it wants.
func TestHelpHasExamplesThatParse(t *testing.T) {
	var walk func(cmd *cobra.Command)
	seen := 0
	walk = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
		if cmd.HasParent() && cmd.Name() != "help" && cmd.Name() != "completion" && cmd.Parent().Name() != "completion" {
			seen++
			checkExamples(t, cmd)
		}
	}
	walk((&app{}).root())
	if seen < 20 {
		t.Errorf("%d commands were checked, want all", seen)
	}
}

func checkExamples(t *testing.T, cmd *cobra.Command) {
	t.Helper()
	if cmd.Example == "" {
		t.Errorf("%s: no example in its help", cmd.CommandPath())
	}
	for line := range strings.Lines(cmd.Example) {
		words := shellWords(strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(line), `eval "$(`), `)"`))
		root := (&app{}).root()
		found, rest, err := root.Find(words[1:])
		if err != nil || words[0] != "deployer" || found.Parent() != nil && found.Name() != cmd.Name() && found.Parent().Name() != cmd.Name() {
			t.Errorf("%s: example %q calls %v (%v)", cmd.CommandPath(), line, found.CommandPath(), err)
			continue
		}
		if err := found.ParseFlags(rest); err != nil {
			t.Errorf("%s: example %q: %v", cmd.CommandPath(), line, err)
			continue
		}
		if err := found.ValidateArgs(found.Flags().Args()); err != nil {
			t.Errorf("%s: example %q: %v", cmd.CommandPath(), line, err)
		}
	}
}

// shellWords splits a line at spaces that are not within double quotes.
func shellWords(line string) []string {
	var out []string
	for i, part := range strings.Split(line, `"`) {
		if i%2 == 1 {
			out = append(out, part)
			continue
		}
		out = append(out, strings.Fields(part)...)
	}
	return out
}
