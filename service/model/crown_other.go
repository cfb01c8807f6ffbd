//go:build !amd64

package model

const hasCrowns = false

func crown32(*crown, *uint32, int, *[lanes]uint32, int) {}
