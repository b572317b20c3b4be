package instance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/berth-mcp/berth/internal/watchdog"
)

// process is a running container.
type process struct {
	container *Container
	instance  *Instance
	cmd       *exec.Cmd
	output    *output
	done      chan struct{} // closed once it has ended and its output was read
}

func (c *Container) command(i *Instance, home string) (*exec.Cmd, error) {
	paths := c.mapping(i.mounted)
	argv, err := c.argv()
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(c.Image.Root)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	env := c.environment(i, home)
	program, err := c.executable(root, argv[0], env["PATH"])
	if err != nil {
		return nil, err
	}
	dir, err := c.workingDir(root)
	if err != nil {
		return nil, err
	}
	for n := range argv {
		argv[n] = paths.apply(argv[n])
	}
	for name, value := range c.Env {
		if env[name] == value { // not one that the platform has the say of
			env[name] = paths.apply(value)
		}
	}
	return &exec.Cmd{Path: program, Args: argv, Env: environ(env), Dir: dir, SysProcAttr: watchdog.OwnGroup(), WaitDelay: outputDelay}, nil
}

// launch starts the process, and the goroutine that cleans up after it; i.mu is
// held. There may be a process beside an error.
func (i *Instance) launch(c *Container, cmd *exec.Cmd) (*process, error) {
	emit := func(stream, line string) { i.spec.Output(c.Name, stream, line) }
	p := &process{container: c, instance: i, cmd: cmd, output: &output{emit: emit}, done: make(chan struct{})}
	stdout, stderr := p.output.stream("stdout"), p.output.stream("stderr")
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if err := launch(cmd); err != nil {
		return nil, err
	}
	go func() {
		_ = cmd.Wait() // ending has it from the process's state
		killGroup(p.pid())
		stdout.close()
		stderr.close()
		i.ended(p)
		close(p.done)
	}()
	return p, i.guard.Watch(p.pid())
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// ending may be called once done is closed.
func (p *process) ending() string { return p.cmd.ProcessState.String() }

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// awaitReady returns nil once the startup probe succeeds while the process
// runs.
func (p *process) awaitReady(ctx context.Context) error {
	if p.container.Startup == nil && !p.container.Serves {
		return nil
	}
	probe := p.probe(p.container.Startup)
	timeout := fmt.Errorf("it did not listen within %v", probe.Deadline)
	probeCtx, cancel := context.WithTimeoutCause(ctx, probe.Deadline, timeout)
	defer cancel()
	ready := make(chan error, 1)
	go func() { ready <- probe.wait(probeCtx) }()
	select {
	case err := <-ready:
		switch {
		case err == nil && !p.ended():
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return p.failure(context.Cause(probeCtx).Error())
		}
	case <-p.done:
		cancel()
		<-ready
	}
	<-p.done
	if p.container.Serves && !portFree(p.instance.port) {
		return &portLostError{port: p.instance.port}
	}
	return p.failure("it ended before it listened, with " + p.ending())
}

// probe fills in what a probe leaves out.
func (p *process) probe(given *Probe) Probe {
	var probe Probe
	if given != nil {
		probe = *given
	}
	probe.Port = cmp.Or(probe.Port, p.instance.port)
	probe.Attempt = cmp.Or(probe.Attempt, defaultAttempt)
	probe.Deadline = cmp.Or(probe.Deadline, defaultDeadline)
	return probe
}

// failure phrases an error as Cloud Run does.
func (p *process) failure(reason string) error {
	message := fmt.Sprintf("The user-provided container failed to start and listen on the port defined provided by the PORT=%d environment variable within the allocated timeout: %s.", p.instance.port, reason)
	if !p.container.Serves {
		message = fmt.Sprintf("The user-provided container %s failed its startup probe within the allocated timeout: %s.", p.container.Name, reason)
	}
	if tail := p.output.String(); tail != "" {
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
