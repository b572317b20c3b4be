// Package locate finds the URL of a service on Cloud Run by the service's exact name. It
// never lists services: that would take a right on the whole project, and tell the names
// of all clients.
package locate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	run "cloud.google.com/go/run/apiv2"
	"cloud.google.com/go/run/apiv2/runpb"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"

	"github.com/berth-mcp/berth/proxy/address"
)

// GoogleURL is where Google's Cloud Run API is.
const GoogleURL = "https://run.googleapis.com"

// patience bounds one look, retries of the client library's own included.
const patience = 15 * time.Second

// Options configure a [Locator].
type Options struct {
	// URL of the Cloud Run API. Empty: [GoogleURL].
	URL string
	// AccessToken gives an OAuth access token for the API. It goes there and nowhere else.
	AccessToken func(ctx context.Context) (string, error)
	// RootCAs are the certificate authorities to believe. Nil: the system's.
	RootCAs *x509.CertPool
}

// A Service is the name of a service on Cloud Run.
type Service struct{ Project, Region, Name string }

func (s Service) String() string {
	return fmt.Sprintf("service %s in %s of project %s", s.Name, s.Region, s.Project)
}

// A Locator asks the Cloud Run API.
type Locator struct {
	url    string
	client *http.Client
}

// New returns a Locator. Nothing is asked yet.
func New(o Options) *Locator {
	if o.URL == "" {
		o.URL = GoogleURL
	}
	return &Locator{
		url: o.URL,
		client: &http.Client{
			Transport: &signer{
				token: o.AccessToken,
				base: &http.Transport{
					Proxy:             address.Proxy,
					ForceAttemptHTTP2: true,
					DisableKeepAlives: true, // asked when a client is added, and seldom else
					TLSClientConfig:   &tls.Config{RootCAs: o.RootCAs},
				},
			},
			// The request holds the access token.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// A signer adds the access token on the way out, where no log of the client library's sees
// it.
type signer struct {
	token func(ctx context.Context) (string, error)
	base  http.RoundTripper
}

func (s *signer) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := s.token(r.Context())
	if err != nil {
		return nil, &signInError{err}
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+token)
	return s.base.RoundTrip(r)
}

// A signInError is kept apart from failures of the API.
type signInError struct{ error }

func (e *signInError) Unwrap() error { return e.error }

// URL returns the service's URL. It needs run.services.get on the service, which
// roles/run.viewer has. The error says what to do.
func (l *Locator) URL(ctx context.Context, s Service) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	client, err := run.NewServicesRESTClient(ctx,
		option.WithHTTPClient(l.client), option.WithEndpoint(l.url), option.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		return "", fmt.Errorf("look up the %s: %w", s, err)
	}
	defer client.Close()
	found, err := client.GetService(ctx, &runpb.GetServiceRequest{
		Name: fmt.Sprintf("projects/%s/locations/%s/services/%s", s.Project, s.Region, s.Name),
	})
	if err != nil {
		return "", explain(s, err)
	}
	if found.GetUri() == "" {
		return "", fmt.Errorf("the %s has no URL yet: wait until it is deployed, and try again", s)
	}
	return found.GetUri(), nil
}

// explain takes nothing from the answer but its status: a text might repeat what was sent.
func explain(s Service, err error) error {
	var signIn *signInError
	var api *googleapi.Error
	var failed *url.Error
	switch {
	case errors.As(err, &signIn):
		return fmt.Errorf("cannot sign in to look up the %s: %w", s, signIn.error)
	case errors.As(err, &api):
		switch api.Code {
		case http.StatusNotFound:
			return fmt.Errorf("there is no %s: check the three names", s)
		case http.StatusForbidden:
			return fmt.Errorf("your account may not look up the %s: check the names, ask for roles/run.viewer on it, or give its URL instead", s)
		case http.StatusUnauthorized:
			return fmt.Errorf("the Cloud Run API does not accept your login, to look up the %s: run `gcloud auth application-default login`, or give the service's URL instead", s)
		}
		return fmt.Errorf("the Cloud Run API answered %d, to look up the %s: try again in a minute, or give its URL instead", api.Code, s)
	case errors.As(err, &failed):
		return fmt.Errorf("look up the %s: reach the Cloud Run API: %w: check the network, or give the service's URL instead", s, failed.Err)
	}
	return fmt.Errorf("look up the %s: %w", s, err)
}
