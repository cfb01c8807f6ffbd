// Package release computes the id of a release: one immutable deployable of a model. jobs/inference.nomad.hcl computes
// the same id in HCL, so that a job submitted by hand has it too; a test holds the two together.
package release

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// Inputs are the variables of jobs/inference.nomad.hcl that make a release, spelled as the job specification gets them:
// a relative Command is another release than its absolute path, and "1s" another than "1000ms".
type Inputs struct {
	Model          string
	ModelVersion   string
	Digest         string // of the model file: sha256:<64 hex>
	Driver         string
	Command        string
	Args           []string
	Image          string
	CPU            int // MHz
	Memory         int // MiB
	HealthInterval string
	HealthTimeout  string
	ShutdownDelay  string
	KillTimeout    string
}

// Defaults are the inputs that the job specification takes where nothing is set.
func Defaults() Inputs {
	return Inputs{
		Driver:         "raw_exec",
		Command:        "bin/inference",
		CPU:            100,
		Memory:         128,
		HealthInterval: "1s",
		HealthTimeout:  "1s",
		ShutdownDelay:  "2s",
		KillTimeout:    "10s",
	}
}

// ID is the id of the release: "<model_version>-<8 hex>", the hex from the SHA-256 of the inputs, a "key=value" line
// each. Text counts in Unicode's normal form C, to which HCL brings all strings.
func (in Inputs) ID() string {
	lines := strings.Join([]string{
		"model=" + in.Model,
		"model_version=" + in.ModelVersion,
		"digest=" + in.Digest,
		"driver=" + in.Driver,
		"command=" + in.Command,
		"args=" + argsJSON(in.Args),
		"image=" + in.Image,
		"cpu=" + strconv.Itoa(in.CPU),
		"memory=" + strconv.Itoa(in.Memory),
		"health_interval=" + in.HealthInterval,
		"health_timeout=" + in.HealthTimeout,
		"shutdown_delay=" + in.ShutdownDelay,
		"kill_timeout=" + in.KillTimeout,
	}, "\n")
	sum := sha256.Sum256([]byte(norm.NFC.String(lines)))
	return norm.NFC.String(in.ModelVersion) + "-" + hex.EncodeToString(sum[:4])
}

// argsJSON writes the arguments as HCL's jsonencode does: "[]" for none, and <, > and & escaped.
func argsJSON(args []string) string {
	if len(args) == 0 {
		return "[]"
	}
	normal := make([]string, len(args))
	for i, arg := range args {
		normal[i] = norm.NFC.String(arg)
	}
	text, err := json.Marshal(normal)
	if err != nil {
		panic(err) // strings always marshal
	}
	return string(text)
}

// Digest is the digest of a file's content: "sha256:<64 hex>".
func Digest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("compute digest: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("compute digest of %s: %w", path, err)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}
