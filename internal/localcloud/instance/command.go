package instance

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// defaultPath is what container runtimes set where an image does not.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// noMetadataServer keeps Google's libraries in an instance from asking the
// metadata server of the machine at hand for its account, should that machine
// be a virtual one of Google's. Container.Env may name a local one instead.
const noMetadataServer = "127.0.0.1:9"

// argv returns the command line as Kubernetes and Cloud Run define it: a
// command replaces the image's entrypoint and its arguments, arguments replace
// the image's.
func (c *Container) argv() ([]string, error) {
	argv := slices.Concat(c.Image.Config.Entrypoint, c.Image.Config.Cmd)
	switch {
	case len(c.Command) > 0:
		argv = slices.Concat(c.Command, c.Args)
	case len(c.Args) > 0:
		argv = slices.Concat(c.Image.Config.Entrypoint, c.Args)
	}
	if len(argv) == 0 {
		return nil, errors.New("the image has no entrypoint: set the container's command")
	}
	return argv, nil
}

// environment returns the variables of the process: nothing of this process's
// own. What later maps hold goes over what earlier ones do.
func (c *Container) environment(i *Instance, home string) map[string]string {
	env := map[string]string{"PATH": defaultPath, "GCE_METADATA_HOST": noMetadataServer}
	for _, variable := range c.Image.Config.Env {
		if name, value, ok := strings.Cut(variable, "="); ok {
			env[name] = value
		}
	}
	maps.Copy(env, c.Env)
	maps.Copy(env, map[string]string{
		// An image's HOME would be the host's directory of that name, with
		// the credentials in it.
		"HOME":            home,
		"TMPDIR":          home,
		"K_SERVICE":       i.spec.Service,
		"K_REVISION":      i.spec.Revision,
		"K_CONFIGURATION": i.spec.Service,
	})
	if c.Serves {
		env["PORT"] = strconv.Itoa(i.port)
	}
	return env
}

func environ(env map[string]string) []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}

// workingDir returns the directory on the host, made if the image lacks it.
func (c *Container) workingDir(root *os.Root) (string, error) {
	dir := c.WorkingDir
	if dir == "" {
		dir = c.Image.Config.WorkingDir
	}
	name := inImage(dir)
	if err := root.MkdirAll(name, 0o755); err != nil {
		return "", fmt.Errorf("working directory %q: %w", dir, err)
	}
	return filepath.Join(c.Image.Root, name), nil
}

// executable finds a program in the image, as a container runtime does: by
// its path, or in PATH if it is a bare name.
func (c *Container) executable(root *os.Root, program, searchPath string) (string, error) {
	candidates := []string{program}
	switch {
	case path.IsAbs(program):
	case strings.Contains(program, "/"):
		dir := c.WorkingDir
		if dir == "" {
			dir = c.Image.Config.WorkingDir
		}
		candidates[0] = path.Join("/", dir, program)
	default:
		candidates = nil
		for dir := range strings.SplitSeq(searchPath, ":") {
			candidates = append(candidates, path.Join("/", dir, program))
		}
	}
	for _, candidate := range candidates {
		name := inImage(candidate)
		info, err := root.Stat(name) // follows links, within the image only
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		if info.Mode()&0o111 == 0 {
			return "", fmt.Errorf("%q in the image may not be executed: %w", program, fs.ErrPermission)
		}
		return filepath.Join(c.Image.Root, name), nil
	}
	return "", fmt.Errorf("%q is not a program in the image (looked for %s)", program, strings.Join(candidates, ", "))
}

// inImage returns a container path relative to the image's root.
func inImage(name string) string { return path.Clean("./" + path.Clean("/"+name)) }
