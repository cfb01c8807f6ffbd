//go:build linux

package multihost

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// hidden is what an ingress has hidden from its clients.
type hidden struct {
	retried int           // requests for which more than one instance was tried
	slowest time.Duration // the longest request
	last    map[string]time.Time
}

func (l *lab) accessLog(h host) string { return l.net.Data(h, "ingress") + "/nginx/logs/access.log" }

// attempts reads what the access log of an ingress says since the load began. last has the end of the last request for
// which an instance on a node was tried, by the node's address, to the second.
func (l *lab) attempts(h host) hidden {
	l.t.Helper()
	file, err := os.Open(l.accessLog(h))
	if err != nil {
		l.t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.Seek(l.seen[h.Name], io.SeekStart); err != nil {
		l.t.Fatal(err)
	}
	out := hidden{last: map[string]time.Time{}}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var line struct{ Time, Attempts, Seconds, UpstreamAddr string }
		text := strings.Replace(lines.Text(), `"upstream_addr"`, `"UpstreamAddr"`, 1)
		if json.Unmarshal([]byte(text), &line) != nil {
			continue // the last one is being written
		}
		if n, err := strconv.Atoi(line.Attempts); err == nil && n > 1 {
			out.retried++
		}
		if s, err := strconv.ParseFloat(line.Seconds, 64); err == nil {
			out.slowest = max(out.slowest, time.Duration(s*float64(time.Second)))
		}
		at, err := time.Parse(time.RFC3339, line.Time)
		for addr := range strings.SplitSeq(line.UpstreamAddr, ", ") {
			node, _, _ := strings.Cut(addr, ":")
			if err == nil && at.After(out.last[node]) {
				out.last[node] = at
			}
		}
	}
	return out
}
