package editors

import (
	"os"
	"path/filepath"
)

// A base is a directory that differs between systems and people.
type base int

const (
	home      base = iota // the home directory
	appData               // where desktop programs keep what is the user's
	dotConfig             // where command-line programs do, on macOS too
)

// A location is a file or directory in the user's home.
type location struct {
	env  string // variable that names the directory in place of base and dir
	base base
	dir  string // below base
	path string // below that, with slashes
}

// A System is the computer whose configuration is meant: this one, or any in a test.
type System struct {
	OS     string // as runtime.GOOS
	Home   string // the user's home directory
	Getenv func(string) string
}

// Variables are those with which a user moves the directory of an editor's configuration.
func Variables() []string {
	var all []string
	for _, e := range All() {
		if e.user.env != "" {
			all = append(all, e.user.env)
		}
	}
	return all
}

func (s System) find(l location) string {
	dir := ""
	if l.env != "" {
		dir = s.Getenv(l.env)
	}
	if dir == "" {
		dir = filepath.Join(s.dir(l.base), l.dir)
	}
	return filepath.Join(dir, filepath.FromSlash(l.path))
}

func (s System) dir(b base) string {
	switch {
	case b == home:
		return s.Home
	case s.OS == "windows":
		if dir := s.Getenv("APPDATA"); dir != "" {
			return dir
		}
		return filepath.Join(s.Home, "AppData", "Roaming")
	case s.OS == "darwin" && b == appData:
		return filepath.Join(s.Home, "Library", "Application Support")
	}
	if dir := s.Getenv("XDG_CONFIG_HOME"); filepath.IsAbs(dir) && s.OS != "darwin" {
		return dir // the specification has relative paths ignored
	}
	return filepath.Join(s.Home, ".config")
}

// UserFile is the editor's configuration for all of the user's projects.
func (e Editor) UserFile(s System) string { return s.find(e.user) }

// ProjectFile is the editor's configuration for the project in a directory, and "" if it
// has no such file.
func (e Editor) ProjectFile(root string) string {
	if e.project == "" {
		return ""
	}
	return filepath.Join(root, filepath.FromSlash(e.project))
}

// Found reports whether the editor has been used on this computer.
func (e Editor) Found(s System) bool {
	file := e.UserFile(s)
	places := []string{file, filepath.Dir(file)}
	if e.marker != (location{}) {
		places[1] = s.find(e.marker)
	}
	for _, place := range places {
		if _, err := os.Stat(place); err == nil {
			return true
		}
	}
	return false
}
