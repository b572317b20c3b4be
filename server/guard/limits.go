package guard

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/berth-mcp/berth/server/identity"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/time/rate"
)

// Limits bound what one caller may ask of one instance of the server, and what a
// call may cost. A zero field takes its default.
//
// They are counted by caller and not by session, so that they hold where there
// are no sessions. Each instance counts for itself: with n instances, a caller
// may get n times as much.
type Limits struct {
	// CallsPerMinute is how many requests a caller may make in the long run;
	// 120 by default. Burst is how many at once after a pause; 40 by default.
	CallsPerMinute int `yaml:"calls_per_minute"`
	Burst          int `yaml:"burst"`
	// Concurrent is how many requests of a caller may run at the same time; 8 by
	// default. Streams is the same for event streams, which are subscriptions and
	// sessions of /sse; 16 by default.
	Concurrent int `yaml:"concurrent"`
	Streams    int `yaml:"streams"`
	// ResultBytes is the largest result of a tool, a resource or a prompt, in bytes;
	// 1 MiB by default.
	ResultBytes int `yaml:"result_bytes"`
	// ToolTimeout is how long a tool may take; one minute by default.
	// ToolTimeouts overrides it for single tools.
	ToolTimeout  time.Duration            `yaml:"tool_timeout"`
	ToolTimeouts map[string]time.Duration `yaml:"tool_timeouts"`
}

// Check gives every value that no server can work with.
func (l Limits) Check() error {
	var problems []error
	for _, field := range []struct {
		name  string
		value int
	}{
		{"calls_per_minute", l.CallsPerMinute}, {"burst", l.Burst}, {"concurrent", l.Concurrent},
		{"streams", l.Streams}, {"result_bytes", l.ResultBytes},
	} {
		if field.value < 0 {
			problems = append(problems, fmt.Errorf("limits.%s: %d is below zero: use a number from 1, or leave it out", field.name, field.value))
		}
	}
	if l.ToolTimeout < 0 {
		problems = append(problems, fmt.Errorf("limits.tool_timeout: %s is below zero: use a time such as 30s, or leave it out", l.ToolTimeout))
	}
	for name, timeout := range l.ToolTimeouts {
		if timeout <= 0 {
			problems = append(problems, fmt.Errorf("limits.tool_timeouts.%s: %s is no time to work in: use one such as 30s", name, timeout))
		}
	}
	return errors.Join(problems...)
}

func (l Limits) withDefaults() Limits {
	l.CallsPerMinute = cmp.Or(l.CallsPerMinute, 120)
	l.Burst = cmp.Or(l.Burst, 40)
	l.Concurrent = cmp.Or(l.Concurrent, 8)
	l.Streams = cmp.Or(l.Streams, 16)
	l.ResultBytes = cmp.Or(l.ResultBytes, 1<<20)
	l.ToolTimeout = cmp.Or(l.ToolTimeout, time.Minute)
	return l
}

// sweepFrom is how many callers are remembered before any is forgotten.
const sweepFrom = 256

type limiter struct {
	Limits

	mu      sync.Mutex
	callers map[string]*usage
	sweepAt int
}

// usage is what one caller is using.
type usage struct {
	rate           *rate.Limiter
	calls, streams int
}

func newLimiter(l Limits) *limiter {
	return &limiter{Limits: l.withDefaults(), callers: make(map[string]*usage), sweepAt: sweepFrom}
}

// admit lets a request through that is within the caller's rate and number.
func (l *limiter) admit(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		if slices.Contains(handshake, method) {
			return next(ctx, method, req)
		}
		caller, _ := identity.FromContext(ctx)
		leave, wait, why := l.enter(caller.Key(), method == MethodListen)
		if why != "" {
			return refuse(ctx, method, CodeBusy, wait, fmt.Sprintf("%s: try again in %d s", why, wait))
		}
		if method == methodCallTool {
			return l.bound(ctx, req, next, leave)
		}
		defer leave()
		result, err := next(ctx, method, req)
		if err != nil {
			return result, err
		}
		return l.cap(result)
	}
}

