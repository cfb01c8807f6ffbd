package pickle

import (
	"errors"
	"fmt"
	"io"
)

// probe is a first reading of content that is still compressed, so that nobody has to hold what turns out to be no
// model: the guard and gopickle read it as they will later, but what is large is let go at once (see hollow). A file
// that passes is a well-formed pickle of known classes, complete, and its size is known before it is unpacked.
type probe struct {
	in    io.Reader
	err   error // that in ended with
	limit int   // bytes of content that are allowed
}

// hollow stands for bytes or a text that a probe has let go.
type hollow struct {
	bytes int
	text  bool
}

// windowSize is that of the window on probed content. Opcodes that are not shared fit several times.
const windowSize = 1 << 16

// probeContent reads through the content that in hands out, for a file of size bytes, and returns how long it is.
func probeContent(in io.Reader, size int, known func(Global) bool) (int, error) {
	p := &probe{in: in, limit: maxContent(size)}
	g := newGuard(make([]byte, 0, windowSize), size)
	g.probe = p
	f := &finder{known: known, guard: g}
	f.load = f.unpickle
	_, err := f.unpickle(g)
	if g.want(1); err == nil && g.pos < len(g.data) {
		err = g.errorf("more bytes follow the end of the pickle")
	}
	switch {
	case g.base+len(g.data) > p.limit:
		return 0, fmt.Errorf("it grows beyond %d bytes from %d: write the file uncompressed if it is honest", p.limit, size)
	case p.err != nil && p.err != io.EOF: //nolint:errorlint // the Reader contract is this value itself
		return 0, p.err
	case len(f.refused) > 0:
		return 0, &RefusedError{f.refused}
	}
	return g.base + g.pos, err
}

// left is how many bytes of content there can still be.
func (g *guard) left() int {
	if g.probe == nil {
		return len(g.data) - g.pos
	}
	return max(0, g.probe.limit-g.base-g.pos)
}

// want makes sure that n bytes from pos on are in the window, if the content has so many.
func (g *guard) want(n int) {
	p := g.probe
	if p == nil || len(g.data)-g.pos >= n {
		return
	}
	g.slide()
	for len(g.data) < n && p.err == nil {
		var m int
		m, p.err = p.in.Read(g.data[len(g.data):cap(g.data)])
		g.data = g.data[:len(g.data)+m]
		if g.base+len(g.data) > p.limit {
			p.err = errGrows
		}
	}
}

var errGrows = errors.New("the content is larger than it may be")

// slide moves the window to pos.
func (g *guard) slide() {
	g.data = g.data[:copy(g.data[:cap(g.data)], g.data[g.pos:])]
	g.base, g.end, g.frameEnd = g.base+g.pos, g.end-g.pos, max(0, g.frameEnd-g.pos)
	g.pos = 0
}

// skip moves past n bytes. See, if it is not nil, gets all of them in turn.
func (g *guard) skip(n int, see func([]byte) error) error {
	for n > 0 {
		if g.want(1); g.pos == len(g.data) {
			return g.errorf("the file ends %d bytes too early: it is cut off", n)
		}
		b := g.data[g.pos:min(len(g.data), g.pos+n)]
		if see != nil {
			if err := see(b); err != nil {
				return g.errorf("%w", err)
			}
		}
		g.pos, n = g.pos+len(b), n-len(b)
	}
	return nil
}

// array takes the content of an array of type d in a joblib file: n bytes, or what stands for them.
func (g *guard) array(n int, d *DType) (any, error) {
	if g.probe == nil {
		return g.raw(n)
	}
	if err := g.between(n); err != nil {
		return nil, err
	}
	if err := g.skip(n, newLinks(d, n).see); err != nil {
		return nil, err
	}
	g.end, g.frameEnd = g.pos, 0
	return &hollow{bytes: n}, nil
}
