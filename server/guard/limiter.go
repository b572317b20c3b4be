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
	allowances [loads]allowance

	mu      sync.Mutex
	callers map[string]*usage
	sweepAt int
}

// usage is what one caller is using, by load.
type usage struct {
	rates   [loads]*rate.Limiter
	running [loads]int
}

func newLimiter(l Limits) *limiter {
	l = l.withDefaults()
	return &limiter{Limits: l, allowances: l.allowances(), callers: make(map[string]*usage), sweepAt: sweepFrom}
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
	u, b := l.usage(key), l.allowances[of]
	if b.most > 0 && u.running[of] >= b.most {
		return nil, 1, fmt.Sprintf("you have %d %s running, which is the most at the same time", b.most, b.what)
	}
	if reserved := u.rates[of].Reserve(); reserved.Delay() > 0 {
		wait := int(math.Ceil(reserved.Delay().Seconds()))
		reserved.Cancel()
		return nil, wait, fmt.Sprintf("too many %s: %d a minute are yours", b.what, b.perMinute)
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
	u := new(usage)
	for of, b := range l.allowances {
		u.rates[of] = rate.NewLimiter(rate.Limit(b.perMinute)/60, b.burst)
	}
	l.callers[key] = u
	return u
}

func (u *usage) idle() bool {
	for of, limit := range u.rates {
		if u.running[of] > 0 || limit.Tokens() < float64(limit.Burst()) {
			return false
		}
	}
	return true
}