// enter counts a request. Otherwise it says why not, and when to try again, in
// whole seconds.
func (l *limiter) enter(key string, stream bool) (leave func(), wait int, why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	u := l.usage(key)
	running, most, what := &u.calls, l.Concurrent, "calls"
	if stream {
		running, most, what = &u.streams, l.Streams, "streams"
	}
	if *running >= most {
		return nil, 1, fmt.Sprintf("you have %d %s running, which is the most at the same time", most, what)
	}
	if reserved := u.rate.Reserve(); reserved.Delay() > 0 {
		wait := int(math.Ceil(reserved.Delay().Seconds()))
		reserved.Cancel()
		return nil, wait, fmt.Sprintf("too many calls: %d a minute are yours", l.CallsPerMinute)
	}
	*running++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		*running--
	}, 0, ""
}

// usage finds or begins what is known of a caller. Who has nothing running and
// may ask as much as a newcomer is forgotten from time to time, so that the memory
// for it grows with the callers of the last minute.
func (l *limiter) usage(key string) *usage {
	if u, ok := l.callers[key]; ok {
		return u
	}
	if len(l.callers) >= l.sweepAt {
		for key, u := range l.callers {
			if u.calls == 0 && u.streams == 0 && u.rate.Tokens() >= float64(l.Burst) {
				delete(l.callers, key)
			}
		}
		l.sweepAt = max(sweepFrom, 2*len(l.callers))
	}
	u := &usage{rate: rate.NewLimiter(rate.Limit(l.CallsPerMinute)/60, l.Burst)}
	l.callers[key] = u
	return u
}

// bound ends a tool call that takes too long, and replaces a result that is too
// large. A tool that does not heed its context runs on, and leaves when it is done,
// but nobody waits for it.
func (l *limiter) bound(ctx context.Context, req mcp.Request, next mcp.MethodHandler, leave func()) (mcp.Result, error) {
	timeout := cmp.Or(l.ToolTimeouts[toolName(req)], l.ToolTimeout)
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()

	type answer struct {
		result mcp.Result
		err    error
	}
	answered := make(chan answer, 1)
	go func() {
		defer leave()
		result, err := next(limited, methodCallTool, req)
		answered <- answer{result, err}
	}()
	select {
	case a := <-answered:
		if ctx.Err() == nil && limited.Err() != nil && (a.err != nil || isToolError(a.result)) {
			return timedOut(ctx, timeout)
		}
		if a.err != nil {
			return a.result, a.err
		}
		return l.cap(a.result)
	case <-limited.Done():
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return timedOut(ctx, timeout)
	}
}

func timedOut(ctx context.Context, timeout time.Duration) (mcp.Result, error) {
	if record := recordFrom(ctx); record != nil {
		record.Outcome = OutcomeTimeout
	}
	return failed(fmt.Sprintf("the tool took longer than the %s it may take: ask for less at a time", timeout)), nil
}

// cap refuses a result that is larger than it may be: a tool's in a result, which
// the model gets to read.
func (l *limiter) cap(result mcp.Result) (mcp.Result, error) {
	size, tool := 0, false
	switch r := result.(type) {
	case *mcp.CallToolResult:
		size, tool = resultSize(r), true
	case *mcp.ReadResourceResult, *mcp.GetPromptResult:
		size = encodedSize(r)
	}
	if size <= l.ResultBytes {
		return result, nil
	}
	why := fmt.Sprintf("the result has %d bytes, and %d are the most: filter, or ask for fewer at a time", size, l.ResultBytes)
	if tool {
		return failed(why), nil
	}
	return nil, errors.New(why)
}

// resultSize is about how many bytes a result is on the wire.
func resultSize(r *mcp.CallToolResult) int {
	if r == nil {
		return 0
	}
	size := 0
	for _, content := range r.Content {
		switch c := content.(type) {
		case *mcp.TextContent:
			size += len(c.Text)
		case *mcp.ImageContent:
			size += len(c.Data)
		case *mcp.AudioContent:
			size += len(c.Data)
		default:
			size += encodedSize(c)
		}
	}
	switch structured := r.StructuredContent.(type) {
	case nil:
	case json.RawMessage: // what mcp.AddTool makes of every typed result
		size += len(structured)
	default:
		size += encodedSize(structured)
	}
	return size
}

func encodedSize(v any) int {
	raw, err := json.Marshal(v)
	if err != nil {
		return 0 // it will not be sent either
	}
	return len(raw)
}

func isToolError(result mcp.Result) bool {
	r, ok := result.(*mcp.CallToolResult)
	return ok && r != nil && r.IsError
}

func failed(why string) *mcp.CallToolResult {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: why}}, IsError: true}
}
