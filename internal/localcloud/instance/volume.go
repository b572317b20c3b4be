package instance

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// writeVolumes writes each volume to a directory of its own below dir, and
// gives these by the volumes' names.
func writeVolumes(dir string, volumes map[string]Volume) (map[string]string, error) {
	mounted := map[string]string{}
	for name, volume := range volumes {
		// By number: a name is for people, and need not be one of a directory.
		at := filepath.Join(dir, strconv.Itoa(len(mounted)))
		if err := volume.write(at); err != nil {
			return nil, fmt.Errorf("volume %q: %w", name, err)
		}
		mounted[name] = at
	}
	return mounted, nil
}

func (v Volume) write(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, file := range v.Files {
		if err := root.MkdirAll(path.Dir(file.Path), 0o700); err != nil {
			return err
		}
		if err := root.WriteFile(file.Path, file.Content, 0o600); err != nil {
			return err
		}
		if err := root.Chmod(file.Path, file.Mode); err != nil {
			return err
		}
	}
	return nil
}

// mapping turns the paths at which a container's volumes are mounted into where
// they are on this machine.
type mapping []struct {
	pattern *regexp.Regexp
	to      string
}

// mapping has the longest paths first, so that a mount in a mount is found.
func (c *Container) mapping(mounted map[string]string) mapping {
	var at []string
	for mount := range c.Mounts {
		at = append(at, mount)
	}
	slices.SortFunc(at, func(a, b string) int { return len(b) - len(a) })
	var m mapping
	for _, mount := range at {
		// As a path of its own, or as one in a list or behind an option's name.
		pattern := `(^|[=:,;\s"']|file://)` + regexp.QuoteMeta(path.Clean(mount)) + `($|[/:,;\s"'])`
		m = append(m, struct {
			pattern *regexp.Regexp
			to      string
		}{regexp.MustCompile(pattern), strings.ReplaceAll(mounted[c.Mounts[mount]], "$", "$$")})
	}
	return m
}

func (m mapping) apply(text string) string {
	for _, one := range m {
		text = one.pattern.ReplaceAllString(text, "${1}"+one.to+"${2}")
	}
	return text
}
