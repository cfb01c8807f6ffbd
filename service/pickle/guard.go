package pickle

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Caps on what one file may make the reader hold. Real scikit-learn files stay far below them.
const (
	maxMarks    = 1000    // open MARKs: nesting of containers under construction
	maxStack    = 1 << 17 // values on the stack
	maxMemo     = 1 << 22 // memo entries
	maxObjects  = 1 << 22 // lists, dicts, sets, tuples and instances
	maxLong     = 32      // bytes of a LONG1
	maxName     = 256     // bytes of a module or class name
	baseBudget  = 40 << 20
	budgetRatio = 4 // bytes of memory that each byte of the file may cost, on top of baseBudget
)

// guard hands a pickle to gopickle one opcode at a time, and only after it has checked it: that the opcode is one
// that estimators need, that its operand lies inside the file, that the stack holds what the opcode takes, and that
// the caps above hold. gopickle itself trusts lengths (11 bytes can end the process) and panics on odd streams.
//
// Frames are checked and left out: they only group opcodes.
//
// guard implements io.Reader and io.ByteReader for gopickle.
type guard struct {
	data     []byte
	pos      int // next byte to hand out
	end      int // end of the checked opcode that is being handed out
	frameEnd int // end of the current frame, 0 outside of one
	start    int // where the current pickle starts, counted from the first byte of the content
	stopped  bool
	err      error              // the first one; gopickle asks again after an error
	level    int                // nesting of pickles within the file: joblib writes object arrays as pickles of their own
	taken    func(from, to int) // if not nil, is told of the bytes that raw takes
	instead  []byte             // handed out before what is at pos
	large    any                // the bytes or text that instead stands for
	probe    *probe             // of content that isn't in memory: data is a window on it
	base     int                // bytes of content in front of data
	symbols
	budget  *int // memory that may still be used, shared by nested pickles
	objects *int
	trees   *int // that have earned their cost
}

// newGuard makes a guard for content that comes from a file of size bytes.
func newGuard(data []byte, size int) *guard {
	budget, objects, trees := baseBudget+budgetRatio*size, maxObjects, 0
	return &guard{data: data, budget: &budget, objects: &objects, trees: &trees}
}

// nested returns a guard for the pickle that starts at g's position, with a stack and memo of its own.
func (g *guard) nested() (*guard, error) {
	if g.level >= 2 {
		return nil, g.errorf("pickles are nested more than 2 deep")
	}
	return &guard{
		data: g.data, pos: g.pos, end: g.pos, start: g.base + g.pos, level: g.level + 1, budget: g.budget,
		objects: g.objects, trees: g.trees, taken: g.taken, probe: g.probe, base: g.base,
	}, nil
}

// ReadByte hands out the next byte of the checked stream.
func (g *guard) ReadByte() (byte, error) {
	var b [1]byte
	_, err := g.Read(b[:])
	return b[0], err
}

// Read hands out bytes of the current opcode.
func (g *guard) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if g.pos == g.end && len(g.instead) == 0 {
		if err := g.next(); err != nil {
			return 0, err
		}
	}
	if len(g.instead) > 0 {
		n := copy(p, g.instead)
		g.instead = g.instead[n:]
		return n, nil
	}
	n := copy(p, g.data[g.pos:g.end])
	g.pos += n
	return n, nil
}

// resume goes on behind a nested pickle.
func (g *guard) resume(inner *guard) {
	g.data, g.base, g.pos, g.end = inner.data, inner.base, inner.pos, inner.pos
}

// raw takes n bytes that follow the current opcode: the array data in a joblib file. The bytes are shared, not copied;
// those of a probe are only there until the next call.
func (g *guard) raw(n int) ([]byte, error) {
	if err := g.between(n); err != nil {
		return nil, err
	}
	g.want(n)
	if n > len(g.data)-g.pos {
		return nil, g.errorf("an array wants %d bytes, but %d are left: the file is cut off", n, len(g.data)-g.pos)
	}
	b := g.data[g.pos : g.pos+n : g.pos+n]
	if g.taken != nil && n > 0 {
		g.taken(g.pos, g.pos+n)
	}
	g.pos += n
	g.end, g.frameEnd = g.pos, 0
	return b, nil
}

// between checks that n bytes of array data may follow here.
func (g *guard) between(n int) error {
	if g.pos != g.end || len(g.instead) > 0 {
		return g.errorf("array data in the middle of an opcode")
	}
	if n < 0 || n > g.left() {
		return g.errorf("an array wants %d bytes, but %d are left: the file is cut off", n, g.left())
	}
	if g.frameEnd > 0 && g.pos != g.frameEnd {
		return g.errorf("array data in the middle of a frame")
	}
	return nil
}

// next checks the opcode at pos, and releases it by moving end.
func (g *guard) next() error {
	if g.err == nil {
		g.err = g.check()
	}
	return g.err
}

func (g *guard) check() error {
	if g.stopped {
		return io.EOF
	}
	if err := g.skipFrames(); err != nil {
		return err
	}
	if g.want(1); g.pos >= len(g.data) {
		return g.errorf("the file ends before the pickle does: it is cut off")
	}
	op := g.data[g.pos]
	size, err := g.size(op)
	if err != nil {
		return err
	}
	if g.frameEnd > 0 && g.pos+size > g.frameEnd {
		return g.errorf("an opcode crosses the end of its frame")
	}
	if size > largeFrom && shared[op] {
		return g.share(op, size)
	}
	if err := g.apply(op, g.data[g.pos+1:g.pos+size]); err != nil {
		return g.errorf("%w", err)
	}
	g.end = g.pos + size
	g.stopped = op == opStop
	return nil
}

