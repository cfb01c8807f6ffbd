package access

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// Names on the wire.
const (
	Cookie     = "weir_session"
	HeaderCSRF = "X-CSRF-Token"
)

// Gate recognises who sends a request.
type Gate struct {
	tokens   *Tokens // nil: whoever reaches the loopback address may do everything
	hosts    map[string]bool
	sessions sessions
	limit    limiter
	origins  *http.CrossOriginProtection
}

// NewGate returns a gate for a server at an address. Without tokens it serves loopback only, and refuses requests for
// other host names: a web page could otherwise point a name of its own at 127.0.0.1.
func NewGate(listen string, tokens *Tokens) (*Gate, error) {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, fmt.Errorf("address %q: %w", listen, err)
	}
	g := &Gate{
		tokens: tokens, origins: http.NewCrossOriginProtection(),
		sessions: sessions{now: time.Now, all: map[hashed]session{}},
		limit:    limiter{now: time.Now, failed: map[netip.Prefix]failures{}},
	}
	if tokens == nil {
		addr, err := netip.ParseAddr(host)
		if host != "localhost" && (err != nil || !addr.IsLoopback()) {
			return nil, fmt.Errorf("address %q is not of loopback: give --tokens, so that only those who may can act", listen)
		}
		g.hosts = map[string]bool{"localhost": true, "127.0.0.1": true, "::1": true, host: true}
	}
	return g, nil
}

// The reasons why a request is refused.
var (
	ErrNobody = errors.New("send a token as `Authorization: Bearer …`, or log in")
	ErrHost   = errors.New("this server answers to loopback names only")
	ErrOrigin = errors.New("the request comes from another site, or without the page's " + HeaderCSRF)
)

// LimitError says that too many wrong tokens came from an address.
type LimitError struct{ Wait time.Duration }

func (e *LimitError) Error() string {
	return fmt.Sprintf("too many wrong tokens: try again in %s", e.Wait.Round(time.Second))
}

// Open says whether nobody needs a token.
func (g *Gate) Open() bool { return g.tokens == nil }

// SameOrigin refuses what another site has a browser send.
func (g *Gate) SameOrigin(r *http.Request) error {
	if err := g.origins.Check(r); err != nil {
		return fmt.Errorf("%w: %w", ErrOrigin, err)
	}
	return nil
}

// Recognise returns who sends a request, or why it is refused.
func (g *Gate) Recognise(r *http.Request) (Principal, error) {
	if err := g.SameOrigin(r); err != nil {
		return Principal{}, err
	}
	if g.Open() {
		if !g.hosts[hostOf(r.Host)] {
			return Principal{}, fmt.Errorf("%w, not to %q", ErrHost, r.Host)
		}
		return Principal{Name: "loopback", Role: Admin, Models: []string{"*"}}, nil
	}
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return g.try(r.RemoteAddr, bearer)
	}
	return g.bySession(r)
}

func hostOf(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		return h
	}
	return strings.Trim(host, "[]")
}

// try recognises a token, unless too many wrong ones came from there.
func (g *Gate) try(remote, secret string) (Principal, error) {
	if wait := g.limit.wait(remote); wait > 0 {
		return Principal{}, &LimitError{wait}
	}
	p, ok := g.tokens.find(hash(secret))
	if !ok {
		g.limit.fail(remote)
		return p, ErrNobody
	}
	return p, nil
}

// bySession recognises a browser by its cookie. What changes something must bring the session's CSRF token, too.
func (g *Gate) bySession(r *http.Request) (Principal, error) {
	s, ok := g.session(r)
	if !ok {
		return Principal{}, ErrNobody
	}
	p, ok := g.tokens.find(s.token)
	if !ok {
		return p, ErrNobody
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead && !s.sent(r.Header.Get(HeaderCSRF)) {
		return Principal{}, ErrOrigin
	}
	return p, nil
}

func (g *Gate) session(r *http.Request) (session, bool) {
	c, err := r.Cookie(Cookie)
	if err != nil {
		return session{}, false
	}
	return g.sessions.find(c.Value)
}

// CSRF is the token that a browser's acts must bring; "" where it has no session.
func (g *Gate) CSRF(r *http.Request) string {
	s, _ := g.session(r)
	return s.csrf
}

// Login opens a session for a token and sets its cookie.
func (g *Gate) Login(w http.ResponseWriter, r *http.Request, secret string) (Principal, error) {
	if err := g.SameOrigin(r); err != nil {
		return Principal{}, err
	}
	p, err := g.try(r.RemoteAddr, secret)
	if err == nil {
		http.SetCookie(w, cookie(r, g.sessions.begin(hash(secret)), int(SessionLife.Seconds())))
	}
	return p, err
}

// Logout ends the session of a request.
func (g *Gate) Logout(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(Cookie); err == nil {
		g.sessions.end(c.Value)
	}
	http.SetCookie(w, cookie(r, "", -1))
}

func cookie(r *http.Request, value string, age int) *http.Cookie {
	return &http.Cookie{
		Name: Cookie, Value: value, Path: "/", MaxAge: age, HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https",
	}
}
