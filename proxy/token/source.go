package token

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"

	"github.com/berth-mcp/berth/internal/ascii"
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

	// gcloudAgain is how long gcloud is left alone after its token was of no more use than
	// the refused one.
	gcloudAgain = 10 * time.Minute
)

// A Source hands out ID tokens of one login. It holds one for each audience, or one for all
// if the login cannot choose; it is shared by all callers, and at most one exchange for it
// is under way at a time. Nothing is read or fetched until it is asked for.
type Source struct {
	o   Options
	log *slog.Logger

	flight singleflight.Group

	mu    sync.Mutex
	login *login           // that slots came from; nil before the first
	slots map[string]*slot // by key
	// The audiences whose platform refused Application Default Credentials, and for which
	// gcloud is asked instead, or was.
	instead map[string]*instead
}

// A slot holds one token.
type slot struct {
	current  Token
	answered Token         // the last that was given for a refused one
	renewal  *rate.Limiter // of renewals that neither the login nor the clock call for
}

// instead is gcloud in place of Application Default Credentials, for one audience.
type instead struct {
	gcloud gcloud
	inUse  bool
	since  time.Time
}

// NewSource returns a Source. It does not look at the login yet: one that is missing or
// ended may be there by the time it is needed.
func NewSource(o Options) *Source {
	if o.Kind == "" {
		o.Kind = Auto
	}
	if o.TokenURL == "" {
		o.TokenURL = GoogleTokenURL
	}
	if o.IAMURL == "" {
		o.IAMURL = GoogleIAMURL
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Source{o: o, log: o.Logger}
}

// Token returns a token that is good for another ten seconds at least, and for the audience
// if the login can choose that. It exchanges the login if there is no such token yet, or if
// the login has changed; it starts a renewal behind the caller's back if the token's end is
// near. The error is a [*LoginError] if the person has to log in.
func (s *Source) Token(ctx context.Context, audience string) (Token, error) {
	login, err := s.find()
	if err != nil {
		return Token{}, err
	}
	current := s.cached(login, audience)
	left := time.Until(current.Expires)
	if left < tooLate {
		return s.fetch(ctx, login, audience, current)
	}
	if left < renewAhead && s.mayRenew(audience) {
		s.start(login, audience, current)
	}
	return current, nil
}

// Renew returns another token than the one that was refused, if one can be had: the
// current one if that is another already, or else a new one. If a token that it gave is
// refused in turn, it asks gcloud once for one of the same account. Otherwise, and if it is
// called often, it returns the refused token itself.
func (s *Source) Renew(ctx context.Context, audience string, refused Token) (Token, error) {
	login, err := s.find()
	if err != nil {
		return Token{}, err
	}
	current := s.cached(login, audience)
	switch {
	case current != refused:
		return s.Token(ctx, audience)
	case s.hasAnswered(audience, refused):
		return s.askGcloud(ctx, login, audience, refused)
	case !s.mayRenew(audience):
		return current, nil
	}
	renewed, err := s.fetch(ctx, login, audience, refused)
	if err == nil {
		s.mu.Lock()
		s.slotFor(audience).answered = renewed
		s.mu.Unlock()
	}
	return renewed, err
}

// AccessToken returns a new OAuth access token for an API of the login's cloud, given by its
// name and URL. It is worth far more than an ID token: a caller sends it to that API and
// keeps it no longer. The error is a [*LoginError] if the person has to log in, or if the API
// does not belong to the login's cloud.
func (s *Source) AccessToken(ctx context.Context, name, api string) (string, error) {
	login, err := s.find()
	if err != nil {
		return "", err
	}
	if err := s.o.checkWorld("the configuration", name, api); err != nil {
		return "", err
	}
	return login.accessToken(ctx)
}

// find returns the login as it is now. What came from another is forgotten.
func (s *Source) find() (*login, error) {
	s.mu.Lock()
	held := s.login
	s.mu.Unlock()
	if held != nil && held.unchanged() { // looks at files: not under the lock
		return held, nil
	}
	found, err := s.o.find()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if found.same(s.login) {
		return s.login, nil // another caller was faster
	}
	s.login, s.slots, s.instead = found, map[string]*slot{}, map[string]*instead{}
	return found, nil
}

func (s *Source) cached(login *login, audience string) Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.login != login {
		return Token{} // there is a newer login by now
	}
	return s.slotFor(audience).current
}

