package frontend

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/berth-mcp/berth/internal/localcloud/identity"
)

const (
	// platformHeader carries the token for Cloud Run where Authorization is
	// meant for the service itself.
	platformHeader = "X-Serverless-Authorization"
	// removedSignature stands in a token that the platform has checked where
	// its signature was, so that nobody behind it can use it elsewhere.
	removedSignature = "SIGNATURE_REMOVED_BY_GOOGLE"
	// everybody in a policy opens a service.
	everybody = "allUsers"
)

// unauthenticatedError is about a request without a token that can be believed.
type unauthenticatedError struct {
	missing bool // no token at all
	why     error
}

func (e *unauthenticatedError) Error() string { return "unauthenticated: " + e.why.Error() }
func (e *unauthenticatedError) Unwrap() error { return e.why }

// forbiddenError is about a known caller without roles/run.invoker.
type forbiddenError struct{ caller string }

func (e *forbiddenError) Error() string {
	return fmt.Sprintf("forbidden: %s has no roles/run.invoker on the service", e.caller)
}

// admit decides whether a request may pass, and returns the caller's e-mail,
// empty at an open service. In the header, the token that was checked loses
// its signature. At an open service no token is looked at, and all pass
// through as they are.
//
// Hop-by-hop headers must be gone from the header: else a caller could have
// the one that is checked here removed on the way to the instance.
func (s *service) admit(ctx context.Context, header http.Header, now settings) (caller string, err error) {
	policy := s.frontEnd.options.Policy(s.name)
	if now.open || slices.Contains(policy, everybody) {
		return "", nil
	}
	name := "Authorization"
	if _, present := header[platformHeader]; present {
		name = platformHeader
	}
	token, refused := bearer(header, name)
	if refused != nil {
		return "", refused
	}
	claims, err := s.verify(ctx, token, now.audiences)
	if err != nil {
		return "", &unauthenticatedError{why: err}
	}
	if !s.frontEnd.options.Directory.Allows(policy, claims.Email) {
		return "", &forbiddenError{caller: claims.Email}
	}
	signature := strings.LastIndexByte(token, '.') + 1
	header[name] = []string{"Bearer " + token[:signature] + removedSignature}
	return claims.Email, nil
}

// bearer returns the one token of a header.
func bearer(header http.Header, name string) (string, *unauthenticatedError) {
	values := header[name]
	switch len(values) {
	case 0:
		return "", &unauthenticatedError{missing: true, why: errors.New("no token")}
	case 1:
	default:
		return "", &unauthenticatedError{why: fmt.Errorf("%d headers %s: which one to believe is unclear", len(values), name)}
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", &unauthenticatedError{why: fmt.Errorf("%s has no bearer token", name)}
	}
	return token, nil
}

// verify checks an ID token, and that it is for this service: its URL, one of
// its custom audiences, or the OAuth client of people's own logins.
func (s *service) verify(ctx context.Context, token string, custom []string) (identity.Claims, error) {
	directory := s.frontEnd.options.Directory
	claims, err := directory.VerifyIDToken(ctx, token)
	if err != nil {
		return identity.Claims{}, err
	}
	if !claims.EmailVerified || claims.Email == "" {
		return identity.Claims{}, errors.New("the token names no verified e-mail")
	}
	accepted := append([]string{s.url, directory.ClientID()}, custom...)
	if !slices.ContainsFunc(claims.Audience, func(audience string) bool { return slices.Contains(accepted, audience) }) {
		return identity.Claims{}, fmt.Errorf("the token is for %.200q, not for this service", claims.Audience)
	}
	return claims, nil
}
