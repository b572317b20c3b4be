package identity

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"

	"github.com/berth-mcp/berth/internal/ascii"
)

const (
	// issuerTimeout bounds the time in which an issuer tells its keys.
	issuerTimeout = 10 * time.Second

	// maxIssuerAnswer bounds, in bytes, a discovery document or a key set. Google's
	// have about 2,000 each.
	maxIssuerAnswer = 1 << 20

	// An issuer is asked for its keys again when a token names one that is not
	// known, as after a rotation. Whoever may call can make up such names: these
	// keep that from reaching the issuer each time. An issuer that has failed is
	// left alone for askEvery, too.
	askEvery = 5 * time.Second
	askBurst = 4

	// keysFor is how old keys get before they are asked for again, so that those
	// that an issuer has withdrawn are believed no longer. While the issuer does
	// not answer, the old ones serve on.
	keysFor = time.Hour
)

// issuer verifies the tokens of one OpenID provider.
type issuer struct {
	config Issuer
	client *http.Client
	now    func() time.Time

	keys   atomic.Pointer[keySet] // nil until the issuer has told them
	asking singleflight.Group
	limit  *rate.Limiter
	failed atomic.Pointer[failure] // nil if the last question was answered
}

// failure is why an issuer did not tell its keys.
type failure struct {
	at  time.Time
	err error
}

func newIssuer(config Issuer, now func() time.Time) *issuer {
	config.EmailClaim = cmp.Or(config.EmailClaim, "email")
	config.GroupsClaim = cmp.Or(config.GroupsClaim, "groups")
	config.Domains = slices.Clone(config.Domains)
	for n, domain := range config.Domains {
		config.Domains[n] = ascii.Lower(domain)
	}
	return &issuer{
		config: config,
		now:    now,
		limit:  rate.NewLimiter(rate.Every(askEvery), askBurst),
		client: &http.Client{
			Transport: issuerTransport{},
			// Keys come from where the issuer says, and not from where that points.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// verify checks a token's signature, issuer and expiry. keyID is the key that the
// token says it is signed with. An issuer that does not answer holds up those
// callers whose tokens its known keys do not decide about, and nobody else.
func (i *issuer) verify(ctx context.Context, raw, keyID string) (*oidc.IDToken, error) {
	keys := i.keys.Load()
	if keys != nil {
		if i.now().Sub(keys.at) > keysFor {
			i.ask(ctx, keys) // for those who come later
		}
		if token, err := keys.verify(ctx, raw, i.now()); err == nil || keys.ids[keyID] {
			return token, err
		}
	}
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	case answer := <-i.ask(ctx, keys):
		if answer.Err != nil {
			return nil, fmt.Errorf("%w: the keys of %s cannot be had: %w", ErrUnavailable, i.config.URL, answer.Err)
		}
		return answer.Val.(*keySet).verify(ctx, raw, i.now())
	}
}

// ask asks the issuer for other keys than those that are known, once for all who
// want to know at the same time.
func (i *issuer) ask(ctx context.Context, known *keySet) <-chan singleflight.Result {
	// The caller may go; what is learned is for all.
	ctx = context.WithoutCancel(ctx)
	return i.asking.DoChan("", func() (any, error) {
		if keys := i.keys.Load(); keys != known {
			return keys, nil // they came since the caller looked
		}
		now := i.now()
		if f := i.failed.Load(); f != nil && now.Sub(f.at) < askEvery {
			return nil, f.err
		}
		if !i.limit.AllowN(now, 1) {
			return nil, errors.New("it was asked too often just now")
		}
		keys, err := i.learn(ctx)
		if err != nil {
			i.failed.Store(&failure{at: i.now(), err: err})
			return nil, err
		}
		keys.at = now
		i.failed.Store(nil)
		i.keys.Store(keys)
		return keys, nil
	})
}

// issuerTransport bounds what an issuer may answer, and where its keys may be.
type issuerTransport struct{}

func (issuerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" && !IsLoopback(r.URL.Hostname()) {
		return nil, errors.New("the issuer's keys are not at an https URL")
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(response.Body, maxIssuerAnswer), response.Body}
	return response, nil
}
