package nginx

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

// Settings are the parts of nginx's configuration that do not come from Consul.
type Settings struct {
	Binary    string // path of nginx
	Dir       string // absolute folder of everything nginx writes: configuration, pid, logs, temporary files
	Listen    string // host:port. The host is an IP address, or empty for all addresses
	User      string // user of the workers where nginx runs as root, "name" or "name group"; it must be able to reach Dir
	Workers   int    // worker processes; 0 for one per core
	AccessLog string // path, or "off"; "" for logs/access.log in Dir
	MaxBody   string // largest request body, as nginx writes sizes, e.g. "8m"
	MaxFile   int64  // bytes that a file of nginx may grow to; 0 for MaxFile

	Trusted []netip.Prefix // addresses whose X-Weir-Release header is honoured

	ConnectTimeout  time.Duration // to connect to an instance
	RequestTimeout  time.Duration // between two reads from an instance
	RetryTimeout    time.Duration // how long after its start a request may be passed to a further instance
	ShutdownTimeout time.Duration // how long old workers may finish requests after a reload
	DrainWindow     time.Duration // how long clients are moved off their connections before a reload
}

var (
	safePath  = regexp.MustCompile(`^/[A-Za-z0-9/ ._+=@,~-]*$`)
	userForm  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*( [A-Za-z_][A-Za-z0-9_.-]*)?$`)
	sizeForm  = regexp.MustCompile(`^[1-9][0-9]*[kKmMgG]?$`)
	epochForm = regexp.MustCompile(`^[0-9]+/([0-9]+|-)$`)
)

// check refuses settings that nginx would refuse or misread.
func (s Settings) check() error {
	if !filepath.IsAbs(s.Dir) || !safePath.MatchString(s.Dir) {
		return fmt.Errorf("nginx's folder %q: want an absolute path of letters, digits, spaces and /._+=@,~-", s.Dir)
	}
	if s.AccessLog != "off" && s.AccessLog != "" && !safePath.MatchString(s.AccessLog) {
		return fmt.Errorf("access log %q: want off or an absolute path of letters, digits, spaces and /._+=@,~-", s.AccessLog)
	}
	if s.User != "" && !userForm.MatchString(s.User) {
		return fmt.Errorf("nginx's user %q: want a user name, or a user and a group name", s.User)
	}
	if !sizeForm.MatchString(s.MaxBody) {
		return fmt.Errorf("largest request body %q: want a size such as 8m", s.MaxBody)
	}
	for name, d := range map[string]time.Duration{
		"connect": s.ConnectTimeout, "request": s.RequestTimeout, "retry": s.RetryTimeout, "shutdown": s.ShutdownTimeout,
	} {
		if d < time.Millisecond {
			return fmt.Errorf("%s timeout %s: want at least 1ms", name, d)
		}
	}
	_, _, err := s.address()
	return err
}

// address splits Listen into an IP address, unspecified for all, and a port.
func (s Settings) address() (netip.Addr, int, error) {
	host, text, err := net.SplitHostPort(s.Listen)
	if err != nil {
		return netip.Addr{}, 0, fmt.Errorf("read the listen address %q: %w", s.Listen, err)
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return netip.Addr{}, 0, fmt.Errorf("listen address %q: want a port from 1 to 65535", s.Listen)
	}
	if host == "" {
		return netip.IPv4Unspecified(), int(port), nil
	}
	addr, err := netip.ParseAddr(host)
	if err != nil || addr.Zone() != "" {
		return netip.Addr{}, 0, fmt.Errorf("listen address %q: want an IP address such as 127.0.0.1 before the port", s.Listen)
	}
	return addr, int(port), nil
}

// statusAddress is where this machine reaches the listener.
func (s Settings) statusAddress() (string, error) {
	addr, port, err := s.address()
	if err != nil {
		return "", err
	}
	if addr.IsUnspecified() {
		addr = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		if s.Listen[0] == '[' {
			addr = netip.IPv6Loopback()
		}
	}
	return netip.AddrPortFrom(addr, uint16(port)).String(), nil //nolint:gosec // 16 bits by ParseUint
}
