package client

import (
	"bytes"
	"crypto/md5"  //nolint:gosec // what the jobspec asks for
	"crypto/sha1" //nolint:gosec // what the jobspec asks for
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"
)

// checksum is what an artifact must hash to; the zero value is anything.
type checksum struct {
	kind string
	want []byte
}

var hashes = map[string]func() hash.Hash{"md5": md5.New, "sha1": sha1.New, "sha256": sha256.New, "sha512": sha512.New}

// parseChecksum reads "<kind>:<hex digits>", or the digits alone, whose number tells the kind.
func parseChecksum(text string) (checksum, error) {
	if text == "" {
		return checksum{}, nil
	}
	kind, digits, found := strings.Cut(text, ":")
	if !found {
		kind, digits = "", text
	}
	want, err := hex.DecodeString(digits)
	for name, make := range hashes {
		if err == nil && len(want) == make().Size() && (kind == name || kind == "") {
			return checksum{kind: name, want: want}, nil
		}
	}
	return checksum{}, fmt.Errorf("checksum %q is %w, which wants md5:, sha1:, sha256: or sha512: and its hex digits",
		text, errUnsupported)
}

func (c checksum) hash() hash.Hash {
	if c.kind == "" {
		return sha256.New()
	}
	return hashes[c.kind]()
}

func (c checksum) check(h hash.Hash) error {
	if got := h.Sum(nil); c.kind != "" && !bytes.Equal(got, c.want) {
		return fmt.Errorf("checksum is %s:%x, expected %s:%x", c.kind, got, c.kind, c.want)
	}
	return nil
}
