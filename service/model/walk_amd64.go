package model

// walk makes so many steps of each walk, of which those in a leaf stay there. That all nodes lead to nodes and split on
// columns that x has, the packer has made sure; it is not checked here.
func (p packed[W]) walk(at []uint32, steps int, x [][lanes]W, stride int) {
	if len(at) < lanes || steps < 1 || len(x) == 0 {
		return
	}
	switch nodes := any(&p[0]).(type) {
	case *node[uint32]:
		walk32(nodes, &at[0], len(at)/lanes, steps, any(&x[0]).(*[lanes]uint32), stride*lanes*4)
	case *node[uint64]:
		walk64(nodes, &at[0], len(at)/lanes, steps, any(&x[0]).(*[lanes]uint64), stride*lanes*8)
	}
}

// Both are in walk_amd64.s, because the compiler takes twice the instructions. The stride is in bytes.
//
//go:noescape
func walk32(nodes *node[uint32], at *uint32, groups, steps int, x *[lanes]uint32, stride int)

//go:noescape
func walk64(nodes *node[uint64], at *uint32, groups, steps int, x *[lanes]uint64, stride int)
