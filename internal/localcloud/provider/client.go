package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
)

const (
	// maxBodyBytes bounds an API's answer; a service with a thousand revisions
	// is far below it.
	maxBodyBytes = 16 << 20
	// callTimeout bounds one HTTP exchange; long work is an operation.
	callTimeout = time.Minute
	// pollFirst and pollMost are the pauses between two looks at an operation.
	pollFirst = 20 * time.Millisecond
	pollMost  = time.Second
)

// client calls the APIs that one provider configuration names.
type client struct {
	settings
	http    *http.Client
	log     *slog.Logger
	running context.Context
	cancel  context.CancelFunc
}

func newClient(running context.Context, log *slog.Logger, set settings) *client {
	ctx, cancel := context.WithCancel(running)
	transport := &http.Transport{
		// No proxy from the environment, and no address but this machine's,
		// whatever a name resolves to.
		Proxy:       nil,
		DialContext: (&net.Dialer{Control: onlyLoopback}).DialContext,
	}
	context.AfterFunc(ctx, transport.CloseIdleConnections)
	return &client{
		settings: set,
		log:      log,
		running:  ctx,
		cancel:   cancel,
		http: &http.Client{
			Transport: transport,
			Timeout:   callTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse // the token goes nowhere else
			},
		},
	}
}

// onlyLoopback looks at each address before it is connected to, so that nothing
// leaves this machine, not even the start of a connection.
func onlyLoopback(_, address string, _ syscall.RawConn) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("%s is not a loopback address: the local cloud never calls out", address)
	}
	return nil
}

// apiError is an API's refusal, in Google's JSON form.
type apiError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Status  string `json:"status"`
	Details []struct {
		FieldViolations []struct {
			Field       string `json:"field"`
			Description string `json:"description"`
		} `json:"fieldViolations"`
	} `json:"details"`
}

// Error is worded as the plugin's googleapi.Error.
func (e *apiError) Error() string {
	text := fmt.Sprintf("googleapi: Error %d: %s", e.Code, e.Message)
	for _, d := range e.Details {
		for _, v := range d.FieldViolations {
			text += fmt.Sprintf("\n  %s: %s", v.Field, v.Description)
		}
	}
	return text
}

func hasCode(err error, code int) bool {
	var api *apiError
	return errors.As(err, &api) && api.Code == code
}

// url is an address below one of the configured endpoints.
func (c *client) url(endpoint setting, path string) string {
	return c.get(endpoint) + path
}

// call does one exchange of JSON. A nil body sends none.
func (c *client) call(ctx context.Context, method, url string, body any) (map[string]any, error) {
	var payload io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encoding the request to %s: %w", url, err)
		}
		payload = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, payload)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.get(accessToken))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "pulumi-gcp/"+pluginVersion+" (local cloud)")
	if c.isTrue(userProjectOverride) && c.get(billingProject) != "" {
		req.Header.Set("X-Goog-User-Project", c.get(billingProject))
	}
	started := time.Now()
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("calling %s: %w", url, context.Cause(ctx))
		}
		return nil, fmt.Errorf("%w (is the local cloud still running?)", err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxBodyBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading the answer of %s %s: %w", method, url, err)
	}
	if len(answer) > maxBodyBytes {
		return nil, fmt.Errorf("the answer of %s %s is over %d bytes", method, url, maxBodyBytes)
	}
	c.log.DebugContext(ctx, "api call", "method", method, "url", url, "status", resp.StatusCode, "duration", time.Since(started))
	return decode(resp.StatusCode, answer)
}

func decode(code int, answer []byte) (map[string]any, error) {
	if code/100 != 2 {
		var refusal struct{ Error *apiError }
		if json.Unmarshal(answer, &refusal) == nil && refusal.Error != nil {
			refusal.Error.Code = code
			return nil, refusal.Error
		}
		return nil, &apiError{Code: code, Message: strings.TrimSpace(string(answer[:min(len(answer), 300)]))}
	}
	object := map[string]any{}
	if len(bytes.TrimSpace(answer)) == 0 {
		return object, nil
	}
	if err := json.Unmarshal(answer, &object); err != nil {
		return nil, fmt.Errorf("decoding an API's answer: %w", err)
	}
	return object, nil
}

// operationError is how a long-running operation failed, after it was accepted:
// the resource may exist.
type operationError struct{ apiError }

// Error is worded as the plugin's.
func (e *operationError) Error() string {
	return fmt.Sprintf("Error code %d, message: %s", e.Code, e.Message)
}

// await follows an operation below base until it is done.
func (c *client) await(ctx context.Context, base string, operation map[string]any) error {
	pause := pollFirst
	for {
		if done, _ := operation["done"].(bool); done {
			return operationResult(operation)
		}
		name, _ := operation["name"].(string)
		if name == "" {
			return errors.New("the API answered with an operation that has no name")
		}
		if err := sleep(ctx, pause); err != nil {
			return fmt.Errorf("waiting for %s: %w", name, err)
		}
		pause = min(2*pause, pollMost)
		var err error
		if operation, err = c.call(ctx, http.MethodGet, base+name, nil); err != nil {
			return fmt.Errorf("following the operation %s: %w", name, err)
		}
	}
}

func operationResult(operation map[string]any) error {
	failure, failed := operation["error"].(map[string]any)
	if !failed {
		return nil
	}
	e := &operationError{}
	if code, ok := failure["code"].(float64); ok {
		e.Code = int(code)
	}
	e.Message, _ = failure["message"].(string)
	return e
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
