// Package access says who may see and do what: bearer tokens with roles, sessions of browsers, and a limit on guesses.
package access

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path"
	"sync"
	"time"
)

// Role is what somebody may do. Each role may do what the ones before it may.
type Role string

// The roles.
const (
	Viewer   Role = "viewer"   // see
	Operator Role = "operator" // promote, pause, resume, abort, revert, and decide at gates
	Admin    Role = "admin"    // set weights by hand, and go back by force
)

var ranks = map[Role]int{Viewer: 1, Operator: 2, Admin: 3}

// Principal is somebody whose token was recognised.
type Principal struct {
	Name   string   `json:"name"`
	Role   Role     `json:"role"`
	Models []string `json:"models"` // globs, as in path.Match
}

// May says whether the principal has a role, or a higher one.
func (p Principal) May(r Role) bool { return ranks[p.Role] >= ranks[r] }

// Sees says whether a model is one of the principal's.
func (p Principal) Sees(model string) bool {
	for _, glob := range p.Models {
		if ok, err := path.Match(glob, model); ok && err == nil {
			return true
		}
	}
	return false
}

// entry is one token in the file.
type entry struct {
	Principal
	SHA256 string `json:"sha256"` // of the token, in hex
	hash   []byte
}

// Tokens are the tokens of a file. It is read anew when it has changed.
type Tokens struct {
	path string
	log  *slog.Logger

	mu      sync.Mutex
	entries []entry
	was     os.FileInfo
}

// secretBytes is how much chance is in a token: nobody guesses it, so a plain hash keeps it.
const secretBytes = 32

// NewToken returns a random token and its line for the file.
func NewToken(p Principal) (secret, line string, err error) {
	raw := make([]byte, secretBytes)
	_, _ = rand.Read(raw) // never fails
	secret = "weir_" + base64.RawURLEncoding.EncodeToString(raw)
	hash := sha256.Sum256([]byte(secret))
	e := entry{Principal: p, SHA256: hex.EncodeToString(hash[:])}
	if err := e.check(); err != nil {
		return "", "", err
	}
	b, err := json.Marshal(e)
	return secret, string(b), err
}

// OpenTokens reads a file of tokens: {"tokens": [{"name", "role", "models", "sha256"}, …]}.
func OpenTokens(file string, log *slog.Logger) (*Tokens, error) {
	t := &Tokens{path: file, log: log}
	return t, t.read()
}

func (t *Tokens) read() error {
	info, err := os.Stat(t.path)
	if err != nil {
		return fmt.Errorf("find the tokens: %w", err)
	}
	b, err := os.ReadFile(t.path)
	if err != nil {
		return fmt.Errorf("read the tokens: %w", err)
	}
	var file struct {
		Tokens []entry `json:"tokens"`
	}
	if err := json.Unmarshal(b, &file); err != nil {
		return fmt.Errorf("read the tokens in %s: %w; `deployer token NAME --role ROLE` prints an entry", t.path, err)
	}
	if len(file.Tokens) == 0 {
		return fmt.Errorf("%s has no tokens; `deployer token NAME --role ROLE` prints one", t.path)
	}
	for i := range file.Tokens {
		if err := file.Tokens[i].check(); err != nil {
			return fmt.Errorf("token %d in %s: %w", i+1, t.path, err)
		}
	}
	t.entries, t.was = file.Tokens, info
	return nil
}

func (e *entry) check() error {
	var err error
	if e.hash, err = hex.DecodeString(e.SHA256); err != nil || len(e.hash) != sha256.Size {
		return fmt.Errorf("sha256 %q: want 64 hex digits", e.SHA256)
	}
	if e.Name == "" || len(e.Name) > 100 {
		return fmt.Errorf("name %q: want 1 to 100 letters", e.Name)
	}
	if ranks[e.Role] == 0 {
		return fmt.Errorf("role %q of %s: want %s, %s or %s", e.Role, e.Name, Viewer, Operator, Admin)
	}
	if len(e.Models) == 0 {
		return fmt.Errorf("%s has no models: want globs, like \"*\" for all", e.Name)
	}
	for _, glob := range e.Models {
		if _, err := path.Match(glob, ""); err != nil {
			return fmt.Errorf("models of %s: %q: %w", e.Name, glob, err)
		}
	}
	return nil
}

// refresh reads the file again where it is another than before. One that is broken changes nothing. The caller holds the
// lock.
func (t *Tokens) refresh() {
	info, err := os.Stat(t.path)
	if err == nil && info.ModTime().Equal(t.was.ModTime()) && info.Size() == t.was.Size() && os.SameFile(info, t.was) {
		return
	}
	if err == nil {
		err = t.read()
	}
	if err != nil {
		t.log.Error("the tokens stay as they were", "err", err)
	}
}

// hashed is a token's hash: what a session remembers of it.
type hashed [sha256.Size]byte

// find recognises a token by its hash. It takes as long for a wrong one.
func (t *Tokens) find(h hashed) (Principal, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refresh()
	var found *entry
	for i := range t.entries {
		if subtle.ConstantTimeCompare(t.entries[i].hash, h[:]) == 1 {
			found = &t.entries[i]
		}
	}
	if found == nil {
		return Principal{}, false
	}
	return found.Principal, true
}

func hash(secret string) hashed { return sha256.Sum256([]byte(secret)) }

// clock tells the time; tests have their own.
type clock func() time.Time
