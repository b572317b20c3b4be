package guard

import (
	"context"
	"fmt"
	"math"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/time/rate"

	"github.com/berth-mcp/berth/server/identity"
)

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
	// calls is the rate of calls and of the beginnings of streams, light that of
	// light requests.
	calls, light *rate.Limiter
	running      [loads]int
}

func newLimiter(l Limits) *limiter {
	return &limiter{Limits: l.withDefaults(), callers: make(map[string]*usage), sweepAt: sweepFrom}
}

// admit lets a request through that is within the caller's rate and number.
func (l *limiter) admit(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		caller, _ := identity.FromContext(ctx)
		leave, wait, why := l.enter(caller.Key(), methods[method].load)
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
func (l *limiter) enter(key string, of load) (leave func(), wait int, why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	u := l.usage(key)
	most, rate, perMinute := l.Concurrent, u.calls, l.CallsPerMinute
	switch of {
	case light:
		most, rate, perMinute = lightFactor*l.Concurrent, u.light, lightFactor*l.CallsPerMinute
	case stream:
		most = l.Streams
	}
	if u.running[of] >= most {
		return nil, 1, fmt.Sprintf("you have %d %s running, which is the most at the same time", most, loadNames[of])
	}
	if reserved := rate.Reserve(); reserved.Delay() > 0 {
		wait := int(math.Ceil(reserved.Delay().Seconds()))
		reserved.Cancel()
		return nil, wait, fmt.Sprintf("too many %s: %d a minute are yours", loadNames[of], perMinute)
	}
	u.running[of]++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		u.running[of]--
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
			if u.idle() {
				delete(l.callers, key)
			}
		}
		l.sweepAt = max(sweepFrom, 2*len(l.callers))
	}
	limit := rate.Limit(l.CallsPerMinute) / 60
	u := &usage{calls: rate.NewLimiter(limit, l.Burst), light: rate.NewLimiter(lightFactor*limit, lightFactor*l.Burst)}
	l.callers[key] = u
	return u
}

func (u *usage) idle() bool {
	return u.running == [loads]int{} &&
		u.calls.Tokens() >= float64(u.calls.Burst()) && u.light.Tokens() >= float64(u.light.Burst())
}
