package relay

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// maxSessions bounds what one server can have remembered: its sessions, the least
	// recently used of which is forgotten, and their cookies.
	maxSessions      = 1024
	maxSessionKey    = 1 << 10 // bytes
	maxCookies       = 8       // of a session; Cloud Run has one
	maxCookieBytes   = 1 << 10 // Cloud Run's has some 50
	sessionHeader    = "Mcp-Session-Id"
	sessionLiveAfter = 5 * time.Minute // of its last use a session is taken to be over
)

// sessions keeps, for each MCP session that a server has, the cookies that lead to the
// instance where it is. Cloud Run's session affinity is such a cookie, and clients of MCP
// keep none. A cookie is sent only within the session that got it: those of one client's
// editors lead to different instances.
type sessions struct {
	mu    sync.Mutex
	byKey map[string]*session
}

type session struct {
	cookies map[string]string // by name, as they are sent
	used    time.Time
	streams int // that are open
}

func newSessions() *sessions { return &sessions{byKey: map[string]*session{}} }

// sessionKey names the session that a request may be in. With Streamable HTTP that is what
// the header says. With the 2024-11-05 transport it is the URL that messages are posted
// to, which the server makes up for each session.
func sessionKey(header http.Header, to *url.URL) string {
	if id := header.Get(sessionHeader); id != "" {
		return "id " + id
	}
	return "at " + to.RequestURI()
}

// cookie is the Cookie header of a request in a session, or "".
func (s *sessions) cookie(key string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.byKey[key]
	if known == nil {
		return ""
	}
	known.used = time.Now()
	return strings.Join(slices.Sorted(maps.Values(known.cookies)), "; ")
}

// begin remembers a session, or that it was used, with the cookies that an answer set.
func (s *sessions) begin(key string, cookies []*http.Cookie) {
	if len(key) > maxSessionKey {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.byKey[key]
	if known == nil {
		if len(s.byKey) >= maxSessions {
			s.forgetOldest()
		}
		known = &session{}
		s.byKey[key] = known
	}
	known.used = time.Now()
	for _, c := range cookies {
		known.keep(c)
	}
}

func (known *session) keep(c *http.Cookie) {
	ended := c.MaxAge < 0 || !c.Expires.IsZero() && c.Expires.Before(time.Now())
	_, replaces := known.cookies[c.Name]
	switch {
	case ended:
		delete(known.cookies, c.Name)
	case len(c.Name)+len(c.Value) > maxCookieBytes, !replaces && len(known.cookies) >= maxCookies:
	default:
		if known.cookies == nil {
			known.cookies = map[string]string{}
		}
		known.cookies[c.Name] = (&http.Cookie{Name: c.Name, Value: c.Value, Quoted: c.Quoted}).String()
	}
}

func (s *sessions) forgetOldest() {
	oldest := ""
	for key, known := range s.byKey {
		if oldest == "" || known.used.Before(s.byKey[oldest].used) {
			oldest = key
		}
	}
	delete(s.byKey, oldest)
}

// end forgets a session.
func (s *sessions) end(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byKey, key)
}

// streaming notes that a stream of the session has opened, until the function that it
// returns is called.
func (s *sessions) streaming(key string) (closed func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.byKey[key]
	if known == nil {
		return func() {}
	}
	known.streams++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		known.streams--
		known.used = time.Now()
	}
}

// beginSSE remembers a session of the 2024-11-05 transport by the URL that its messages
// are posted to, until the function that it returns is called, at the end of its stream.
func (s *sessions) beginSSE(postTo *url.URL, cookies []*http.Cookie) (ended func()) {
	key := sessionKey(nil, postTo)
	s.begin(key, cookies)
	s.streaming(key)
	return func() { s.end(key) }
}

// BeginSSE notes that messages to a URL of the target belong to the session of the
// 2024-11-05 transport whose stream an answer is, until the function that it returns is
// called. They take the cookies that lead to the session's instance.
func (s *Sender) BeginSSE(t Target, postTo *url.URL, stream *http.Response) (ended func()) {
	return s.sessionsOf(t).beginSSE(postTo, stream.Cookies())
}

// live counts the sessions that are in use.
func (s *sessions) live(now time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, known := range s.byKey {
		if known.streams > 0 || now.Sub(known.used) < sessionLiveAfter {
			n++
		}
	}
	return n
}

// answered keeps the account of the session that a request was in, or that its answer
// begins.
func (s *sessions) answered(key, method string, request http.Header, answer *http.Response) {
	id, asked, ok := answer.Header.Get(sessionHeader), request.Get(sessionHeader), answer.StatusCode < 300
	switch {
	case asked != "" && (answer.StatusCode == http.StatusNotFound || method == http.MethodDelete && ok):
		s.end(key)
	case ok && id != "":
		s.begin(sessionKey(answer.Header, nil), answer.Cookies())
	case ok && (asked != "" || s.has(key)):
		s.begin(key, answer.Cookies())
	}
}

func (s *sessions) has(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byKey[key] != nil
}
