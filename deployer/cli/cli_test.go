package cli

import (
	"context"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"deployer": func() {
			os.Exit(Main(context.Background(), os.Args[1:], make(chan os.Signal), os.Stdout, os.Stderr))
		},
	})
}

// The scripts run the deployer without Consul and Nomad: what it says when it is called wrongly, or can't reach them.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			// Port 1 of loopback answers nobody.
			env.Setenv("CONSUL_HTTP_ADDR", "127.0.0.1:1")
			env.Setenv("NOMAD_ADDR", "http://127.0.0.1:1")
			return nil
		},
		UpdateScripts: os.Getenv("UPDATE") != "",
	})
}
