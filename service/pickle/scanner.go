package pickle

import (
	"bytes"
	"errors"
	"fmt"
)

// scanner walks over a pickle without building anything, to list every global that it names. Unlike the guard it goes
// on after what is refused: it knows all opcodes, and takes what isn't on the stack for unknown.
type scanner struct {
	data  []byte
	pos   int
	skip  map[int]int // array content between opcodes: from where to where
	stack []item
	marks []int // stack heights
	memo  map[int]item
	outer []*scanner // of a pickle within the pickle
	uses  []Use
	place map[Global]int // in uses, plus 1
	text  bool           // protocol 0 or 1
	noted [256]bool
	odd   []Finding // the first of each opcode that only attackers write
}

// item is what a scanner knows of a value.
type item struct {
	text string // if it is a string
	use  int    // if it is a global: its place in uses, plus 1
}

var errCut = errors.New("the file ends before the pickle does: it is cut off")

// start makes the scanner ready for the next pickle.
func (s *scanner) start() {
	s.stack, s.marks, s.memo, s.outer, s.text = nil, nil, map[int]item{}, nil, s.data[s.pos] != opProto
}

// scan lists the globals of the pickle at pos and returns where it ends.
func (s *scanner) scan() (int, error) {
	for {
		for to, ok := s.skip[s.pos]; ok; to, ok = s.skip[s.pos] {
			s.pos = to
		}
		if s.pos >= len(s.data) {
			return s.pos, errCut
		}
		op := s.data[s.pos]
		arg, err := s.operand(op)
		if err != nil {
			return s.pos, err
		}
		at := s.pos
		s.pos += 1 + len(arg)
		if op == opProto && len(s.stack)+len(s.marks) > 0 { // joblib: an object array
			s.outer = append(s.outer, &scanner{stack: s.stack, marks: s.marks, memo: s.memo})
			s.stack, s.marks, s.memo = nil, nil, map[int]item{}
		}
		if op == opStop {
			if len(s.outer) == 0 {
				return s.pos, nil
			}
			last := s.outer[len(s.outer)-1]
			s.outer, s.stack, s.marks, s.memo = s.outer[:len(s.outer)-1], last.stack, last.marks, last.memo
			continue
		}
		s.note(op, at)
		s.step(op, arg, at)
	}
}

// note reports the opcodes that Python's pickler has not written for decades: they call what a name stands for.
func (s *scanner) note(op byte, at int) {
	odd := op == 0x82 || op == 0x83 || op == 0x84 || !s.text && (op == 'i' || op == 'o')
	if odd && !s.noted[op] {
		s.noted[op] = true
		s.odd = append(s.odd, Finding{at, "opcode " + refusedOpcodes[op] + ": no training writes it"})
	}
}

// lineOperands are the opcodes whose operand is one line, or for GLOBAL and INST two.
const lineOperands = "ILFVSpgPci"

// operand returns the bytes that follow an opcode.
func (s *scanner) operand(op byte) ([]byte, error) {
	rest := s.data[s.pos+1:]
	if bytes.IndexByte([]byte(lineOperands), op) >= 0 {
		end := bytes.IndexByte(rest, '\n') + 1
		if end > 0 && (op == opGlobal || op == 'i') {
			second := bytes.IndexByte(rest[end:], '\n') + 1
			if end += second; second == 0 {
				end = 0
			}
		}
		if end == 0 {
			return nil, errCut
		}
		return rest[:end], nil
	}
	o, ok := scanOperands[op]
	if !ok {
		if o = operands[op]; !o.known {
			if _, ok := refusedOpcodes[op]; !ok {
				return nil, fmt.Errorf("0x%02x is no opcode", op)
			}
		}
	}
	n := o.fixed
	if o.lengthBytes > 0 && len(rest) >= o.lengthBytes {
		length := littleEndian(rest[:o.lengthBytes])
		n = o.lengthBytes + int(min(length, 1<<40))
	}
	if op == opFrame && len(rest) >= n && littleEndian(rest[:n]) > maxUnpacked {
		return nil, fmt.Errorf("a frame claims %d bytes", littleEndian(rest[:n]))
	}
	if n > maxUnpacked {
		return nil, fmt.Errorf("an opcode claims %d bytes, but %d are left", n, len(rest))
	}
	if n > len(rest) || o.lengthBytes > len(rest) {
		return nil, errCut
	}
	return rest[:n], nil
}

// scanOperands are those of opcodes that the guard refuses.
var scanOperands = map[byte]operand{
	'T': {lengthBytes: 4}, 'U': {lengthBytes: 1}, 0x82: {fixed: 1}, 0x83: {fixed: 2}, 0x84: {fixed: 4},
	0x8b: {lengthBytes: 4},
}