// key names the slot of an audience. s.mu is held.
func (s *Source) key(audience string) string {
	switch i := s.instead[audience]; {
	case i != nil && i.inUse:
		return "gcloud " + i.gcloud.account
	case s.login.choosesAudience():
		return "for " + audience
	}
	return "for all"
}

// slotFor returns the slot of an audience. s.mu is held.
func (s *Source) slotFor(audience string) *slot {
	key := s.key(audience)
	if s.slots[key] == nil {
		s.slots[key] = &slot{renewal: rate.NewLimiter(rate.Every(renewEvery), renewBurst)}
	}
	return s.slots[key]
}

func (s *Source) mayRenew(audience string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.slotFor(audience).renewal.Allow()
}

func (s *Source) hasAnswered(audience string, refused Token) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return refused != Token{} && s.slotFor(audience).answered == refused
}

// fetch joins the exchange under way, or starts one that replaces stale. The exchange
// belongs to nobody's context: a caller that leaves does not take it from those who wait
// with it.
func (s *Source) fetch(ctx context.Context, login *login, audience string, stale Token) (Token, error) {
	select {
	case r := <-s.start(login, audience, stale):
		tok, _ := r.Val.(Token)
		return tok, r.Err
	case <-ctx.Done():
		return Token{}, ctx.Err()
	}
}

func (s *Source) start(login *login, audience string, stale Token) <-chan singleflight.Result {
	s.mu.Lock()
	key, from := s.key(audience), login.credential
	if i := s.instead[audience]; i != nil && i.inUse {
		from = &i.gcloud
	}
	s.mu.Unlock()
	return s.flight.DoChan(fmt.Sprintf("%p %s", login, key), func() (any, error) {
		// An exchange may have ended between the caller's look and this flight.
		if current := s.cached(login, audience); current != stale && time.Until(current.Expires) >= tooLate {
			return current, nil
		}
		ctx, cancel := context.WithTimeout(context.Background(), exchangeTimeout)
		defer cancel()
		tok, err := from.idToken(ctx, audience)
		if err != nil {
			s.log.Warn("no ID token could be had", "error", err)
			return Token{}, err
		}
		s.log.Debug("got an ID token", "login", from.String(), "account", tok.Account(), "issuer", tok.Issuer, "expires", tok.Expires)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.login == login { // and not a newer one, to which this token would not belong
			if slot := s.slots[key]; slot != nil {
				slot.current = tok
			}
		}
		return tok, nil
	})
}

// askGcloud returns gcloud's token of the same account, if the login is a developer's own:
// Cloud Run accepts the audience of gcloud's tokens everywhere, and that of Application
// Default Credentials perhaps not.
func (s *Source) askGcloud(ctx context.Context, login *login, audience string, refused Token) (Token, error) {
	own, isUser := login.credential.(*user)
	cli := gcloud{account: refused.Email}
	if !isUser || !own.o.isGoogle() || refused.Email == "" || !cli.installed() {
		return refused, nil
	}
	s.mu.Lock()
	before := s.instead[audience]
	if s.login != login || before != nil && (before.inUse || time.Since(before.since) < gcloudAgain) {
		if before != nil && before.inUse { // gcloud's was refused, too
			before.inUse, before.since = false, time.Now()
		}
		s.mu.Unlock()
		return refused, nil
	}
	now := &instead{gcloud: cli, inUse: true, since: time.Now()}
	s.instead[audience] = now
	s.mu.Unlock()

	tok, err := s.fetch(ctx, login, audience, Token{})
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil || !ascii.EqualFold(tok.Email, refused.Email) {
		now.inUse = false
		return refused, nil
	}
	if s.login == login {
		s.slotFor(audience).answered = tok
	}
	return tok, nil
}
