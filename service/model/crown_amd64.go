package model

import "golang.org/x/sys/cpu"

// hasCrowns is whether the processor can take 8 rows at once through a crown.
var hasCrowns = cpu.X86.HasAVX2

// crown32 takes groups of 8 rows through a crown: at gets the nodes. The stride is in bytes.
//
//go:noescape
func crown32(c *crown, at *uint32, groups int, x *[lanes]uint32, stride int)
