package try

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/berth-mcp/berth/internal/plaintext"
	"golang.org/x/term"
)

// story tells what happens: a line per step with its time, and below it what
// was seen. On a terminal the running step shows what it is at.
type story struct {
	out      plaintext.Writer // what is told comes from servers, the engine and the proxy, too
	terminal bool
	colour   bool
	width    int
	started  time.Time

	mu      sync.Mutex
	current string    // title of the running step
	since   time.Time // when it began
}

func newStory(out io.Writer) *story {
	s := &story{out: plaintext.NewWriter(out), started: time.Now()}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" {
		s.terminal = true
		s.colour = os.Getenv("NO_COLOR") == ""
		s.width, _, _ = term.GetSize(int(f.Fd()))
	}
	return s
}

func (s *story) say(format string, args ...any) {
	fmt.Fprintf(s.out, format+"\n", args...)
}

// begin starts a step. The result ends it, with what was seen.
func (s *story) begin(title string) (done func(err error, details ...string)) {
	s.mu.Lock()
	s.current, s.since = title, time.Now()
	s.mu.Unlock()
	s.Note("")
	return func(err error, details ...string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.clear()
		took := time.Since(s.since)
		if err != nil {
			s.paint(red, "no")
		} else {
			s.paint(green, "ok")
		}
		fmt.Fprintf(s.out, "  %-62s %6.1f s\n", title, took.Seconds())
		for _, d := range details {
			for _, line := range wrap(d, detailWidth) {
				fmt.Fprintf(s.out, "      %s\n", line)
			}
		}
		s.current = ""
	}
}

// Note shows, on a terminal, what the running step is at. Outside of a step it
// is a line of its own everywhere.
func (s *story) Note(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.current == "" && what != "":
		for _, line := range wrap(what, detailWidth) {
			s.say("    %s", line)
		}
	case s.terminal && s.current != "":
		s.clear()
		line := plaintext.Line(fmt.Sprintf("..  %s  %s", s.current, what))
		if s.width > 0 && len(line) >= s.width {
			line = strings.ToValidUTF8(line[:s.width-1], "") // no part of a character
		}
		fmt.Fprint(s.out, line)
	}
}

// Compiled shows how far the build of Pulumi is: always on a terminal, every
// tenth of the way in a pipe.
func (s *story) Compiled(done, total int) {
	if total == 0 {
		return
	}
	if s.terminal {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.clear()
		fmt.Fprintf(s.out, "    compiling Pulumi: %d of %d packages", done, total)
		if done == total {
			fmt.Fprintln(s.out, "; linking")
		}
		return
	}
	if step := max(1, total/10); done%step == 0 || done == total {
		s.say("    compiling Pulumi: %d of %d packages", done, total)
	}
}

// clear empties the line that the cursor is in.
func (s *story) clear() {
	if s.terminal {
		fmt.Fprint(plaintext.Raw(s.out), "\r\x1b[2K")
	}
}

func (s *story) total() string { return time.Since(s.started).Round(100 * time.Millisecond).String() }

// detailWidth keeps what was seen within 80 columns, with its margin.
const detailWidth = 74

// wrap breaks text at spaces. A word that is longer stays whole.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = "  " + word
			continue
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

const (
	green = "32"
	red   = "31"
)

// paint writes a word of our own in a colour.
func (s *story) paint(colour, word string) {
	if s.colour {
		word = "\x1b[" + colour + "m" + word + "\x1b[0m"
	}
	fmt.Fprint(plaintext.Raw(s.out), word)
}
