package instance

import (
	"cmp"
	"context"
	"fmt"
	"time"
)

// Liveness says how a container shows that it still works.
type Liveness struct {
	Probe
	// Delay before the first attempt, from when the instance is ready.
	Delay time.Duration
	// Period between attempts; 0 is 10 s, as on Cloud Run.
	Period time.Duration
	// Failures in a row that end the instance; 0 is 3.
	Failures int
}

const (
	defaultPeriod   = 10 * time.Second
	defaultFailures = 3
)

// keepAlive kills the instance once the container's liveness probe has failed
// often enough, as Cloud Run does, with no grace: what does not answer a probe
// would not answer a signal.
func (i *Instance) keepAlive(p *process) {
	l := p.container.Liveness
	probe := p.probe(&l.Probe)
	period, failures := cmp.Or(l.Period, defaultPeriod), cmp.Or(l.Failures, defaultFailures)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		<-i.done
		cancel()
	}()
	for wait, failed := l.Delay, 0; ; wait = period {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		err := probe.once(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			failed = 0
			continue
		}
		if failed++; failed == failures {
			p.output.line("stderr", fmt.Sprintf("LIVENESS %s probe failed %d times consecutively: %v. The instance was terminated.", probe.kind(), failures, err))
			i.killAll()
			return
		}
	}
}
