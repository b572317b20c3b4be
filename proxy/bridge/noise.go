package bridge

import (
	"sync/atomic"

	"golang.org/x/time/rate"
)

// A noise bounds the lines in the log that a server can cause by itself.
type noise struct {
	limiter *rate.Limiter
	unsaid  *atomic.Int64
}

func newNoise() noise {
	return noise{rate.NewLimiter(rate.Every(noiseEvery), noiseBurst), new(atomic.Int64)}
}

// warn logs what a server has done of its own accord, unless there is too much of it.
func (s *Session) warn(message string, args ...any) {
	if !s.noise.limiter.Allow() {
		s.noise.unsaid.Add(1)
		return
	}
	if unsaid := s.noise.unsaid.Swap(0); unsaid > 0 {
		args = append(args, "unsaid", unsaid)
	}
	s.log.Warn(message, args...)
}
