// Package ring keeps the last predictions of an instance, so that an analysis can compare them one by one.
package ring

import (
	"sync"
)

// MaxOutputs is the number of outputs of a row that are kept.
const MaxOutputs = 8

// Entry is one row of an answered request, or one refused request.
type Entry struct {
	Seq     uint64 // set by Add: 1 for the first entry, then one more for each
	Time    int64  // when the request came, in Unix nanoseconds
	ID      string // of the request
	Error   string // kind of the failure, "" for an answer
	Row     int    // place of the row in the request
	Rows    int    // rows of the request
	Values  [MaxOutputs]float64
	Outputs int     // how many of Values are set
	Score   float64 // how sure the model is, NaN if it is not known
}

// Ring holds a fixed number of entries; a new one takes the place of the oldest. It is safe for concurrent use and
// allocates nothing after New. Entries keep the memory of their ID.
type Ring struct {
	mu      sync.Mutex
	entries []Entry
	last    uint64 // Seq of the newest
}

// New makes a ring of size entries.
func New(size int) *Ring { return &Ring{entries: make([]Entry, size)} }

// Add puts entries into the ring and numbers them, without a gap between them.
func (r *Ring) Add(entries []Entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range entries {
		at := &r.entries[r.last%uint64(len(r.entries))]
		r.last++
		*at = entries[i]
		at.Seq = r.last
	}
}

// After copies up to len(dst) entries whose Seq is above seq to dst, the oldest first, and returns how many those are.
// Where entries have been replaced meanwhile, the first one's Seq is more than one above seq.
func (r *Ring) After(seq uint64, dst []Entry) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if size := uint64(len(r.entries)); r.last > size {
		seq = max(seq, r.last-size)
	}
	n := 0
	for ; seq < r.last && n < len(dst); seq++ {
		dst[n] = r.entries[seq%uint64(len(r.entries))]
		n++
	}
	return n
}