// step applies an opcode to the stack.
func (s *scanner) step(op byte, arg []byte, at int) {
	switch op {
	case opMark:
		s.marks = append(s.marks, len(s.stack))
	case opShortBinUnicode, 'U':
		s.push(text(arg[1:]))
	case opBinUnicode, 'T':
		s.push(text(arg[4:]))
	case opBinUnicode8:
		s.push(text(arg[8:]))
	case 'S', 'V':
		s.push(text(bytes.Trim(arg, "'\"\n")))
	case opGlobal, 'i':
		lines := bytes.SplitN(arg, []byte("\n"), 3)
		if op == 'i' {
			s.popMark()
		}
		s.push(s.name(string(lines[0]), string(lines[1]), at))
		s.call(op == 'i', s.top())
	case opStackGlobal:
		name, module := s.pop(), s.pop()
		if name.text == "" || module.text == "" {
			name.text, module.text = "?", "?" // a name that the file computes
		}
		s.push(s.name(module.text, name.text, at))
	default:
		s.memoStep(op, arg)
	}
}

func (s *scanner) memoStep(op byte, arg []byte) {
	switch op {
	case opBinPut, opLongBinPut:
		s.memo[int(littleEndian(arg))] = s.top()
	case opMemoize:
		s.memo[len(s.memo)] = s.top()
	case 'p':
		s.memo[number(arg)] = s.top()
	case opBinGet, opLongBinGet:
		s.push(s.memo[int(littleEndian(arg))])
	case 'g':
		s.push(s.memo[number(arg)])
	default:
		s.callStep(op)
	}
}

func number(line []byte) int {
	n := 0
	for _, c := range line {
		if c >= '0' && c <= '9' && n < 1<<30 {
			n = 10*n + int(c-'0')
		}
	}
	return n
}

func (s *scanner) callStep(op byte) {
	switch op {
	case opReduce, opNewObj:
		s.pop()
		s.call(op == opReduce, s.pop())
		s.push(item{})
	case 0x92: // NEWOBJ_EX
		s.pop()
		s.pop()
		s.call(true, s.pop())
		s.push(item{})
	case 'o':
		height := s.popMark()
		if len(s.stack) > height {
			s.call(true, s.stack[height])
		}
		s.stack = append(s.stack[:min(height, len(s.stack))], item{})
	default:
		s.plainStep(op)
	}
}

// plainStep handles the opcodes that neither name nor call anything.
func (s *scanner) plainStep(op byte) {
	switch op {
	case '0', opBuild, opAppend:
		s.pop()
	case '2':
		s.push(s.top())
	case opSetItem:
		s.pop()
		s.pop()
	case opTuple1, opTuple2, opTuple3:
		for range op - opTuple1 + 1 {
			s.pop()
		}
		s.push(item{})
	case '1', opAppends, opSetItems, opAddItems, opTuple, 'l', 'd', opFrozenSet:
		s.stack = s.stack[:s.popMark()]
		if op == opTuple || op == 'l' || op == 'd' || op == opFrozenSet {
			s.push(item{})
		}
	case 'Q', opProto, opFrame, 0x98: // BINPERSID turns one value into another
	default:
		s.push(item{})
	}
}

// text is a string's item. What is too long for a name is of no interest.
func text(b []byte) item { return item{text: string(b[:min(len(b), maxName)])} }

// maxScanned caps the stack; what is above it is unknown.
const maxScanned = 1 << 22

func (s *scanner) push(i item) {
	if len(s.stack) < maxScanned {
		s.stack = append(s.stack, i)
	}
}

func (s *scanner) top() item {
	if len(s.stack) == 0 {
		return item{}
	}
	return s.stack[len(s.stack)-1]
}

func (s *scanner) pop() item {
	i := s.top()
	if len(s.stack) > 0 {
		s.stack = s.stack[:len(s.stack)-1]
	}
	return i
}

// popMark returns the stack height at the last MARK.
func (s *scanner) popMark() int {
	if len(s.marks) == 0 {
		return len(s.stack)
	}
	height := s.marks[len(s.marks)-1]
	s.marks = s.marks[:len(s.marks)-1]
	return min(height, len(s.stack))
}

// maxUses caps the list of globals.
const maxUses = 10_000

// name notes a global.
func (s *scanner) name(module, name string, at int) item {
	g := Global{module[:min(len(module), maxName)], name[:min(len(name), maxName)]}
	i, ok := s.place[g]
	if !ok {
		if len(s.uses) >= maxUses {
			return item{}
		}
		s.uses = append(s.uses, Use{Global: g, At: at})
		i = len(s.uses)
		s.place[g] = i
	}
	s.uses[i-1].Times++
	return item{use: i}
}

// call notes that a value is called.
func (s *scanner) call(called bool, i item) {
	if called && i.use > 0 {
		s.uses[i.use-1].Called = true
	}
}
