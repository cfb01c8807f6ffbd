package server

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"strings"
	"sync/atomic"
)

// requestIDs makes ids for requests that come without one: 32 hex digits, as nginx's $request_id. The first half is the
// instance's, drawn once; the other half counts. They are made in blocks, so that most requests allocate nothing.
type requestIDs struct {
	instance [8]byte
	block    atomic.Pointer[idBlock]
	made     atomic.Uint64
}

const idsInBlock = 256

// idBlock holds ids that are header values already.
type idBlock struct {
	ids  [idsInBlock]string
	next atomic.Uint32
}

func newRequestIDs() *requestIDs {
	r := &requestIDs{}
	_, _ = rand.Read(r.instance[:]) // it never fails
	r.block.Store(r.newBlock())
	return r
}

// name is the instance's half of the ids.
func (r *requestIDs) name() string { return hex.EncodeToString(r.instance[:]) }

func (r *requestIDs) newBlock() *idBlock {
	const size, digits = 32, "0123456789abcdef"
	var raw [size / 2]byte
	copy(raw[:], r.instance[:])
	binary.BigEndian.PutUint64(raw[8:], r.made.Add(idsInBlock)-idsInBlock)
	first := hex.AppendEncode(nil, raw[:])
	var text strings.Builder
	text.Grow(size * idsInBlock)
	for i := range idsInBlock { // only the last byte differs
		first[size-2], first[size-1] = digits[i>>4], digits[i&15]
		text.Write(first)
	}
	b, all := &idBlock{}, text.String()
	for i := range b.ids {
		b.ids[i] = all[i*size : (i+1)*size]
	}
	return b
}

// take returns the next id as the values of a header.
func (r *requestIDs) take() []string {
	for {
		b := r.block.Load()
		if i := b.next.Add(1) - 1; i < idsInBlock {
			return b.ids[i : i+1 : i+1]
		}
		r.block.CompareAndSwap(b, r.newBlock())
	}
}

// of returns the id that a request brings, if it is sane, or a new one.
func (r *requestIDs) of(h http.Header) []string {
	if ids := h["X-Request-Id"]; len(ids) > 0 && saneID(ids[0]) {
		return ids[:1:1]
	}
	return r.take()
}

// maxID is the longest request id that is taken over.
const maxID = 128

// idBytes are the bytes that a request id may have.
var idBytes = func() (ok [256]bool) {
	for _, c := range []byte("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._:@/+=-") {
		ok[c] = true
	}
	return ok
}()

func saneID(id string) bool {
	if id == "" || len(id) > maxID {
		return false
	}
	for i := range len(id) {
		if !idBytes[id[i]] {
			return false
		}
	}
	return true
}

// hashID is FNV-1a of an id's end: every instance picks the same requests by it.
func hashID(id string) uint32 {
	h := uint32(2166136261)
	for i := max(0, len(id)-8); i < len(id); i++ {
		h = (h ^ uint32(id[i])) * 16777619
	}
	return h
}
