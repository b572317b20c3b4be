package token

import (
	"crypto/tls"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/berth-mcp/berth/proxy/address"
)

const exchangeTimeout = 30 * time.Second

// A client sends logins to where they belong. It is made for one exchange, and remembers
// what was answered, as the auth library's errors do not tell that from what a file holds.
type client struct {
	http.Client
	base http.RoundTripper

	mu      sync.Mutex
	answers int
	failed  *failure // the last
}

// A failure is an answer other than 2xx.
type failure struct {
	url    *url.URL
	status int
}

func (o *Options) newClient() *client {
	c := &client{base: &http.Transport{
		Proxy:                  address.Proxy,
		ForceAttemptHTTP2:      true,
		DisableKeepAlives:      true, // used about once an hour
		MaxResponseHeaderBytes: 64 << 10,
		TLSClientConfig:        &tls.Config{RootCAs: o.RootCAs},
	}}
	c.Client = http.Client{
		Transport: c,
		Timeout:   exchangeTimeout,
		// The request holds the login: it goes to the one endpoint that was configured,
		// and not where that endpoint points.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c
}

func (c *client) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := c.base.RoundTrip(r)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.answers++
		c.failed = nil
		if resp.StatusCode < 200 || resp.StatusCode > 299 {
			c.failed = &failure{r.URL, resp.StatusCode}
		}
	}
	return resp, err
}

// lastFailure is nil if the last answer was a good one, or there was none.
func (c *client) lastFailure() *failure {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// heard reports whether anything was answered.
func (c *client) heard() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.answers > 0
}

// showURL is a URL for a message, in which there is no place for secrets.
func showURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "a URL that cannot be read"
	}
	return address.Show(u)
}
