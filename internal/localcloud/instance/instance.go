package instance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

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

// Spec says what to run and how.
type Spec struct {
	// Image to run. Required.
	Image *Image
	// Service and Revision are the short names of K_SERVICE (and
	// K_CONFIGURATION) and K_REVISION.
	Service, Revision string
	// Command and Args replace the image's, if any.
	Command, Args []string
	// WorkingDir, in the image; empty is the image's own.
	WorkingDir string
	// Env goes over the image's variables, and below those of the platform
	// (PORT, K_…) and of this machine (HOME and TMPDIR, a directory of the
	// instance's own that ends with it). It is also the place for what keeps
	// a program on loopback, if it can be told by a variable.
	Env map[string]string
	// Probe says when it is ready.
	Probe Probe
	// Grace between SIGTERM and SIGKILL; 0 is 10 s, as on Cloud Run.
	Grace time.Duration
	// Output receives each line that the program writes; stream is stdout or
	// stderr. Lines are cut at 16 KiB. It may be called from two goroutines.
	// Nil drops them.
	Output func(stream, line string)
}

// Instance is a running process. It is safe for concurrent use.
type Instance struct {
	cmd    *exec.Cmd
	port   int
	grace  time.Duration
	output *output
	done   chan struct{}
}

// Start starts an instance and returns once it is ready. If the context ends
// before, or the program does, or the probe's deadline passes, the process is
// gone when Start returns; the error then says why and ends with what the
// program wrote last.
func Start(ctx context.Context, spec Spec) (*Instance, error) {
	spec.Grace = cmp.Or(spec.Grace, defaultGrace)
	spec.Probe.Attempt = cmp.Or(spec.Probe.Attempt, defaultAttempt)
	spec.Probe.Deadline = cmp.Or(spec.Probe.Deadline, defaultDeadline)
	if spec.Output == nil {
		spec.Output = func(string, string) {}
	}
	for attempt := 1; ; attempt++ {
		instance, err := startOnce(ctx, spec)
		var lost *portLostError
		if !errors.As(err, &lost) || attempt == portAttempts {
			return instance, err
		}
	}
}

func startOnce(ctx context.Context, spec Spec) (*Instance, error) {
	port, err := takePort()
	if err != nil {
		return nil, fmt.Errorf("starting an instance of %s: %w", spec.Revision, err)
	}
	instance, err := spawn(spec, port)
	if err != nil {
		releasePort(port)
		return nil, fmt.Errorf("starting an instance of %s: %w", spec.Revision, err)
	}
	if err := instance.awaitReady(ctx, spec.Probe); err != nil {
		instance.kill()
		return nil, fmt.Errorf("starting an instance of %s: %w", spec.Revision, err)
	}
	return instance, nil
}

// spawn starts the process, and the goroutine that cleans up after it.
func spawn(spec Spec, port int) (_ *Instance, err error) {
	home, err := os.MkdirTemp("", "localcloud-instance-")
	if err != nil {
		return nil, err
	}
	i := &Instance{port: port, grace: spec.Grace, output: &output{emit: spec.Output}, done: make(chan struct{})}
	stdout, stderr := i.output.stream("stdout"), i.output.stream("stderr")
	i.cmd, err = command(spec, port, home)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(home))
	}
	i.cmd.Stdout, i.cmd.Stderr = stdout, stderr

	guard, err := watchdog.New(home)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(home))
	}
	if err := launch(i.cmd); err != nil {
		guard.Dismiss()
		return nil, errors.Join(err, os.RemoveAll(home))
	}
	watchErr := guard.Watch(i.cmd.Process.Pid)
	if watchErr != nil {
		_ = i.cmd.Process.Kill()
	}
	go func() {
		_ = i.cmd.Wait() // Ending has it from the process's state
		killGroup(i.cmd.Process.Pid)
		guard.Dismiss()
		stdout.close()
		stderr.close()
		_ = os.RemoveAll(home) // the system clears its temporary directory too
		releasePort(port)
		close(i.done)
	}()
	if watchErr != nil {
		<-i.done
		return nil, watchErr
	}
	return i, nil
}

func command(spec Spec, port int, home string) (*exec.Cmd, error) {
	argv, err := spec.argv()
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(spec.Image.Root)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	env := spec.environment(port, home)
	program, err := spec.executable(root, argv[0], env["PATH"])
	if err != nil {
		return nil, err
	}
	dir, err := spec.workingDir(root)
	if err != nil {
		return nil, err
	}
	return &exec.Cmd{Path: program, Args: argv, Env: environ(env), Dir: dir, SysProcAttr: watchdog.OwnGroup(), WaitDelay: outputDelay}, nil
}

// awaitReady returns nil once the probe succeeds while the process runs.
func (i *Instance) awaitReady(ctx context.Context, probe Probe) error {
	probe.Port = cmp.Or(probe.Port, i.port)
	timeout := fmt.Errorf("it did not listen within %v", probe.Deadline)
	probeCtx, cancel := context.WithTimeoutCause(ctx, probe.Deadline, timeout)
	defer cancel()
	ready := make(chan error, 1)
	go func() { ready <- probe.wait(probeCtx) }()
	select {
	case err := <-ready:
		switch {
		case err == nil && !i.ended():
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return i.failure(context.Cause(probeCtx).Error())
		}
	case <-i.done:
		cancel()
		<-ready
	}
	<-i.done
	if !portFree(i.port) {
		return &portLostError{port: i.port}
	}
	return i.failure("it ended before it listened, with " + i.Ending())
}

// failure phrases an error as Cloud Run does.
func (i *Instance) failure(reason string) error {
	message := fmt.Sprintf("The user-provided container failed to start and listen on the port defined provided by the PORT=%d environment variable within the allocated timeout: %s.", i.port, reason)
	if tail := i.output.String(); tail != "" {
		message += " The last that it wrote:\n" + tail
	} else {
		message += " It wrote nothing."
	}
	return errors.New(message)
}

// portLostError says that another process listens where the instance should.
type portLostError struct{ port int }

func (e *portLostError) Error() string {
	return fmt.Sprintf("another program took port %d: try again", e.port)
}

// Addr returns the HOST:PORT at which to reach the instance.
func (i *Instance) Addr() string { return loopback(i.port) }

// PID returns the id of the process.
func (i *Instance) PID() int { return i.cmd.Process.Pid }

// Output returns the last 50 lines that the program wrote.
func (i *Instance) Output() string { return i.output.String() }

// Done is closed once the process has ended and everything of it is gone.
func (i *Instance) Done() <-chan struct{} { return i.done }

// Stop asks the process to end (SIGTERM), ends it after the grace or when the
// context ends (SIGKILL), and returns when it is gone.
func (i *Instance) Stop(ctx context.Context) {
	_ = i.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
	timer := time.NewTimer(i.grace)
	defer timer.Stop()
	select {
	case <-i.done:
		return
	case <-timer.C:
	case <-ctx.Done():
	}
	i.kill()
}

func (i *Instance) kill() {
	_ = i.cmd.Process.Kill() // it may have ended already
	<-i.done
}

func (i *Instance) ended() bool {
	select {
	case <-i.done:
		return true
	default:
		return false
	}
}

// Ending describes how the process ended, such as "exit status 3" or "signal:
// killed". It may be called once Done is closed.
func (i *Instance) Ending() string { return i.cmd.ProcessState.String() }
