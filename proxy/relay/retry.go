package relay

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	// maxTries and retryWithin bound how often, and until when, a request is sent again.
	// Clients of MCP wait for an answer for a minute by default.
	maxTries    = 6
	retryWithin = 30 * time.Second

	// firstPause is the mean time before a request is sent again. It doubles each time, up
	// to longestPause.
	firstPause   = 500 * time.Millisecond
	longestPause = 5 * time.Second
)

// repeatable are the messages that do no more when they arrive twice than when they arrive
// once. What a tool does is not known, so that tools/call is not among them.
var repeatable = map[string]bool{
	"initialize":                       true,
	"ping":                             true,
	"server/discover":                  true,
	"tools/list":                       true,
	"resources/list":                   true,
	"resources/read":                   true,
	"resources/subscribe":              true,
	"resources/templates/list":         true,
	"resources/unsubscribe":            true,
	"prompts/list":                     true,
	"prompts/get":                      true,
	"completion/complete":              true,
	"logging/setLevel":                 true,
	"subscriptions/listen":             true,
	"tasks/get":                        true,
	"tasks/list":                       true,
	"tasks/result":                     true,
	"notifications/initialized":        true,
	"notifications/cancelled":          true,
	"notifications/progress":           true,
	"notifications/roots/list_changed": true,
}

// mayArriveTwice reports whether a request that may have reached its server may be sent
// again.
func (o outgoing) mayArriveTwice() bool {
	switch o.method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return true
	case http.MethodPost:
	default:
		return false
	}
	messages, _ := readMessages(o.body)
	for _, m := range messages {
		if !repeatable[m.Method] {
			return false
		}
	}
	return len(messages) > 0
}

// worthRepeating reports whether a request had no answer for a reason that passes, and
// may be sent again. Cloud Run's 429 says that there was no instance to give the request
// to. Behind its 503, or a connection that broke, there may have been one.
func (o outgoing) worthRepeating(resp *http.Response, f *Fault) bool {
	switch {
	case f != nil:
		return f.broke && o.mayArriveTwice()
	case !fromPlatform(resp):
		return false
	case resp.StatusCode == http.StatusTooManyRequests:
		return true
	case resp.StatusCode == http.StatusServiceUnavailable:
		return o.mayArriveTwice()
	}
	return false
}

// pauses between the tries of one request.
type pauses struct {
	backoff *backoff.ExponentialBackOff
	left    int
	ends    time.Time
}

func newPauses(first time.Duration) *pauses {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval, b.Multiplier = first, longestPause, 2
	return &pauses{backoff: b, left: maxTries - 1, ends: time.Now().Add(retryWithin)}
}

// wait takes the next pause, or as long as the answer asks for. It reports false, at once,
// if there is none left or it would be too long, and when the context is done.
func (p *pauses) wait(ctx context.Context, resp *http.Response) bool {
	p.left--
	pause := p.backoff.NextBackOff()
	if resp != nil {
		pause = max(pause, retryAfter(resp.Header))
	}
	if p.left < 0 || time.Now().Add(pause).After(p.ends) {
		return false
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// retryAfter is what the header of that name says, in either of its forms, or 0.
func retryAfter(header http.Header) time.Duration {
	value := header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}
