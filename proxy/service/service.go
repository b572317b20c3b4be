// Package service describes the proxy to what starts programs when a developer logs in:
// systemd, launchd, and the Task Scheduler of Windows. It writes no file and runs nothing.
package service

import (
	"bytes"
	"embed"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"text/template"
	"unicode/utf16"

	"github.com/berth-mcp/berth/internal/plaintext"
)

// A Service is what is to be started.
type Service struct {
	Program string   // absolute path
	Args    []string // without the program
	// Environment holds NAME=VALUE of what Program needs to find logins and the network as
	// this shell does. The Task Scheduler has no place for it: on Windows such settings are
	// the account's, and every program has them.
	Environment []string
}

// A Home is where a developer's files are.
type Home struct {
	Dir    string
	User   string                   // as the system names the account; a number where it is one
	Getenv func(name string) string // of the developer's environment
}

// A Unit is a service in the form of one system.
type Unit struct {
	File    string // where the system looks for it
	Content []byte
	Start   []string // commands that make the system know it and start it
	Log     string   // where the log is, as words or a command
	Stop    []string // commands that stop it and have the system forget it
}

//go:embed templates
var files embed.FS

// Systems are the values of GOOS that there is a unit for.
var Systems = []string{"linux", "darwin", "windows"}

// label names the proxy where names are those of domains.
const label = "io.github.berth-mcp.berth-proxy"

// New returns the unit for a system.
func New(system string, s Service, home Home) (Unit, error) {
	if err := s.check(home); err != nil {
		return Unit{}, err
	}
	switch system {
	case "linux":
		return systemd(s, home)
	case "darwin":
		return launchd(s, home)
	case "windows":
		return scheduler(s, home)
	}
	return Unit{}, fmt.Errorf("there is no service file for %s: start `berth-proxy serve` by the means of your system", system)
}

// check returns an error for what no service file can hold. It names values and does not repeat
// them: one may be a secret that is in the wrong place.
func (s Service) check(home Home) error {
	texts := map[string]string{"the path of berth-proxy": s.Program, "your home directory": home.Dir, "your user name": home.User}
	for i, arg := range s.Args {
		texts[fmt.Sprintf("argument %d of berth-proxy", i+1)] = arg
	}
	for _, variable := range s.Environment {
		name, _, _ := strings.Cut(variable, "=")
		texts["the variable "+name] = variable
	}
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		if plaintext.Check(texts[name], plaintext.OneLine) != nil {
			problems = append(problems, fmt.Errorf("%s has a control character or an invisible one, which no service file can hold: correct it", name))
		}
	}
	return errors.Join(problems...)
}

func systemd(s Service, home Home) (Unit, error) {
	settings := home.Getenv("XDG_CONFIG_HOME")
	if settings == "" {
		settings = path.Join(home.Dir, ".config")
	}
	content, err := fill("berth-proxy.service", s, nil)
	return Unit{
		File:    path.Join(settings, "systemd/user/berth-proxy.service"),
		Content: content,
		Start:   []string{"systemctl --user daemon-reload", "systemctl --user enable --now berth-proxy"},
		Log:     "journalctl --user -u berth-proxy",
		Stop:    []string{"systemctl --user disable --now berth-proxy"},
	}, err
}

func launchd(s Service, home Home) (Unit, error) {
	file := path.Join(home.Dir, "Library/LaunchAgents", label+".plist")
	log := path.Join(home.Dir, "Library/Logs/berth-proxy.log")
	content, err := fill("launchd.plist", s, map[string]string{"Label": label, "Log": log})
	domain := "gui/" + home.User
	return Unit{
		File:    file,
		Content: content,
		Start:   []string{fmt.Sprintf("launchctl bootstrap %s '%s'", domain, file)},
		Log:     log,
		Stop:    []string{fmt.Sprintf("launchctl bootout %s/%s", domain, label)},
	}, err
}

func scheduler(s Service, home Home) (Unit, error) {
	data := home.Getenv("LOCALAPPDATA")
	if data == "" {
		return Unit{}, errors.New("LOCALAPPDATA is not set, so that there is no place for the task's file: set it")
	}
	file := strings.TrimRight(data, `\`) + `\berth\berth-proxy.xml`
	content, err := fill("task.xml", s, map[string]string{"User": home.User})
	return Unit{
		File:    file,
		Content: inUTF16(content), // which is what schtasks reads
		Start:   []string{fmt.Sprintf(`schtasks /Create /F /TN berth-proxy /XML "%s"`, file), "schtasks /Run /TN berth-proxy"},
		Log:     "the window of berth-proxy",
		Stop:    []string{"schtasks /End /TN berth-proxy", "schtasks /Delete /F /TN berth-proxy"},
	}, err
}

func fill(name string, s Service, more map[string]string) ([]byte, error) {
	t, err := template.New(name).Funcs(template.FuncMap{
		"systemd": quoteSystemd,
		"command": quoteCommand,
		"xml":     escapeXML,
		"windows": joinWindows,
		"cut": func(variable string) []string {
			name, value, _ := strings.Cut(variable, "=")
			return []string{name, value}
		},
	}).ParseFS(files, "templates/"+name)
	if err != nil {
		return nil, err
	}
	var content bytes.Buffer
	err = t.Execute(&content, struct {
		Service
		More map[string]string
	}{s, more})
	return content.Bytes(), err
}

// quoteSystemd writes a word as systemd.syntax(7) has it. A % stands for something else if
// it is not doubled.
func quoteSystemd(word string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `%`, `%%`).Replace(word) + `"`
}

// quoteCommand writes a word of a command, in which systemd.service(5) has the same of $.
func quoteCommand(word string) string {
	return strings.ReplaceAll(quoteSystemd(word), "$", "$$")
}

func escapeXML(text string) (string, error) {
	var escaped strings.Builder
	err := xml.EscapeText(&escaped, []byte(text))
	return escaped.String(), err
}

// joinWindows writes words as one command line, as CommandLineToArgvW reads it.
func joinWindows(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = quoteWindows(word)
	}
	return strings.Join(quoted, " ")
}

func quoteWindows(word string) string {
	if word != "" && !strings.ContainsAny(word, " \t\"") {
		return word
	}
	var quoted strings.Builder
	quoted.WriteByte('"')
	backslashes := 0
	for _, r := range word {
		switch r {
		case '\\':
			backslashes++
			continue
		case '"':
			backslashes = 2*backslashes + 1 // those in front of a quote count double
		}
		quoted.WriteString(strings.Repeat(`\`, backslashes))
		quoted.WriteRune(r)
		backslashes = 0
	}
	quoted.WriteString(strings.Repeat(`\`, 2*backslashes))
	quoted.WriteByte('"')
	return quoted.String()
}

// inUTF16 has a mark of its byte order in front, as XML wants.
func inUTF16(text []byte) []byte {
	var out bytes.Buffer
	for _, unit := range utf16.Encode([]rune("\ufeff" + string(text))) {
		_ = binary.Write(&out, binary.LittleEndian, unit) // a buffer takes everything
	}
	return out.Bytes()
}
