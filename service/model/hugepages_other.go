//go:build !linux

package model

// hugePages does nothing: only Linux is asked.
func hugePages([]byte) {}
