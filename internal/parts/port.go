package parts

import (
	"fmt"
	"net"
	"sync"
)

// given are the ports that this process has handed out: the kernel may offer one again before its user listens.
var given = struct {
	sync.Mutex
	ports map[int]bool
}{ports: map[int]bool{}}

// FreePort returns a TCP port of the loopback interface on which nothing listens, each only once per process. Another
// process may take it before its user does.
func FreePort() (int, error) {
	given.Lock()
	defer given.Unlock()
	for range 100 {
		listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // nothing to wait for
		if err != nil {
			return 0, fmt.Errorf("find a free port: %w", err)
		}
		port := listener.Addr().(*net.TCPAddr).Port
		if err := listener.Close(); err != nil {
			return 0, fmt.Errorf("find a free port: %w", err)
		}
		if !given.ports[port] {
			given.ports[port] = true
			return port, nil
		}
	}
	return 0, fmt.Errorf("find a free port: the system offers only ports that are already promised")
}
