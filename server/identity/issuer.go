package identity

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/time/rate"
)

const (
	// issuerTimeout bounds one question to an issuer.
	issuerTimeout = 10 * time.Second

	// maxIssuerAnswer bounds, in bytes, a discovery document or a key set. Google's
	// have about 2,000 each.
	maxIssuerAnswer = 1 << 20

	// An issuer is asked for its keys again when a token names a key that is not
	// known, as after a rotation. Whoever may call can make up such names: these
	// keep that from reaching the issuer each time.
	askEvery = 5 * time.Second
	askBurst = 4
)

// issuer verifies the tokens of one OpenID provider.
type issuer struct {
	config Issuer
	client *http.Client
	source *issuerTransport

	mu       sync.Mutex
	provider *oidc.Provider // nil until discovered
}

func newIssuer(config Issuer) *issuer {
	config.EmailClaim = cmp.Or(config.EmailClaim, "email")
	config.GroupsClaim = cmp.Or(config.GroupsClaim, "groups")
	config.Domains = slices.Clone(config.Domains)
	for n, domain := range config.Domains {
		config.Domains[n] = strings.ToLower(domain)
	}
	source := &issuerTransport{limit: rate.NewLimiter(rate.Every(askEvery), askBurst)}
	return &issuer{
		config: config,
		source: source,
		client: &http.Client{
			Transport: source,
			Timeout:   issuerTimeout,
			// Keys come from where the issuer says, and not from where that points.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// verify checks a token's signature, issuer and expiry.
func (i *issuer) verify(ctx context.Context, raw string, now time.Time) (*oidc.IDToken, error) {
	provider, err := i.discover(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	token, err := provider.Verifier(&oidc.Config{
		SkipClientIDCheck: true, // the caller of verify compares with all audiences
		Now:               func() time.Time { return now.Add(-clockSkew) },
	}).Verify(ctx, raw)
	var expired *oidc.TokenExpiredError
	switch {
	case err == nil:
		return token, nil
	case errors.As(err, &expired):
		return nil, fmt.Errorf("the token expired %.0f s ago", now.Sub(expired.Expiry).Seconds())
	case i.source.failing.Load():
		return nil, fmt.Errorf("%w: the keys of %s cannot be had", ErrUnavailable, i.config.URL)
	}
	return nil, errors.New("the token is not one that its issuer has signed") // the library's words may repeat parts of it
}

// discover reads the issuer's discovery document, once.
func (i *issuer) discover(ctx context.Context) (*oidc.Provider, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.provider != nil {
		return i.provider, nil
	}
	// The caller may go; what is learned is for all.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), issuerTimeout)
	defer cancel()
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, i.client), i.config.URL)
	if err != nil {
		return nil, fmt.Errorf("the discovery document of %s: %w", i.config.URL, err)
	}
	i.provider = provider
	return provider, nil
}

// issuerTransport bounds what is asked of an issuer and what it may answer.
type issuerTransport struct {
	limit   *rate.Limiter
	failing atomic.Bool // the last question had no useful answer
}

func (t *issuerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" && !IsLoopback(r.URL.Hostname()) {
		t.failing.Store(true)
		return nil, errors.New("the issuer's keys are not at an https URL")
	}
	if !t.limit.Allow() {
		return nil, errors.New("the issuer was asked too often just now")
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	t.failing.Store(err != nil || response.StatusCode != http.StatusOK)
	if err != nil {
		return nil, err
	}
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(response.Body, maxIssuerAnswer), response.Body}
	return response, nil
}
