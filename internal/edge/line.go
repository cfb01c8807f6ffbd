package edge

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
)

// Request is a request as nginx has logged it, when it was over.
type Request struct {
	Model, Release string // that were chosen; no release where none is recorded
	Forced         bool   // the release was asked for by header, not drawn
	Generation     string // of the configuration of the worker that had it
	Status         int    // that the client got; Gone: it did not wait for it
	Seconds        float64
	Attempts       []Attempt // at instances, in order; none where nginx answered by itself
}

// Attempt is what came of sending a request to one instance.
type Attempt struct {
	Addr    netip.AddrPort
	Outcome Outcome
	Code    int // HTTP status of the answer; 0 where there was none; Gone
}

// Outcome is how an attempt ended.
type Outcome int

// Outcomes of an attempt. All but Answered and Abandoned are failures without an answer.
const (
	Answered  Outcome = iota // with an HTTP status, whatever it says
	Connect                  // no connection: refused, or not in time
	Reset                    // the connection ended before an answer
	Timeout                  // no answer in time
	Abandoned                // the client went away first
)

// Gone is the status by which nginx logs that the client went away before there was an answer.
const Gone = 499

// errLine says that a line of the log is none of ours, or broken.
var errLine = errors.New("no line of the ingress's log")

// start is how each line begins: by it a whole line is found behind the torn end of another.
var start = []byte(`{"time":"`)

// Parse reads a line of nginx's log. Where a full disk has torn the line before, it reads what follows the torn end.
func Parse(line []byte) (Request, error) {
	r, err := parse(line)
	if err == nil {
		return r, nil
	}
	if i := bytes.LastIndex(line, start); i > 0 {
		return parse(line[i:])
	}
	return r, err
}

// lists are the values of one field for each attempt.
type lists struct{ addrs, codes, connects, headers []byte }

func parse(line []byte) (r Request, err error) {
	var l lists
	missing := 6 // of the fields without which a line says nothing
	ok := fields(line, func(name, value []byte) bool {
		missing--
		switch string(name) {
		case "model":
			r.Model = string(value)
		case "release":
			r.Release = string(value)
		case "generation":
			r.Generation = string(value)
		case "status":
			r.Status, err = strconv.Atoi(string(value))
		case "seconds":
			r.Seconds, err = strconv.ParseFloat(string(value), 64)
		case "upstream_addr":
			l.addrs = value
		default:
			missing++
			r.other(&l, name, value)
		}
		return err == nil
	})
	if !ok || missing != 0 {
		return r, fmt.Errorf("%w: %.200q", errLine, line)
	}
	r.Attempts = l.attempts()
	return r, nil
}

func (r *Request) other(l *lists, name, value []byte) {
	switch string(name) {
	case "forced":
		r.Forced = len(value) > 0
	case "upstream_status":
		l.codes = value
	case "upstream_connect":
		l.connects = value
	case "upstream_header":
		l.headers = value
	}
}

// fields calls each for the members of a JSON object of texts, as nginx's escape=json writes it; what is escaped stays
// so. It reports whether the line is such an object and each was content.
func fields(line []byte, each func(name, value []byte) bool) bool {
	line, ok := bytes.CutPrefix(line, []byte("{"))
	for ok {
		var name, value []byte
		if name, line, ok = text(line, ':'); !ok {
			return false
		}
		if value, line, ok = text(line, 0); !ok || !each(name, value) || len(line) == 0 {
			return false
		}
		if line[0] == '}' {
			return len(line) == 1
		}
		line, ok = bytes.CutPrefix(line, []byte(","))
	}
	return false
}

// text takes a quoted text off the line, and the byte that must follow it, unless that is 0.
func text(line []byte, after byte) (value, rest []byte, ok bool) {
	if len(line) == 0 || line[0] != '"' {
		return nil, nil, false
	}
	for end := 1; ; end++ {
		i := bytes.IndexByte(line[end:], '"')
		if i < 0 {
			return nil, nil, false
		}
		if end += i; !escaped(line[:end]) {
			value, rest = line[1:end], line[end+1:]
			break
		}
	}
	if after == 0 {
		return value, rest, true
	}
	if len(rest) == 0 || rest[0] != after {
		return nil, nil, false
	}
	return value, rest[1:], true
}

// escaped reports whether an odd number of backslashes is before what follows.
func escaped(before []byte) bool {
	n := len(before)
	for n > 0 && before[n-1] == '\\' {
		n--
	}
	return (len(before)-n)%2 == 1
}

// attempts puts the lists together. What is at no address was no attempt: nginx then found no instance to ask.
func (l *lists) attempts() []Attempt {
	var out []Attempt
	for len(l.addrs) > 0 {
		var addr, code, connect, header []byte
		addr, l.addrs = next(l.addrs)
		code, l.codes = next(l.codes)
		connect, l.connects = next(l.connects)
		header, l.headers = next(l.headers)
		at, err := netip.ParseAddrPort(string(addr))
		if err != nil {
			continue
		}
		out = append(out, outcome(at, string(code), string(connect), string(header)))
	}
	return out
}

// next takes the value of the next attempt off a list. nginx parts attempts by a comma, and those before and after an
// internal redirect by a colon.
func next(list []byte) (value, rest []byte) {
	for i := 0; i+1 < len(list); i++ {
		if list[i] == ',' && list[i+1] == ' ' {
			return list[:i], list[i+2:]
		}
		if i+2 < len(list) && list[i] == ' ' && list[i+1] == ':' && list[i+2] == ' ' {
			return list[:i], list[i+3:]
		}
	}
	return list, nil
}

// outcome tells what nginx writes apart: for an attempt without an answer it makes a status up, 502 or 504, but there is
// no time of a header; and for one without a connection no time of connecting.
func outcome(at netip.AddrPort, code, connect, header string) Attempt {
	n, err := strconv.Atoi(code)
	switch {
	case err != nil || n == Gone && header == "-":
		return Attempt{at, Abandoned, Gone}
	case header != "-":
		return Attempt{at, Answered, n}
	case connect == "-":
		return Attempt{at, Connect, 0}
	case n == 504:
		return Attempt{at, Timeout, 0}
	default:
		return Attempt{at, Reset, 0}
	}
}

// kind names the outcome for people and metrics.
func (a Attempt) kind() string {
	switch a.Outcome {
	case Connect:
		return "connect"
	case Reset:
		return "reset"
	case Timeout:
		return "timeout"
	case Abandoned:
		return "abandoned"
	case Answered:
	}
	switch {
	case a.Code < 500:
		return "answered"
	case a.Code >= 502 && a.Code <= 504:
		return strconv.Itoa(a.Code)
	default:
		return "5xx"
	}
}
