package relay

import (
	"sync/atomic"
	"time"
)

// ClientStats are one client's figures since the proxy began, or since the client was
// configured.
type ClientStats struct {
	Target Target
	// Calls are the POST requests that have been answered, or could not be. Every message
	// of an MCP client is one.
	Calls uint64
	// Failed are those of the Calls that ended with a fault of the proxy's own, with a
	// status of 400 or more, or not at all. A call that its client gave up is none.
	Failed uint64
	// Latency of the Calls, up to the first byte of the answer.
	Latency Latency
	// Streams are the event streams that are open now.
	Streams int
	// Sessions are the MCP sessions that have a stream open or were used in the last five
	// minutes. With the revision 2026-07-28 there are none.
	Sessions int
}

// latencyBounds are Prometheus' usual ones, with two more for calls that take long.
var latencyBounds = [...]time.Duration{
	5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond,
	500 * time.Millisecond, time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute,
}

// Latency is a histogram of durations.
type Latency struct {
	// Bounds are the upper ends of all buckets but the last, which has none.
	Bounds []time.Duration
	// Counts has one element more than Bounds; they do not add up.
	Counts []uint64
	Sum    time.Duration
}

// Quantile estimates the duration that a fraction q of all do not exceed, evenly spread
// within a bucket as Prometheus has it. It is 0 if there are none, and the highest bound
// if it lies above that.
func (l Latency) Quantile(q float64) time.Duration {
	var total uint64
	for _, n := range l.Counts {
		total += n
	}
	rank, below := q*float64(total), 0.0
	var lower time.Duration
	for i, upper := range l.Bounds {
		n := float64(l.Counts[i])
		if n > 0 && below+n >= rank {
			return lower + time.Duration(float64(upper-lower)*(rank-below)/n)
		}
		below, lower = below+n, upper
	}
	if total == 0 {
		return 0
	}
	return lower
}

// stats are counted by many requests at once.
type stats struct {
	calls, failed atomic.Uint64
	latency       [len(latencyBounds) + 1]atomic.Uint64
	latencySum    atomic.Int64
	streams       atomic.Int64
}

func (s *stats) answeredAfter(d time.Duration) {
	i := 0
	for i < len(latencyBounds) && d > latencyBounds[i] {
		i++
	}
	s.latency[i].Add(1)
	s.latencySum.Add(int64(d))
}

// Snapshot returns the figures of all clients, in the order in which they are configured.
func (s *Relay) Snapshot() []ClientStats {
	var all []ClientStats
	for _, u := range *s.clients.Load() {
		latency := Latency{Bounds: latencyBounds[:], Sum: time.Duration(u.stats.latencySum.Load())}
		for i := range u.stats.latency {
			latency.Counts = append(latency.Counts, u.stats.latency[i].Load())
		}
		all = append(all, ClientStats{
			Target:   u.Target,
			Calls:    u.stats.calls.Load(),
			Failed:   u.stats.failed.Load(),
			Latency:  latency,
			Streams:  int(u.stats.streams.Load()),
			Sessions: u.sessions.live(time.Now()),
		})
	}
	return all
}

// Account is the e-mail address of whose token was sent last; "" if none has been yet, or
// if it had none.
func (s *Relay) Account() string {
	account, _ := s.sender.account.Load().(string)
	return account
}
