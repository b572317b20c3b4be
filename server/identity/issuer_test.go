package identity_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/berth-mcp/berth/server/identity"
	"github.com/berth-mcp/berth/server/identity/identitytest"
)

// clock is one that a test sets forward.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

// known is a verifier that asks issuer, with the answer to a token, and its clock.
func known(t *testing.T, issuers ...string) (verify func(token string) error, ahead *clock) {
	t.Helper()
	var configs []identity.Issuer
	for n, url := range issuers {
		configs = append(configs, identity.Issuer{URL: url, Audiences: []string{"berth"}, Domains: []string{"example.com"}, GroupPrefix: string(rune('a' + n))})
	}
	v := newOIDC(t, nowhere, configs...)
	ahead = new(clock)
	identity.SetClock(v, ahead.now)
	return func(token string) error {
		_, err := v.Verify(request([2]string{authorization, "Bearer " + token}))
		return err
	}, ahead
}

func TestKeysMayRotate(t *testing.T) {
	issuer := identitytest.NewIssuer(t)
	verify, _ := known(t, issuer.URL)
	require.NoError(t, verify(issuer.Token(t, "ada@example.com", nil)))
	asked := issuer.Asks()
	require.NoError(t, verify(issuer.Token(t, "ada@example.com", nil)))
	assert.Equal(t, asked, issuer.Asks(), "what is known is not asked again")
	issuer.Rotate(t)
	require.NoError(t, verify(issuer.Token(t, "ada@example.com", nil)))
}

func TestAKeyThatIsWithdrawnIsBelievedNoLongerThanAnHour(t *testing.T) {
	issuer := identitytest.NewIssuer(t)
	verify, clock := known(t, issuer.URL)
	stolen := issuer.Token(t, "ada@example.com", identitytest.Claims{"exp": time.Now().Add(24 * time.Hour).Unix()})
	require.NoError(t, verify(stolen))
	issuer.Withdraw(t)
	require.NoError(t, verify(stolen), "it is not known yet")
	clock.advance(time.Hour + time.Second)
	require.Eventually(t, func() bool { return verify(stolen) != nil }, time.Minute, time.Millisecond)
	assert.NotErrorIs(t, verify(stolen), identity.ErrUnavailable)
}

func TestMadeUpKeysNeitherReachTheIssuerEachTimeNorDenyARotatedOne(t *testing.T) {
	issuer := identitytest.NewIssuer(t)
	verify, clock := known(t, issuer.URL)
	foreign, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	var unavailable int
	for range 100 {
		key := jose.JSONWebKey{Key: foreign, KeyID: rand.Text()}
		err := verify(identitytest.Sign(t, jose.SigningKey{Algorithm: jose.RS256, Key: key}, issuer.Claims("eve@example.com", nil)))
		require.Error(t, err)
		if assert.NotContains(t, err.Error(), "eyJ"); errors.Is(err, identity.ErrUnavailable) {
			unavailable++
		}
	}
	assert.Less(t, issuer.Asks(), 20)
	assert.Greater(t, unavailable, 90, "of a key that could not be asked for, nothing is known")

	issuer.Rotate(t)
	rotated := issuer.Token(t, "ada@example.com", nil)
	require.ErrorIs(t, verify(rotated), identity.ErrUnavailable, "which its caller is told to try again")
	clock.advance(5 * time.Second)
	require.NoError(t, verify(rotated))
}

func TestATokenThatIsTamperedWithIsNoReasonToAskTheIssuer(t *testing.T) {
	issuer := identitytest.NewIssuer(t)
	verify, _ := known(t, issuer.URL)
	good := issuer.Token(t, "ada@example.com", nil)
	require.NoError(t, verify(good))
	asked := issuer.Asks()
	for range 10 {
		err := verify(good[:len(good)-8] + "AAAAAAAA")
		require.ErrorContains(t, err, "not one that its issuer has signed")
		assert.NotErrorIs(t, err, identity.ErrUnavailable)
	}
	assert.Equal(t, asked, issuer.Asks())
}

func TestAnIssuerThatIsDownIsNotTheCallersFault(t *testing.T) {
	issuer := identitytest.NewIssuer(t)
	issuer.SetDown(true)
	v := newOIDC(t, nowhere, identity.Issuer{URL: issuer.URL, Audiences: []string{"berth"}})
	clock := new(clock)
	identity.SetClock(v, clock.now)
	handler := identity.Require(v, slog.New(slog.DiscardHandler), http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	ask := func() *http.Response {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, request([2]string{authorization, "Bearer " + issuer.Token(t, "ada@example.com", nil)}))
		return w.Result()
	}
	for range 20 {
		down := ask()
		assert.Equal(t, http.StatusServiceUnavailable, down.StatusCode)
		assert.Equal(t, "5", down.Header.Get("Retry-After"))
		assert.Empty(t, down.Header.Get("WWW-Authenticate"), "a client must not start to log in again")
	}
	assert.Equal(t, 1, issuer.Asks(), "it is left alone for as long as callers are")
	issuer.SetDown(false)
	clock.advance(5 * time.Second)
	assert.Equal(t, http.StatusOK, ask().StatusCode)

	issuer.SetDown(true)
	assert.Equal(t, http.StatusOK, ask().StatusCode, "known keys serve on")
	clock.advance(30 * time.Minute)
	assert.Equal(t, http.StatusOK, ask().StatusCode, "known keys serve on")
	issuer.Rotate(t)
	assert.Equal(t, http.StatusServiceUnavailable, ask().StatusCode, "a new key cannot be had for now")
}

func TestAnIssuerThatDoesNotAnswerHoldsUpNobodyElse(t *testing.T) {
	asked, release := make(chan struct{}, 100), make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-release
	}))
	defer silent.Close()
	defer close(release)
	issuer := identitytest.NewIssuer(t)
	v := newOIDC(t, nowhere,
		identity.Issuer{URL: silent.URL, Audiences: []string{"berth"}, Domains: []string{"partner.example"}, GroupPrefix: "partner/"},
		identity.Issuer{URL: issuer.URL, Audiences: []string{"berth"}, Domains: []string{"example.com"}},
	)
	ctx, goAway := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	for range 10 {
		token := issuer.Token(t, "bob@partner.example", identitytest.Claims{"iss": silent.URL})
		waiting.Go(func() {
			_, err := v.Verify(request([2]string{authorization, "Bearer " + token}).WithContext(ctx))
			assert.ErrorIs(t, err, identity.ErrUnavailable)
		})
	}
	<-asked
	_, err := v.Verify(request([2]string{authorization, "Bearer " + issuer.Token(t, "ada@example.com", nil)}))
	require.NoError(t, err)
	goAway()
	waiting.Wait() // each has gone when it wanted to
	assert.Empty(t, asked, "and they asked once, all together")
}
