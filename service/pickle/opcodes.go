package pickle

import "encoding/binary"

// The opcodes that Python's pickler writes for estimators in protocols 2 to 5. All others are refused: persistent ids,
// extension codes, out-of-band buffers and the ones that only attackers write. Those of protocols 0 and 1 are rewritten
// before (text.go).
const (
	opMark            = '('
	opStop            = '.'
	opBinFloat        = 'G'
	opBinInt          = 'J'
	opBinInt1         = 'K'
	opBinInt2         = 'M'
	opNone            = 'N'
	opReduce          = 'R'
	opBinUnicode      = 'X'
	opAppend          = 'a'
	opBuild           = 'b'
	opGlobal          = 'c'
	opEmptyDict       = '}'
	opAppends         = 'e'
	opBinGet          = 'h'
	opLongBinGet      = 'j'
	opEmptyList       = ']'
	opBinPut          = 'q'
	opLongBinPut      = 'r'
	opSetItem         = 's'
	opTuple           = 't'
	opEmptyTuple      = ')'
	opSetItems        = 'u'
	opBinBytes        = 'B'
	opShortBinBytes   = 'C'
	opProto           = 0x80
	opNewObj          = 0x81
	opTuple1          = 0x85
	opTuple2          = 0x86
	opTuple3          = 0x87
	opNewTrue         = 0x88
	opNewFalse        = 0x89
	opLong1           = 0x8a
	opShortBinUnicode = 0x8c
	opBinUnicode8     = 0x8d
	opBinBytes8       = 0x8e
	opEmptySet        = 0x8f
	opAddItems        = 0x90
	opFrozenSet       = 0x91
	opStackGlobal     = 0x93
	opMemoize         = 0x94
	opFrame           = 0x95
	opByteArray8      = 0x96
)

// refusedOpcodes names the opcodes that exist in pickles and are refused here.
var refusedOpcodes = map[byte]string{
	'0': "POP", '1': "POP_MARK", '2': "DUP", 'F': "FLOAT", 'I': "INT", 'L': "LONG", 'P': "PERSID", 'Q': "BINPERSID",
	'S': "STRING", 'T': "BINSTRING", 'U': "SHORT_BINSTRING", 'V': "UNICODE", 'd': "DICT", 'g': "GET", 'i': "INST",
	'l': "LIST", 'o': "OBJ", 'p': "PUT", 0x82: "EXT1", 0x83: "EXT2", 0x84: "EXT4", 0x8b: "LONG4",
	0x92: "NEWOBJ_EX", 0x97: "NEXT_BUFFER", 0x98: "READONLY_BUFFER",
}

// operand is the shape of what follows an opcode: fixed bytes, or a length of lengthBytes and then that many bytes.
type operand struct {
	known       bool
	fixed       int // bytes that always follow
	lengthBytes int // width of the length that follows, 0 for none
}

var operands = [256]operand{
	opMark: {known: true}, opStop: {known: true}, opNone: {known: true}, opReduce: {known: true},
	opAppend: {known: true}, opBuild: {known: true}, opEmptyDict: {known: true}, opAppends: {known: true},
	opEmptyList: {known: true}, opSetItem: {known: true}, opTuple: {known: true}, opEmptyTuple: {known: true},
	opSetItems: {known: true}, opNewObj: {known: true}, opTuple1: {known: true}, opTuple2: {known: true},
	opTuple3: {known: true}, opNewTrue: {known: true}, opNewFalse: {known: true}, opEmptySet: {known: true},
	opAddItems: {known: true}, opFrozenSet: {known: true}, opStackGlobal: {known: true}, opMemoize: {known: true},
	opGlobal:   {known: true}, // two lines, measured apart
	opBinFloat: {known: true, fixed: 8}, opBinInt: {known: true, fixed: 4}, opBinInt1: {known: true, fixed: 1},
	opBinInt2: {known: true, fixed: 2}, opBinGet: {known: true, fixed: 1}, opLongBinGet: {known: true, fixed: 4},
	opBinPut: {known: true, fixed: 1}, opLongBinPut: {known: true, fixed: 4}, opProto: {known: true, fixed: 1},
	opFrame:      {known: true, fixed: 8},
	opBinUnicode: {known: true, lengthBytes: 4}, opBinBytes: {known: true, lengthBytes: 4},
	opShortBinBytes: {known: true, lengthBytes: 1}, opLong1: {known: true, lengthBytes: 1},
	opShortBinUnicode: {known: true, lengthBytes: 1}, opBinUnicode8: {known: true, lengthBytes: 8},
	opBinBytes8: {known: true, lengthBytes: 8}, opByteArray8: {known: true, lengthBytes: 8},
}

// littleEndian reads an unsigned number of 1, 2, 4 or 8 bytes.
func littleEndian(b []byte) uint64 {
	switch len(b) {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.LittleEndian.Uint16(b))
	case 4:
		return uint64(binary.LittleEndian.Uint32(b))
	default:
		return binary.LittleEndian.Uint64(b)
	}
}
