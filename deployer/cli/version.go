package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// built is what a program knows of itself.
type built struct {
	Version  string `json:"version"`            // of the module: a tag, or a pseudo-version; "(devel)" where Go knows none
	Revision string `json:"revision,omitempty"` // the commit
	Modified bool   `json:"modified,omitempty"` // built from a changed tree
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func (a *app) version() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Say which deployer this is", Example: "  deployer version\n  deployer version -o json",
		Args: args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			b := ofThis(debug.ReadBuildInfo())
			if a.format == "json" {
				return a.printJSON(b)
			}
			text := "deployer " + b.Version
			if b.Revision != "" {
				text += " (" + b.Revision + ")"
			}
			if b.Modified {
				text += ", from a changed tree"
			}
			_, err := fmt.Fprintf(a.out, "%s, %s %s\n", text, b.Go, b.Platform)
			return err
		},
	}
}

func ofThis(info *debug.BuildInfo, ok bool) built {
	b := built{Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if !ok {
		return b
	}
	if info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}
