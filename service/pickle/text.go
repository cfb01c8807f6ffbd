package pickle

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// Protocols 0 and 1 write numbers and text as lines. upgrade rewrites such a pickle in the opcodes of protocol 2, which
// the guard and gopickle read: gopickle itself would leave the text's escapes as they are.

// isText reports whether data may be a pickle of protocol 0 or 1: those begin with no PROTO.
func isText(data []byte) bool {
	return len(data) > 0 && data[0] != opProto && (strings.IndexByte("(c]})NIJKMLFGVSX", data[0]) >= 0)
}

// upgrader writes the new pickle. It checks only what it reads itself; the guard checks the rest.
type upgrader struct {
	data []byte
	pos  int
	out  []byte
	mark int // length of out in front of a MARK that was just written, -1 for none
}

func upgrade(data []byte) ([]byte, error) {
	u := &upgrader{data: data, out: append(make([]byte, 0, 2*len(data)+16), opProto, 2), mark: -1}
	for {
		if u.pos >= len(data) {
			return nil, u.errorf("the file ends before the pickle does: it is cut off")
		}
		op := data[u.pos]
		if err := u.step(op); err != nil {
			return nil, err
		}
		if op == opStop {
			break
		}
	}
	if u.pos != len(data) {
		return nil, u.errorf("%d bytes follow the end of the pickle", len(data)-u.pos)
	}
	return u.out, nil
}

// step rewrites one opcode.
func (u *upgrader) step(op byte) error {
	before := len(u.out)
	marked := u.mark
	u.mark = -1
	switch op {
	case 'I', 'L', 'F', 'V', 'S', 'p', 'g':
		line, err := u.line()
		if err != nil {
			return err
		}
		if err := u.textual(op, line); err != nil {
			return u.errorf("%w", err)
		}
		return nil
	case 'd', 'l':
		if marked < 0 {
			return u.errorf("a list or dict of protocol 0 is not written as Python writes it")
		}
		u.pos++
		u.out = append(u.out[:marked], map[byte]byte{'d': opEmptyDict, 'l': opEmptyList}[op])
		return nil
	case 'c':
		return u.global()
	case opMark:
		u.mark = before
	}
	return u.keep(op)
}

// keep copies an opcode that protocol 2 has too.
func (u *upgrader) keep(op byte) error {
	if op == opProto || op >= opShortBinUnicode || op == opGlobal {
		return u.errorf("opcode 0x%02x has no place in a pickle of protocol 0 or 1: write the file with "+
			"pickle.dump(model, file, protocol=4) or joblib.dump", op)
	}
	g := guard{data: u.data, pos: u.pos, start: -1}
	n, err := g.size(op)
	if err != nil {
		return err
	}
	u.out = append(u.out, u.data[u.pos:u.pos+n]...)
	u.pos += n
	return nil
}

// maxLine caps a line of digits.
const maxLine = 64

func (u *upgrader) line() (string, error) {
	rest := u.data[u.pos+1:]
	i := bytes.IndexByte(rest, '\n')
	if i < 0 {
		return "", u.errorf("a line is cut off")
	}
	if op := u.data[u.pos]; i > maxLine && op != 'V' && op != 'S' {
		return "", u.errorf("a number is longer than %d characters", maxLine)
	}
	u.pos += i + 2
	return string(rest[:i]), nil
}

// pythonNames are the modules that protocols below 3 call by their names in Python 2.
var pythonNames = map[string]string{"__builtin__": "builtins", "copy_reg": "copyreg"}

func (u *upgrader) global() error {
	g := guard{data: u.data, pos: u.pos}
	module, name, err := g.globalLines()
	if err != nil {
		return err
	}
	u.pos += len(module) + len(name) + 3
	m := string(module)
	if now, ok := pythonNames[m]; ok {
		m = now
	}
	u.out = append(u.out, "c"+m+"\n"+string(name)+"\n"...)
	return nil
}

func (u *upgrader) textual(op byte, line string) error {
	switch op {
	case 'V', 'S':
		s, err := unescape(op, line)
		if err != nil {
			return err
		}
		u.out = binary.LittleEndian.AppendUint32(append(u.out, opBinUnicode), uint32(len(s)))
		u.out = append(u.out, s...)
	case 'F':
		f, err := strconv.ParseFloat(line, 64)
		if err != nil && (math.IsInf(f, 0) || line == "") {
			return fmt.Errorf("the float %q is none", line)
		}
		u.out = binary.BigEndian.AppendUint64(append(u.out, opBinFloat), math.Float64bits(f))
	case 'p', 'g':
		i, err := strconv.ParseUint(line, 10, 31)
		if err != nil {
			return fmt.Errorf("the memo index %q is none", line)
		}
		u.out = binary.LittleEndian.AppendUint32(append(u.out, map[byte]byte{'p': opLongBinPut, 'g': opLongBinGet}[op]),
			uint32(i))
	default:
		return u.integer(strings.TrimSuffix(line, "L"))
	}
	return nil
}

func (u *upgrader) integer(digits string) error {
	if digits == "01" || digits == "00" {
		u.out = append(u.out, map[string]byte{"01": opNewTrue, "00": opNewFalse}[digits])
		return nil
	}
	n, ok := new(big.Int).SetString(digits, 10)
	if !ok {
		return fmt.Errorf("the integer %q is none", digits)
	}
	b := twosComplement(n)
	u.out = append(append(u.out, opLong1, byte(len(b))), b...)
	return nil
}

// twosComplement is n in little-endian bytes, the last one with the sign.
func twosComplement(n *big.Int) []byte {
	size := n.BitLen()/8 + 1
	if n.Sign() < 0 {
		n = new(big.Int).Add(n, new(big.Int).Lsh(big.NewInt(1), uint(8*size)))
	}
	b := n.FillBytes(make([]byte, size))
	slices.Reverse(b)
	return b
}

// unescape decodes what UNICODE holds: latin1 with \uXXXX and \UXXXXXXXX; and STRING: a quoted Python 2 text.
func unescape(op byte, line string) (string, error) {
	if op == 'S' {
		if len(line) < 2 || line[0] != line[len(line)-1] || strings.ContainsAny(line, `\`) {
			return "", fmt.Errorf("a text of Python 2 holds an escape: write the file with Python 3")
		}
		line = line[1 : len(line)-1]
	}
	var out strings.Builder
	for i := 0; i < len(line); i++ {
		digits := 0
		if line[i] == '\\' && i+1 < len(line) {
			digits = map[byte]int{'u': 4, 'U': 8}[line[i+1]]
		}
		if digits == 0 {
			out.WriteRune(rune(line[i]))
			continue
		}
		code, err := strconv.ParseUint(line[min(i+2, len(line)):min(i+2+digits, len(line))], 16, 32)
		if err != nil || i+2+digits > len(line) || code > 0x10ffff {
			return "", fmt.Errorf("a text has an escape that is none")
		}
		out.WriteRune(rune(code))
		i += 1 + digits
	}
	return out.String(), nil
}

func (u *upgrader) errorf(format string, args ...any) error {
	return fmt.Errorf("byte %d: "+format, append([]any{u.pos}, args...)...)
}
