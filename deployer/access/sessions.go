package access

import (
	"crypto/rand"
	"crypto/subtle"
	"sync"
	"time"
)

// Bounds of sessions.
const (
	SessionLife = 12 * time.Hour
	maxSessions = 10_000
)

// session is a browser that has logged in. It stands for its token: without that it ends.
type session struct {
	token hashed
	csrf  string
	until time.Time
}

// sessions are kept in memory, by the hash of their secret: after a restart people log in again.
type sessions struct {
	now clock

	mu  sync.Mutex
	all map[hashed]session
}

// begin opens a session for a token and returns its secret, for the cookie.
func (s *sessions) begin(token hashed) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for id, old := range s.all {
		if now.After(old.until) || len(s.all) >= maxSessions {
			delete(s.all, id)
		}
	}
	secret := rand.Text()
	s.all[hash(secret)] = session{token: token, csrf: rand.Text(), until: now.Add(SessionLife)}
	return secret
}

func (s *sessions) find(secret string) (session, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.all[hash(secret)]
	return found, ok && s.now().Before(found.until)
}

func (s *sessions) end(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, hash(secret))
}

// sent says whether a request brought the session's CSRF token.
func (s session) sent(token string) bool {
	return subtle.ConstantTimeCompare([]byte(s.csrf), []byte(token)) == 1
}
