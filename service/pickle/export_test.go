package pickle

import "io"

// Probe probes content, as Unpack does with what is compressed.
func Probe(in io.Reader, size int, known func(Global) bool) (int, error) {
	return probeContent(in, size, known)
}
