//go:build !amd64

package model

func (p packed[W]) walk(at []uint32, steps int, x [][lanes]W, stride int) {
	p.walkPortably(at, steps, x, stride)
}
