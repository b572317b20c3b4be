package editors

import (
	"errors"
	"fmt"
	neturl "net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/berth-mcp/berth/proxy/address"
)

// A Place is where a change is made.
type Place struct {
	System System
	// Project is the root of the project whose configuration is meant. Empty: that of the
	// user, for all projects.
	Project string
	// Program is the path of berth-proxy, where its file may have another name.
	Program string
	// DryRun leaves every file as it is.
	DryRun bool
}

func (e Editor) file(p Place) (file, error) {
	if p.Project == "" {
		return file{path: e.UserFile(p.System), format: e.format}, nil
	}
	path := e.ProjectFile(p.Project)
	if path == "" {
		return file{}, fmt.Errorf("%s has no configuration of a project: leave --scope out", e.Title)
	}
	return file{path: path, root: p.Project, format: e.format}, nil
}

// Install makes the editor's configuration have an entry for each server, in one change. An
// entry of such a name which leads to something else than berth-proxy is somebody's own: it
// is replaced only by force, and then as a whole.
func (e Editor) Install(p Place, force bool, servers ...Server) (Change, error) {
	f, err := e.file(p)
	if err != nil {
		return Change{}, err
	}
	return f.change(func(content []byte) ([]byte, error) {
		for _, s := range servers {
			if content, err = e.with(f.format, content, p.Program, s, force); err != nil {
				return nil, err
			}
		}
		return content, nil
	}, p.DryRun)
}

// with is the content with an entry for the server.
func (e Editor) with(f format, content []byte, berthProxy string, s Server, force bool) ([]byte, error) {
	members, err := e.entry(s)
	if err != nil {
		return nil, err
	}
	found, err := f.entries(content, e.section)
	if err != nil {
		return nil, err
	}
	for _, other := range found {
		if other.name != s.Name {
			continue
		}
		if _, ours := other.leads(berthProxy); !ours && !force {
			return nil, fmt.Errorf("it has another server under the name %s: choose another with --name, or replace it with --force", quote(s.Name))
		} else if !ours {
			if content, err = f.remove(content, e.section, s.Name); err != nil {
				return nil, err
			}
		}
	}
	return f.set(content, e.section, s.Name, members)
}

// InstallCommand is what a person types to connect the editor to a client at a proxy with
// a port, whose paths may have a secret in them.
func (e Editor) InstallCommand(client string, port int, secret bool) string {
	command := "berth-proxy install " + e.ID + " --client " + client
	if port != address.DefaultPort {
		command += " --port " + strconv.Itoa(port)
	}
	if secret {
		command += " --path-secret"
	}
	return command
}

// Uninstall takes the entries that lead to berth-proxy out of the editor's configuration:
// those for the clients, or with none given, all that lead to the port or start a command.
func (e Editor) Uninstall(p Place, port int, clients []string) (Change, error) {
	f, err := e.file(p)
	if err != nil {
		return Change{}, err
	}
	return f.change(func(content []byte) ([]byte, error) {
		found, err := e.installed(f.format, p.Program, content)
		if err != nil {
			return nil, err
		}
		for _, i := range found {
			if !i.meant(port, clients) {
				continue
			}
			if content, err = f.format.remove(content, e.section, i.Name); err != nil {
				return nil, err
			}
		}
		return content, nil
	}, p.DryRun)
}

// An Installed is an entry that leads to berth-proxy.
type Installed struct {
	Name    string // of the entry
	Client  string // that it leads to
	Port    int    // of the URL; 0 for a command
	Secret  string // of the path, if the URL has one
	Command string // the program; "" for a URL
}

func (i Installed) meant(port int, clients []string) bool {
	for _, c := range clients {
		if c == i.Client {
			return true
		}
	}
	return len(clients) == 0 && (i.Port == port || i.Command != "")
}

// Installed returns the entries of the editor's configuration that lead to berth-proxy.
func (e Editor) Installed(p Place) ([]Installed, error) {
	f, err := e.file(p)
	if err != nil {
		return nil, err
	}
	content, _, err := f.read()
	if err != nil {
		return nil, err
	}
	found, err := e.installed(f.format, p.Program, content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.path, err)
	}
	return found, nil
}

func (e Editor) installed(f format, berthProxy string, content []byte) ([]Installed, error) {
	entries, err := f.entries(content, e.section)
	if err != nil {
		return nil, err
	}
	var found []Installed
	for _, entry := range entries {
		if i, ours := entry.leads(berthProxy); ours {
			found = append(found, i)
		}
	}
	return found, nil
}

// localPath is /CLIENT/mcp or /CLIENT/sse, with a secret in front where there is one. A
// path without a client may be any program's on this computer.
var localPath = regexp.MustCompile(`^(?:/([A-Za-z0-9_-]{16,}))?/([a-z0-9][a-z0-9-]{0,62})/(?:mcp|sse)$`)

// leads reports whether the entry leads to berth-proxy, whose file is given, and how.
func (e entry) leads(berthProxy string) (Installed, bool) {
	for _, key := range []string{"url", "serverUrl", "httpUrl"} {
		u, err := neturl.Parse(e.text(key))
		if err != nil || u.Scheme != "http" || !address.IsLoopback(u.Hostname()) {
			continue
		}
		port, err := strconv.Atoi(u.Port())
		if path := localPath.FindStringSubmatch(u.Path); path != nil && err == nil {
			return Installed{Name: e.name, Client: path[2], Port: port, Secret: path[1]}, true
		}
	}
	program := e.text("command")
	words, _ := e.members["args"].([]any)
	base := strings.TrimSuffix(program[strings.LastIndexAny(program, `/\`)+1:], ".exe")
	if (base != "berth-proxy" && (program == "" || program != berthProxy)) || len(words) < 2 || words[0] != "stdio" {
		return Installed{}, false
	}
	client, _ := words[1].(string)
	return Installed{Name: e.name, Client: client, Command: program}, true
}

// CheckName tells what is wrong with the name of an entry.
func CheckName(name string) error {
	if !entryName.MatchString(name) {
		return errors.New("use 1 to 64 letters, digits, _ and -, the first a letter or digit")
	}
	return nil
}

// entryName is what every editor takes; some make the names of tools from it.
var entryName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)
