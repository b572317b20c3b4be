package apis

import (
	"context"
	"fmt"
	"sync"
)

// tasks are the goroutines that outlive the request that started them.
type tasks struct {
	running context.Context
	stop    context.CancelFunc

	mu     sync.Mutex
	closed bool
	group  sync.WaitGroup
}

func newTasks() *tasks {
	ctx, cancel := context.WithCancel(context.Background())
	return &tasks{running: ctx, stop: cancel}
}

// start runs task beside the caller; its context ends with close. What starts
// after close finds its context ended, and nobody waits for it.
func (t *tasks) start(task func(context.Context)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		go task(t.running)
		return
	}
	t.group.Go(func() { task(t.running) })
}

func (t *tasks) close(ctx context.Context) error {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.stop()
	ended := make(chan struct{})
	go func() {
		t.group.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for operations to end: %w", ctx.Err())
	}
}
