//go:build unix

package instance

import (
	"errors"
	"os/exec"
	"syscall"
	"time"
)

// launch starts a command. A program that was just unpacked may be "busy": a
// child that some other goroutine forks at that moment holds the file open for
// writing until it has become another program. (go.dev/issue/22315)
func launch(cmd *exec.Cmd) error {
	const attempts = 8
	wait := 2 * time.Millisecond
	for n := 1; ; n++ {
		// A Cmd can be started once.
		attempt := &exec.Cmd{
			Path: cmd.Path, Args: cmd.Args, Env: cmd.Env, Dir: cmd.Dir,
			Stdout: cmd.Stdout, Stderr: cmd.Stderr, SysProcAttr: cmd.SysProcAttr, WaitDelay: cmd.WaitDelay,
		}
		err := attempt.Start()
		if err == nil || n == attempts || !errors.Is(err, syscall.ETXTBSY) {
			*cmd = *attempt
			return err
		}
		time.Sleep(wait)
		wait *= 2
	}
}

// killGroup ends what a process has left behind in its group.
func killGroup(leader int) {
	// No such group is the usual case, and the wanted one.
	_ = syscall.Kill(-leader, syscall.SIGKILL)
}
