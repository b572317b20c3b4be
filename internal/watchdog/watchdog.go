//go:build unix

// Package watchdog ends what a process has started, if that process dies
// without the chance to: killed hard, or by its own panic.
//
// A watchdog is a child that waits for its standard input to end. This works on
// every Unix; Linux's parent-death signal would reach the first process only,
// and be sent when the *thread* that started it ends.
package watchdog

import (
	"fmt"
	"io"
	"os/exec"
	"syscall"
)

// Watchdog guards process groups and a directory.
type Watchdog struct {
	cmd   *exec.Cmd
	input io.WriteCloser
}

// Each line is a process group, until one says that all is well. An input that
// ends before it means that the parent is gone. The argument is the directory.
const script = `groups=
while read -r line; do
	[ "$line" = done ] && exit 0
	groups="$groups -$line"
done
kill -s KILL -- $groups
rm -rf -- "$1"`

// New starts a watchdog. If this process dies before [Watchdog.Dismiss], the
// groups that are watched are killed and dir is removed.
func New(dir string) (*Watchdog, error) {
	cmd := exec.Command("/bin/sh", "-c", script, "watchdog", dir)
	cmd.Env = []string{} // not this process's
	cmd.SysProcAttr = OwnGroup()
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the watchdog: %w", err)
	}
	return &Watchdog{cmd: cmd, input: input}, nil
}

// Watch adds the process group of that leader, see [OwnGroup].
func (w *Watchdog) Watch(leader int) error {
	if _, err := fmt.Fprintln(w.input, leader); err != nil {
		return fmt.Errorf("telling the watchdog: %w", err)
	}
	return nil
}

// Dismiss ends the watchdog and leaves groups and directory alone.
func (w *Watchdog) Dismiss() {
	_, _ = fmt.Fprintln(w.input, "done") // it may have ended already
	_ = w.input.Close()
	_ = w.cmd.Wait()
}

// OwnGroup makes a process the leader of a group of its own, out of reach of a
// signal to the terminal's group, such as that of Ctrl-C: this process ends its
// children in order.
func OwnGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
