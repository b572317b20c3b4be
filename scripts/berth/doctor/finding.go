package doctor

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/berth-mcp/berth/internal/plaintext"
	"golang.org/x/term"
)

// status is how bad a finding is.
type status string

const (
	ok      status = "ok"
	warning status = "warning" // may stand in the way, or could not be looked at
	wrong   status = "wrong"   // stands in the way
)

// finding is what one check found: a sentence, and the commands that mend it.
type finding struct {
	Check  string   `json:"check"`
	Status status   `json:"status"`
	Says   string   `json:"says"`
	Mend   []string `json:"mend,omitempty"`
}

func fine(check, format string, args ...any) finding {
	return finding{Check: check, Status: ok, Says: fmt.Sprintf(format, args...)}
}

func doubt(check, format string, args ...any) finding {
	return finding{Check: check, Status: warning, Says: fmt.Sprintf(format, args...)}
}

func fault(check, format string, args ...any) finding {
	return finding{Check: check, Status: wrong, Says: fmt.Sprintf(format, args...)}
}

// by adds the commands that mend it.
func (f finding) by(commands ...string) finding {
	f.Mend = append(f.Mend, commands...)
	return f
}

// asFault is for what must be known: that it could not be looked at stands in the way.
func (f finding) asFault() finding {
	f.Status = wrong
	return f
}

// plain keeps a finding, and each command, to a line of its own.
func (f finding) plain() finding {
	f.Says = plaintext.Line(f.Says)
	f.Mend = slices.Clone(f.Mend)
	for i, command := range f.Mend {
		f.Mend[i] = plaintext.Line(command)
	}
	return f
}

// report tells the findings as they come: a line each for a person, and at the end
// all of them as JSON for a script.
type report struct {
	out      plaintext.Writer // findings quote Google, Pulumi, tools and files
	json     bool
	colour   bool
	findings []finding
}

func newReport(out io.Writer, asJSON bool) *report {
	r := &report{out: plaintext.NewWriter(out), json: asJSON, findings: []finding{}}
	if f, isFile := out.(*os.File); isFile && term.IsTerminal(int(f.Fd())) {
		r.colour = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	}
	return r
}

// colours are those of a terminal: green, yellow, red.
var colours = map[status]string{ok: "32", warning: "33", wrong: "31"}

func (r *report) add(findings ...finding) {
	for _, f := range findings {
		f = f.plain()
		r.findings = append(r.findings, f)
		if r.json {
			continue
		}
		r.mark(f.Status)
		fmt.Fprintf(r.out, "  %-12s %s\n", f.Check, f.Says)
		for _, command := range f.Mend {
			fmt.Fprintf(r.out, "%22s %s\n", "", command)
		}
	}
}

// mark writes a status in its colour.
func (r *report) mark(s status) {
	mark := fmt.Sprintf("%-7s", s)
	if r.colour {
		mark = "\x1b[" + colours[s] + "m" + mark + "\x1b[0m"
	}
	fmt.Fprint(plaintext.Raw(r.out), mark)
}

// end writes what is still to be written, and is an error if anything is wrong.
func (r *report) end() error {
	counts := map[status]int{}
	for _, f := range r.findings {
		counts[f.Status]++
	}
	if r.json {
		encoder := json.NewEncoder(r.out)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(map[string]any{"ok": counts[wrong] == 0, "findings": r.findings}); err != nil {
			return err
		}
	}
	if counts[wrong] == 0 {
		return nil
	}
	return fmt.Errorf("%s wrong; mend what is marked, then run it again", count(counts[wrong], "thing is", "things are"))
}

func count(n int, one, many string) string {
	if n == 1 {
		return "one " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// shellQuoted is a word as a shell takes it.
func shellQuoted(word string) string {
	if strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@=+") == "" && word != "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
