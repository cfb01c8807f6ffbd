package pickle

import "fmt"

// links checks the nodes of scikit-learn's trees while they go by: the children of a node stand behind it, as
// scikit-learn writes them, or it has none. So a file can't ask for the memory of a forest with zeros, which any
// compression makes small.
type links struct {
	typ         *DType
	left, right *Field
	node, nodes int
	part        []byte // the first bytes of a node
}

// newLinks checks the n bytes of an array of type d. Of other arrays it checks nothing.
func newLinks(d *DType, n int) *links {
	l := &links{typ: d}
	for i, f := range d.Fields {
		switch integer := f.Type.Kind == 'i'; {
		case integer && f.Name == "left_child":
			l.left = &d.Fields[i]
		case integer && f.Name == "right_child":
			l.right = &d.Fields[i]
		}
	}
	if l.left != nil && l.right != nil {
		l.nodes = n / d.Size
	}
	return l
}

// see checks the next bytes.
func (l *links) see(b []byte) error {
	if l.nodes == 0 {
		return nil
	}
	if len(l.part) > 0 {
		n := min(len(b), l.typ.Size-len(l.part))
		l.part, b = append(l.part, b[:n]...), b[n:]
		if len(l.part) < l.typ.Size {
			return nil
		}
		if err := l.check(l.part); err != nil {
			return err
		}
		l.part = l.part[:0]
	}
	for ; len(b) >= l.typ.Size; b = b[l.typ.Size:] {
		if err := l.check(b); err != nil {
			return err
		}
	}
	l.part = append(l.part, b...)
	return nil
}

func (l *links) check(node []byte) error {
	left, right := l.left.Type.Int(node[l.left.Offset:]), l.right.Type.Int(node[l.right.Offset:])
	at := int64(l.node)
	l.node++
	if left == -1 && right == -1 || left > at && right > at && left < int64(l.nodes) && right < int64(l.nodes) {
		return nil
	}
	return fmt.Errorf("node %d of a tree has the children %d and %d", at, left, right)
}
