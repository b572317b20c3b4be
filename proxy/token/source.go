package token

import (
	"context"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"
)

const (
	// renewAhead is how long before its end a token is renewed while it still serves.
	// Google's live for an hour. Five minutes is also the clock skew commonly allowed.
	renewAhead = 5 * time.Minute

	// tooLate is how long before its end a token is not used any more, so that it does
	// not end on its way.
	tooLate = 10 * time.Second

	// A caller that has no access is refused on every call, and each refusal asks for
	// a new token. These keep that from reaching the token endpoint every time.
	renewEvery = 10 * time.Second
	renewBurst = 3
)

// Options configure a [Source]. The zero value is the developer's own Application
// Default Credentials with Google.
type Options struct {
	// File is the login file. Empty: GOOGLE_APPLICATION_CREDENTIALS, and failing that
	// where gcloud writes it.
	File string
	// TokenURL is the token endpoint. Empty: [GoogleTokenURL].
	TokenURL string
	// Logger gets a line for each exchange, never a token. Nil: none.
	Logger *slog.Logger
}

// A Source hands out the developer's ID token. It holds one, shared by all callers, and
// at most one exchange is under way at a time. Nothing is fetched until it is asked for.
type Source struct {
	login login
	log   *slog.Logger

	flight  singleflight.Group
	renewal *rate.Limiter // of renewals that the login file or the clock do not call for

	mu       sync.Mutex
	current  Token
	read     fs.FileInfo // the login file that current came from
	answered Token       // the last that was given for a refused one
}

// NewSource returns a Source. It does not look at the login yet: one that is missing or
// ended may be there by the time it is needed.
func NewSource(o Options) *Source {
	if o.File == "" {
		o.File = adcFile()
	}
	if o.TokenURL == "" {
		o.TokenURL = GoogleTokenURL
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Source{
		login:   newLogin(o.File, o.TokenURL),
		log:     o.Logger,
		renewal: rate.NewLimiter(rate.Every(renewEvery), renewBurst),
	}
}

// Token returns a token that is good for another ten seconds at least. It exchanges the
// login if there is no such token yet, or if the login file has changed; it starts a
// renewal behind the caller's back if the token's end is near. The error is a
// [*LoginError] if the person has to log in.
//
// The audience is not looked at: a developer's own login gives tokens for one audience,
// the login's OAuth client, which Cloud Run accepts on all services.
func (s *Source) Token(ctx context.Context, _ string) (Token, error) {
	current, sameLogin := s.cached()
	left := time.Until(current.Expires)
	if !sameLogin || left < tooLate {
		return s.fetch(ctx, current)
	}
	if left < renewAhead && s.renewal.Allow() {
		s.start(current)
	}
	return current, nil
}

// Renew returns another token than the one that was refused, if one can be had: the
// current one if that is another already, or else a new one. Called often, it may return
// the refused token itself; and it does for one that was given by Renew, as a third would
// be no better.
func (s *Source) Renew(ctx context.Context, audience string, refused Token) (Token, error) {
	current, sameLogin := s.cached()
	if sameLogin && current == refused && (s.hasAnswered(refused) || !s.renewal.Allow()) {
		return current, nil
	}
	if sameLogin && current != refused {
		return s.Token(ctx, audience)
	}
	renewed, err := s.fetch(ctx, refused)
	if err == nil {
		s.mu.Lock()
		s.answered = renewed
		s.mu.Unlock()
	}
	return renewed, err
}

// AccessToken returns a new OAuth access token for Google's APIs. It is worth far more than
// an ID token: a caller sends it to one API and keeps it no longer. The error is a
// [*LoginError] if the person has to log in.
func (s *Source) AccessToken(ctx context.Context) (string, error) {
	response, err := s.login.grant(ctx)
	if err != nil {
		return "", err
	}
	return response.Value, nil
}

func (s *Source) hasAnswered(refused Token) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.answered == refused
}

func (s *Source) cached() (current Token, sameLogin bool) {
	now := s.login.stat()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current, unchanged(s.read, now)
}

// fetch joins the exchange under way, or starts one that replaces stale. The exchange
// belongs to nobody's context: a caller that leaves does not take it from those who wait
// with it.
func (s *Source) fetch(ctx context.Context, stale Token) (Token, error) {
	select {
	case r := <-s.start(stale):
		tok, _ := r.Val.(Token)
		return tok, r.Err
	case <-ctx.Done():
		return Token{}, ctx.Err()
	}
}

func (s *Source) start(stale Token) <-chan singleflight.Result {
	return s.flight.DoChan("", func() (any, error) {
		// An exchange may have ended between the caller's look and this flight.
		if current, sameLogin := s.cached(); sameLogin && current != stale {
			return current, nil
		}
		ctx, cancel := context.WithTimeout(context.Background(), exchangeTimeout)
		defer cancel()

		read := s.login.stat() // before it is read: a change in between is then seen as one
		tok, err := s.login.exchange(ctx)
		if err != nil {
			s.log.Warn("no ID token could be had", "error", err)
			return Token{}, err
		}
		s.mu.Lock()
		s.current, s.read = tok, read
		s.mu.Unlock()
		s.log.Debug("got an ID token", "account", tok.Account(), "issuer", tok.Issuer, "expires", tok.Expires)
		return tok, nil
	})
}
