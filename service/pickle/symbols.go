package pickle

import (
	"errors"
	"fmt"
)

// kind is what the guard knows about a value on the stack without building it.
type kind uint8

const (
	kindNone  kind = iota // an empty memo slot
	kindOther             // numbers, None, booleans
	kindStr
	kindText // text that was just read, and not fetched from the memo
	kindKept // the same, and stored in the memo
	kindBytes
	kindTuple
	kindList
	kindDict
	kindSet
	kindGlobal // what GLOBAL pushes: a class or constructor
	kindObject // what REDUCE or NEWOBJ made
)

// plain is the kind of value, however it came onto the stack.
func (k kind) plain() kind {
	if k == kindText || k == kindKept {
		return kindStr
	}
	return k
}

// symbols is the state of a pickle machine that holds kinds in place of values.
type symbols struct {
	stack    []kind
	marks    []int // stack heights
	memo     []kind
	memoSize int // number of distinct keys: MEMOIZE stores at this one
}

// Rough costs in bytes of what gopickle allocates.
const (
	costValue = 24
	costTuple = 48
	costList  = 160
	costDict  = 256
	costMemo  = 80
	costMark  = 320
	// What a container grows by: it is copied to a larger one now and then.
	costElement = 32
	costEntry   = 80
)

// apply checks one opcode against the symbolic machine and advances it.
func (g *guard) apply(op byte, arg []byte) error {
	if err := g.spend(costValue + len(arg)); err != nil {
		return err
	}
	switch op {
	case opProto:
		return checkProto(arg[0])
	case opMark:
		return g.mark()
	case opStop:
		return g.stop()
	case opBinPut, opLongBinPut:
		return g.put(int(littleEndian(arg)))
	case opMemoize:
		return g.put(g.memoSize)
	case opBinGet, opLongBinGet:
		return g.get(int(littleEndian(arg)))
	case opAppend, opSetItem, opAppends, opSetItems, opAddItems:
		return g.fill(op)
	case opReduce, opNewObj, opBuild, opStackGlobal, opGlobal:
		return g.class(op)
	}
	return g.value(op, arg)
}

func checkProto(v byte) error {
	if v < 2 || v > 5 {
		return fmt.Errorf("pickle protocol %d: want 2 to 5", v)
	}
	return nil
}

// value handles the opcodes that push one new value.
func (g *guard) value(op byte, arg []byte) error {
	switch op {
	case opBinFloat, opBinInt, opBinInt1, opBinInt2, opNone, opNewTrue, opNewFalse:
		return g.push(kindOther)
	case opLong1:
		if n := len(arg) - 1; n == 0 || n > maxLong {
			return fmt.Errorf("an integer of %d bytes: want 1 to %d", n, maxLong)
		}
		return g.push(kindOther)
	case opBinUnicode, opShortBinUnicode, opBinUnicode8:
		return g.push(kindText)
	case opBinBytes, opShortBinBytes, opBinBytes8, opByteArray8:
		return g.push(kindBytes)
	}
	return g.container(op)
}

// container handles the opcodes that push a container.
func (g *guard) container(op byte) error {
	if *g.objects--; *g.objects < 0 {
		return fmt.Errorf("more than %d objects", maxObjects)
	}
	switch op {
	case opEmptyDict:
		return errors.Join(g.spend(costDict), g.push(kindDict))
	case opEmptyList:
		return errors.Join(g.spend(costList), g.push(kindList))
	case opEmptySet:
		return errors.Join(g.spend(costDict), g.push(kindSet))
	case opEmptyTuple, opTuple1, opTuple2, opTuple3:
		n := 0
		if op != opEmptyTuple {
			n = int(op-opTuple1) + 1
		}
		if err := g.pop(n); err != nil {
			return err
		}
		return errors.Join(g.spend(costTuple+16*n), g.push(kindTuple))
	case opTuple, opFrozenSet:
		if _, err := g.popMark(); err != nil {
			return err
		}
		if op == opTuple {
			return errors.Join(g.spend(costMark), g.push(kindTuple)) // it keeps the spare stack of its MARK
		}
		return errors.Join(g.spend(costMark), g.push(kindSet))
	}
	return fmt.Errorf("opcode 0x%02x has no rule", op)
}

