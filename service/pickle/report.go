package pickle

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Report is what can be said of a file without building what is in it.
type Report struct {
	Compression string // such as "zlib", "" for none
	Joblib      bool   // arrays lie between the pickle's opcodes
	Protocol    int
	Bytes       int // without compression
	Uses        []Use
	Findings    []Finding // odd things that no training writes
	Err         error     // why Load refuses the file; nil if it doesn't
}

// Use is a class or function that a file names.
type Use struct {
	Global      // "?" where the file computes the name
	At      int // byte of the uncompressed file where it is first named
	Times   int
	Called  bool // Python would call it while it loads the file
	Allowed bool // it is on this server's list
}

// Finding is something odd at a byte of the uncompressed file.
type Finding struct {
	At   int    `json:"byte"`
	Text string `json:"text"`
}

// Inspect reports on a file; known is as for Load. It lists every name in the file, also those behind what Load
// stumbles over.
func Inspect(data []byte, known func(Global) bool) *Report {
	r := &Report{Compression: compression(data)}
	size := len(data)
	data, r.Err = Unpack(data, known)
	if r.Err != nil {
		return r
	}
	r.Bytes = len(data)
	if len(data) > 1 && data[0] == opProto {
		r.Protocol = int(data[1])
	}
	arrays := map[int]int{}
	_, g, err := load(data, size, known, func(from, to int) { arrays[from] = to })
	r.Err, r.Joblib = err, len(arrays) > 0
	if len(data) == 0 || data[0] != opProto && !isText(data) {
		return r // no pickle at all
	}
	cut := r.scan(data, arrays)
	if cut && err != nil && !strings.Contains(err.Error(), "cut off") {
		r.Err = fmt.Errorf("the file is cut off: %w", err)
	}
	if g != nil && g.err != nil && !errors.Is(g.err, io.EOF) && !cut && len(r.Findings) == 0 {
		r.Findings = []Finding{{g.pos, g.err.Error()}}
	}
	if isText(data) && err != nil && len(r.Uses) == 0 {
		r.Findings = nil // text that is no pickle
	}
	for i := range r.Uses {
		r.Uses[i].Allowed = allowed(r.Uses[i].Global, known)
	}
	return r
}

// scan lists the names in all pickles that follow one another, and reports whether the last one is cut off.
func (r *Report) scan(data []byte, arrays map[int]int) (cut bool) {
	s := &scanner{data: data, skip: arrays, place: map[Global]int{}}
	defer func() { r.Uses, r.Findings = s.uses, append(s.odd, r.Findings...) }()
	for s.pos < len(data) {
		s.start()
		end, err := s.scan()
		switch {
		case errors.Is(err, errCut):
			return true
		case err != nil:
			r.Findings = append(r.Findings, Finding{end, err.Error()})
			return false
		case end == len(data):
			return false
		case data[end] != opProto && !isText(data[end:]):
			r.Findings = append(r.Findings, Finding{end, fmt.Sprintf("%d bytes follow the end of the pickle", len(data)-end)})
			return false
		}
		r.Findings = append(r.Findings, Finding{end, "a second pickle follows the first one: what reads on would run it"})
	}
	return false
}

// allowed reports whether a file may name g.
func allowed(g Global, known func(Global) bool) bool {
	switch g.String() {
	case "collections.OrderedDict", "__builtin__.object", "copy_reg._reconstructor": // gopickle answers these itself
		return true
	}
	f := &finder{known: known}
	_, _ = f.find(g.Module, g.Name) // it only refuses
	return len(f.refused) == 0
}

// compression names the format around the pickle, "" for none.
func compression(data []byte) string {
	for _, c := range compressions {
		if bytes.HasPrefix(data, []byte(c.magic)) {
			return c.name
		}
	}
	return ""
}