// Bytes and texts from this size on don't go through gopickle, which would copy them: it gets a global in their place,
// which the finder answers with them.
const (
	largeFrom   = 1 << 12
	largeModule = "\x00large"
)

var shared = [256]bool{
	opBinBytes: true, opBinBytes8: true, opByteArray8: true, opBinUnicode: true, opBinUnicode8: true,
}

// share releases a large opcode.
func (g *guard) share(op byte, size int) error {
	if err := g.apply(op, nil); err != nil {
		return g.errorf("%w", err)
	}
	head := 1 + operands[op].lengthBytes
	text := op == opBinUnicode || op == opBinUnicode8
	if text { // it is copied
		if err := g.spend(size); err != nil {
			return g.errorf("%w", err)
		}
	}
	switch {
	case g.probe != nil:
		g.large = &hollow{bytes: size - head, text: text}
		if err := g.skip(size, nil); err != nil {
			return err
		}
	case text:
		g.large = string(g.data[g.pos+head : g.pos+size])
		g.pos += size
	default:
		g.large = slices.Clip(g.data[g.pos+head : g.pos+size])
		g.pos += size
	}
	g.end = g.pos
	g.instead = []byte("c" + largeModule + "\nbytes\n")
	return nil
}

// takeLarge returns the bytes or the text that were left out.
func (g *guard) takeLarge() (any, error) {
	b := g.large
	if g.large = nil; b == nil {
		return nil, errors.New("the file names a global that there is not")
	}
	return b, nil
}

// skipFrames checks the FRAME opcodes at pos and moves past them.
func (g *guard) skipFrames() error {
	if g.frameEnd > 0 && g.pos >= g.frameEnd {
		g.frameEnd = 0
	}
	for g.want(9); g.pos < len(g.data) && g.data[g.pos] == opFrame; g.want(9) {
		if g.frameEnd > 0 {
			return g.errorf("a frame starts inside another one")
		}
		if len(g.data)-g.pos < 9 {
			return g.errorf("the file ends inside a frame's length")
		}
		n, left := littleEndian(g.data[g.pos+1:g.pos+9]), g.left()-9
		if n == 0 || n > uint64(left) {
			return g.errorf("a frame claims %d bytes, but %d are left", n, left)
		}
		g.pos += 9
		g.end, g.frameEnd = g.pos, g.pos+int(n)
	}
	return nil
}

// size returns how many bytes the opcode at pos takes with its operand, and checks that they are there.
func (g *guard) size(op byte) (int, error) {
	if (op == opProto) != (g.base+g.pos == g.start) {
		return 0, g.errorf("a pickle of protocol 2 to 5 starts with the byte 0x80 and has it nowhere else: " +
			"write the file with pickle.dump(model, file, protocol=4) or joblib.dump")
	}
	o := operands[op]
	if !o.known {
		return 0, g.refuse(op)
	}
	if op == opGlobal {
		return g.globalSize()
	}
	if g.want(9); len(g.data)-g.pos-1 < o.fixed+o.lengthBytes {
		return 0, g.errorf("the file ends inside an opcode: it is cut off")
	}
	if o.lengthBytes == 0 {
		return 1 + o.fixed, nil
	}
	n, left := littleEndian(g.data[g.pos+1:g.pos+1+o.lengthBytes]), g.left()-1-o.lengthBytes
	if n > uint64(left) {
		return 0, g.errorf("an opcode claims %d bytes, but %d are left", n, left)
	}
	size := 1 + o.lengthBytes + int(n)
	if size > largeFrom {
		return size, nil
	}
	if g.want(size); size > len(g.data)-g.pos {
		return 0, g.errorf("the file ends inside an opcode: it is cut off")
	}
	return size, nil
}

func (g *guard) globalSize() (int, error) {
	module, name, err := g.globalLines()
	if err != nil {
		return 0, err
	}
	return 1 + len(module) + 1 + len(name) + 1, nil
}

// globalLines returns the two lines after the opcode at pos: module and name.
func (g *guard) globalLines() (module, name []byte, err error) {
	g.want(2*maxName + 3)
	rest := g.data[g.pos+1:]
	rest = rest[:min(len(rest), 2*maxName+2)]
	i := bytes.IndexByte(rest, '\n')
	if i < 0 {
		return nil, nil, g.errorf("a module name is cut off or longer than %d bytes", maxName)
	}
	j := bytes.IndexByte(rest[i+1:], '\n')
	if j < 0 {
		return nil, nil, g.errorf("a class name is cut off or longer than %d bytes", maxName)
	}
	return rest[:i], rest[i+1 : i+1+j], nil
}

// refuse says which opcode is not accepted; where it names a global itself, that too.
func (g *guard) refuse(op byte) error {
	name, ok := refusedOpcodes[op]
	if !ok {
		return g.errorf("0x%02x is no opcode", op)
	}
	if op == 'i' {
		if module, class, err := g.globalLines(); err == nil {
			return g.errorf("opcode INST asks for %q, and scikit-learn never writes it", string(module)+"."+string(class))
		}
	}
	return g.errorf("opcode %s is refused: neither pickle.dump(model, file, protocol=4) nor joblib.dump writes it", name)
}

var errBudget = errors.New("the values would need far more memory than a file of this size should: " +
	"write it uncompressed if it is honest")

// spend takes n bytes off the memory budget.
func (g *guard) spend(n int) error {
	*g.budget -= n
	if *g.budget < 0 {
		return errBudget
	}
	return nil
}

func (g *guard) errorf(format string, args ...any) error {
	return fmt.Errorf("byte %d: "+format, append([]any{g.base + g.pos}, args...)...)
}
