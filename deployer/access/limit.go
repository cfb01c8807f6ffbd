package access

import (
	"net/netip"
	"sync"
	"time"
)

// Bounds of guessing.
const (
	maxFailures = 5
	per         = time.Minute
	maxTracked  = 100_000
)

// limiter counts wrong tokens by the address that sent them: a host, or an IPv6 network of 64 bits.
type limiter struct {
	now clock

	mu     sync.Mutex
	failed map[netip.Prefix]failures
}

type failures struct {
	count int
	since time.Time
}

func network(remote string) netip.Prefix {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	addr, bits := at.Addr().Unmap(), 32
	if addr.Is6() {
		bits = 64
	}
	p, _ := addr.WithZone("").Prefix(bits) // the length fits
	return p
}

// wait is how long an address must wait before its next try; 0 for not at all.
func (l *limiter) wait(remote string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	f, now := l.failed[network(remote)], l.now()
	if f.count < maxFailures {
		return 0
	}
	return max(0, f.since.Add(per).Sub(now))
}

// fail counts a wrong token.
func (l *limiter) fail(remote string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	for from, f := range l.failed {
		if now.Sub(f.since) >= per || len(l.failed) >= maxTracked {
			delete(l.failed, from)
		}
	}
	f := l.failed[network(remote)]
	if f.count == 0 {
		f.since = now
	}
	f.count++
	l.failed[network(remote)] = f
}
