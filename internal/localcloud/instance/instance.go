package instance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/berth-mcp/berth/internal/watchdog"
)

const (
	// defaultGrace is Cloud Run's time between SIGTERM and SIGKILL.
	defaultGrace = 10 * time.Second
	// outputDelay is how long to wait for the end of the output of an ended
	// process whose own children still hold it.
	outputDelay = time.Second
	// portAttempts is how often to start anew where another process took the
	// port in the moment before the program did.
	portAttempts = 3
)

// Instance is a running instance: a process for each of its containers. It is
// safe for concurrent use.
type Instance struct {
	spec  Spec
	port  int    // of the container that serves
	dir   string // the instance's own
	guard *watchdog.Watchdog
	// mounted are the volumes' directories on this machine, by name.
	mounted map[string]string

	mu        sync.Mutex
	processes []*process
	ending    bool     // no more processes are started
	asked     bool     // to end; a second signal would look like impatience
	first     *process // that ended

	done chan struct{}
}

// Start starts an instance and returns once all of its containers are ready. If
// the context ends before, or a program does, or a probe's deadline passes, all
// of it is gone when Start returns; the error then says why and ends with what
// the program wrote last.
func Start(ctx context.Context, spec Spec) (*Instance, error) {
	spec.Grace = cmp.Or(spec.Grace, defaultGrace)
	if spec.Output == nil {
		spec.Output = func(string, string, string) {}
	}
	if spec.Closing == nil {
		spec.Closing = func() {}
	}
	instance, err := start(ctx, spec)
	if err != nil {
		spec.Closing()
		return nil, fmt.Errorf("starting an instance of %s: %w", spec.Revision, err)
	}
	go instance.end()
	for _, p := range instance.all() {
		if p.container.Liveness != nil {
			go instance.keepAlive(p)
		}
	}
	return instance, nil
}

// start tries again where the port was lost.
func start(ctx context.Context, spec Spec) (*Instance, error) {
	if err := spec.check(); err != nil {
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		instance, err := startOnce(ctx, spec)
		var lost *portLostError
		if !errors.As(err, &lost) || attempt == portAttempts {
			return instance, err
		}
	}
}

// startOnce leaves nothing behind on an error.
func startOnce(ctx context.Context, spec Spec) (*Instance, error) {
	i, err := prepare(spec)
	if err != nil {
		return nil, err
	}
	if err := i.startAll(ctx); err != nil {
		i.killAll()
		i.clear()
		return nil, err
	}
	return i, nil
}

// prepare makes what the instance needs before any process of it runs.
func prepare(spec Spec) (_ *Instance, err error) {
	port, err := takePort()
	if err != nil {
		return nil, err
	}
	i := &Instance{spec: spec, port: port, done: make(chan struct{})}
	defer func() {
		if err != nil {
			releasePort(port)
			err = errors.Join(err, os.RemoveAll(i.dir))
		}
	}()
	if i.dir, err = os.MkdirTemp("", "localcloud-instance-"); err != nil {
		return nil, err
	}
	if i.mounted, err = writeVolumes(filepath.Join(i.dir, "volumes"), spec.Volumes); err != nil {
		return nil, err
	}
	i.guard, err = watchdog.New(i.dir)
	return i, err
}

// startAll starts each container once those that it depends on are ready, and
// returns when all are. What fails first says why.
func (i *Instance) startAll(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	ready := map[string]chan struct{}{}
	for _, c := range i.spec.Containers {
		ready[c.Name] = make(chan struct{})
	}
	for n, c := range i.spec.Containers {
		group.Go(func() error {
			for _, needed := range c.DependsOn {
				select {
				case <-ready[needed]:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			p, err := i.spawn(&c, filepath.Join(i.dir, "home-"+strconv.Itoa(n)))
			if err != nil {
				return err
			}
			if err := p.awaitReady(ctx); err != nil {
				return err
			}
			close(ready[c.Name])
			return nil
		})
	}
	return group.Wait()
}

// spawn starts the process of a container.
func (i *Instance) spawn(c *Container, home string) (*process, error) {
	if err := os.Mkdir(home, 0o700); err != nil {
		return nil, err
	}
	cmd, err := c.command(i, home)
	if err != nil {
		return nil, err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.ending {
		return nil, errors.New("the instance ends")
	}
	p, err := i.launch(c, cmd)
	if p != nil {
		i.processes = append(i.processes, p)
	}
	return p, err
}

// end waits for the first container that ends, and ends the others.
func (i *Instance) end() {
	anyEnded(i.all())
	i.terminate(context.Background())
	i.clear()
	i.spec.Closing()
	close(i.done)
}

// clear waits until all processes have ended, and clears up after them.
func (i *Instance) clear() {
	for _, p := range i.all() {
		<-p.done
	}
	i.guard.Dismiss()
	_ = os.RemoveAll(i.dir) // the system clears its temporary directory too
	releasePort(i.port)
}

// anyEnded returns when one of the processes has ended.
func anyEnded(processes []*process) {
	ended := make(chan struct{}, len(processes))
	for _, p := range processes {
		go func() {
			<-p.done
			ended <- struct{}{}
		}()
	}
	<-ended
}

func (i *Instance) all() []*process {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.processes)
}

// serving is the process of the container that gets the requests.
func (i *Instance) serving() *process {
	all := i.all()
	return all[slices.IndexFunc(all, func(p *process) bool { return p.container.Serves })]
}

// Addr returns the HOST:PORT at which to reach the instance.
func (i *Instance) Addr() string { return loopback(i.port) }

// PID returns the id of the process that serves.
func (i *Instance) PID() int { return i.serving().pid() }

// Output returns the last 50 lines that the program that serves wrote.
func (i *Instance) Output() string { return i.serving().output.String() }

// Done is closed once every process has ended and everything of it is gone.
func (i *Instance) Done() <-chan struct{} { return i.done }

// Stop asks the processes to end (SIGTERM), ends them after the grace or when
// the context ends (SIGKILL), and returns when they are gone.
func (i *Instance) Stop(ctx context.Context) {
	i.terminate(ctx)
	<-i.done
}

func (i *Instance) terminate(ctx context.Context) {
	i.mu.Lock()
	if !i.asked {
		for _, p := range i.processes {
			_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
		}
	}
	i.ending, i.asked = true, true
	i.mu.Unlock()
	timer := time.NewTimer(i.spec.Grace)
	defer timer.Stop()
	for _, p := range i.all() {
		select {
		case <-p.done:
		case <-timer.C:
			i.killAll()
			return
		case <-ctx.Done():
			i.killAll()
			return
		}
	}
}

func (i *Instance) killAll() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.ending = true
	for _, p := range i.processes {
		_ = p.cmd.Process.Kill() // it may have ended already
	}
}

// Ending describes how the instance ended: how the process did that ended
// first, such as "exit status 3" or "signal: killed", by its name where there
// are several. It may be called once Done is closed.
func (i *Instance) Ending() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.processes) == 1 {
		return i.first.ending()
	}
	return fmt.Sprintf("container %s: %s", i.first.container.Name, i.first.ending())
}

// ended records which process ended first.
func (i *Instance) ended(p *process) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.first == nil {
		i.first = p
	}
}