// fill handles the opcodes that add to the container below.
func (g *guard) fill(op byte) error {
	n, batch := 1, op == opAppends || op == opSetItems || op == opAddItems
	if op == opSetItem {
		n = 2
	}
	if batch {
		var err error
		if n, err = g.popMark(); err != nil {
			return err
		}
	} else if err := g.pop(n); err != nil {
		return err
	}
	added := g.stack[len(g.stack):][:n]
	want, cost := kindSet, costElement
	switch op {
	case opAppend, opAppends:
		want = kindList
	case opSetItem, opSetItems:
		want, cost = kindDict, costEntry/2
	}
	if want == kindDict && n%2 != 0 {
		return errors.New("a dict gets a key without a value")
	}
	if top := g.top(); top != want && (top != kindObject || want != kindDict) {
		return errors.New("values are added to something that is no container of their kind")
	}
	if want == kindDict {
		g.earnTerms(added)
	}
	return g.spend(cost * n)
}

// class handles the opcodes that name a global, call it or give its instance a state.
func (g *guard) class(op byte) error {
	switch op {
	case opGlobal:
		return g.push(kindGlobal)
	case opStackGlobal:
		if err := g.popKinds("a global's module and name", kindStr, kindStr); err != nil {
			return err
		}
		return g.push(kindGlobal)
	case opBuild:
		if err := g.pop(1); err != nil {
			return err
		}
		if g.top() != kindObject {
			return errors.New("BUILD gives a state to something that is no instance")
		}
		return nil
	}
	if err := g.popKinds("a call", kindGlobal, kindTuple); err != nil {
		return err
	}
	if *g.objects--; *g.objects < 0 {
		return fmt.Errorf("more than %d objects", maxObjects)
	}
	return errors.Join(g.spend(costDict), g.push(kindObject))
}

func (g *guard) mark() error {
	if len(g.marks) >= maxMarks {
		return fmt.Errorf("more than %d containers inside one another", maxMarks)
	}
	g.marks = append(g.marks, len(g.stack))
	return g.spend(costMark / 8) // mostly garbage at once: gopickle's spare stack
}

func (g *guard) popMark() (int, error) {
	if len(g.marks) == 0 {
		return 0, errors.New("a container ends that never began")
	}
	height := g.marks[len(g.marks)-1]
	g.marks = g.marks[:len(g.marks)-1]
	n := len(g.stack) - height
	g.stack = g.stack[:height]
	return n, nil
}

func (g *guard) stop() error {
	if len(g.marks) > 0 || len(g.stack) != 1 {
		return errors.New("the pickle stops with unfinished values on its stack")
	}
	return nil
}

func (g *guard) put(i int) error {
	if len(g.stack) == g.floor() {
		return errors.New("the memo stores a value that is not there")
	}
	if i >= maxMemo {
		return fmt.Errorf("memo index %d: want less than %d", i, maxMemo)
	}
	if i >= len(g.memo) {
		if i > 2*len(g.memo)+1024 {
			return fmt.Errorf("memo index %d is far beyond the %d used so far", i, len(g.memo))
		}
		g.memo = append(g.memo, make([]kind, i+1-len(g.memo))...)
	}
	if g.memo[i] != kindNone {
		return fmt.Errorf("memo index %d is used twice", i)
	}
	if g.memo[i] = g.top().plain(); g.top() == kindText {
		g.stack[len(g.stack)-1] = kindKept
	}
	g.memoSize++
	return g.spend(costMemo)
}

func (g *guard) get(i int) error {
	if i >= len(g.memo) || g.memo[i] == kindNone {
		return fmt.Errorf("memo index %d is read before it is stored", i)
	}
	return g.push(g.memo[i])
}

func (g *guard) push(k kind) error {
	if len(g.stack) >= maxStack {
		return fmt.Errorf("more than %d values on the stack", maxStack)
	}
	g.stack = append(g.stack, k)
	return nil
}

// floor is the stack height below which the current MARK hides values.
func (g *guard) floor() int {
	if len(g.marks) == 0 {
		return 0
	}
	return g.marks[len(g.marks)-1]
}

func (g *guard) top() kind {
	if len(g.stack) <= g.floor() {
		return kindNone
	}
	return g.stack[len(g.stack)-1]
}

func (g *guard) pop(n int) error {
	if len(g.stack)-g.floor() < n {
		return errors.New("an opcode takes a value that is not there")
	}
	g.stack = g.stack[:len(g.stack)-n]
	return nil
}

// popKinds pops values of the given kinds; the last one is the top of the stack.
func (g *guard) popKinds(what string, kinds ...kind) error {
	if len(g.stack)-g.floor() < len(kinds) {
		return fmt.Errorf("%s wants %d values that are not there", what, len(kinds))
	}
	at := len(g.stack) - len(kinds)
	for i, want := range kinds {
		if g.stack[at+i].plain() != want {
			return fmt.Errorf("%s is made of values of the wrong kind", what)
		}
	}
	g.stack = g.stack[:at]
	return nil
}
