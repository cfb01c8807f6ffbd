package consul

import (
	"crypto/rand"
	"encoding/hex"
	"strings"
	"time"
)

const idTime = "20060102T150405.000Z"

// NewID returns the id of a record that is made now. Ids sort by time: the newest record is the one whose id is last.
func NewID(now time.Time) string {
	var salt [3]byte
	_, _ = rand.Read(salt[:]) // never fails
	return now.UTC().Format(idTime) + "-" + hex.EncodeToString(salt[:])
}

// IDAfter returns id, or where that does not sort after an earlier record's, because the clock of this machine is behind
// the clock of the other's, a new one that does: a millisecond after the earlier.
func IDAfter(id, earlier string) string {
	stamp, _, _ := strings.Cut(earlier, "-")
	at, err := time.Parse(idTime, stamp)
	if id > earlier || err != nil {
		return id
	}
	return NewID(at.Add(time.Millisecond))
}
