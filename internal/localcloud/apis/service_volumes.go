package apis

import (
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"

	"cloud.google.com/go/run/apiv2/runpb"
)

const (
	maxFileMode     = 0o777
	longestVolume   = 63 // characters of its name
	latestOrNumber  = "'latest' or a number from 1"
	localPathWanted = "must be a path within the volume, with no '..' in it"
)

var (
	volumeNamePattern = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	secretRefPattern  = regexp.MustCompile(`^(projects/[^/]+/secrets/)?[A-Za-z0-9_-]{1,255}$`)
)

// checkVolumes adds what is wrong with a template's volumes, and gives their
// names.
func checkVolumes(v *violations, field string, volumes []*runpb.Volume) map[string]bool {
	names := map[string]bool{}
	for i, volume := range volumes {
		here := fmt.Sprintf("%s[%d]", field, i)
		if !volumeNamePattern.MatchString(volume.GetName()) {
			v.add(here+".name", "%q must have only lower-case letters, digits and hyphens, at most %d", volume.GetName(), longestVolume)
		}
		if names[volume.GetName()] {
			v.add(here+".name", "%q is used twice", volume.GetName())
		}
		names[volume.GetName()] = true
		switch kind := volume.GetVolumeType().(type) {
		case nil:
			v.add(here, "One kind of volume is required, such as secret or empty_dir")
		case *runpb.Volume_Secret:
			checkSecretVolume(v, here+".secret", kind.Secret)
		}
	}
	return names
}

func checkSecretVolume(v *violations, field string, source *runpb.SecretVolumeSource) {
	checkSecretRef(v, field+".secret", source.GetSecret())
	checkMode(v, field+".default_mode", source.GetDefaultMode())
	seen := map[string]bool{}
	for i, item := range source.GetItems() {
		here := fmt.Sprintf("%s.items[%d]", field, i)
		checkVersion(v, here+".version", item.GetVersion())
		checkMode(v, here+".mode", item.GetMode())
		clean := path.Clean(item.GetPath())
		if item.GetPath() == "" || path.IsAbs(clean) || clean == "." || clean == ".." || strings.HasPrefix(clean, "../") {
			v.add(here+".path", "%q %s", item.GetPath(), localPathWanted)
		}
		if seen[clean] {
			v.add(here+".path", "%q is used twice", item.GetPath())
		}
		seen[clean] = true
	}
}

func checkMode(v *violations, field string, mode int32) {
	if mode < 0 || mode > maxFileMode {
		v.add(field, "%d is not 0 to %d (0777 in octal)", mode, maxFileMode)
	}
}

func checkSecretRef(v *violations, field, secret string) {
	if !secretRefPattern.MatchString(secret) {
		v.add(field, "%q must be a secret of the service's project or projects/PROJECT/secrets/SECRET", secret)
	}
}

func checkVersion(v *violations, field, version string) {
	if n, err := strconv.Atoi(version); version != latestVersion && (err != nil || n < 1) {
		v.add(field, "%q must be %s", version, latestOrNumber)
	}
}

// checkMounts: a program finds one thing at a path, and its root is its image's.
func checkMounts(v *violations, field string, mounts []*runpb.VolumeMount, volumes map[string]bool) {
	seen := map[string]bool{}
	for i, mount := range mounts {
		here := fmt.Sprintf("%s[%d]", field, i)
		if !volumes[mount.GetName()] {
			v.add(here+".name", "There is no volume %q", mount.GetName())
		}
		clean := path.Clean(mount.GetMountPath())
		if !path.IsAbs(mount.GetMountPath()) || clean == "/" || strings.Contains(mount.GetMountPath(), ":") {
			v.add(here+".mount_path", "%q must be an absolute path other than the root, without ':'", mount.GetMountPath())
		}
		if seen[clean] {
			v.add(here+".mount_path", "%q is used twice", mount.GetMountPath())
		}
		seen[clean] = true
		if mount.GetSubPath() != "" {
			v.add(here+".sub_path", "The local cloud mounts whole volumes; leave it unset here")
		}
	}
}

// checkDependencies: what others wait for must say when it is ready, and nothing
// may wait for itself.
func checkDependencies(v *violations, field string, containers []*runpb.Container) {
	byName := map[string]*runpb.Container{}
	for _, c := range containers {
		byName[c.GetName()] = c
	}
	for i, c := range containers {
		here := fmt.Sprintf("%s[%d].depends_on", field, i)
		for _, needed := range c.GetDependsOn() {
			target := byName[needed]
			switch {
			case target == nil || needed == c.GetName():
				v.add(here, "There is no other container %q", needed)
			case target.GetStartupProbe() == nil:
				v.add(here, "Container %q needs a startup probe, which says when it is ready", needed)
			case reaches(byName, needed, c.GetName(), map[string]bool{}):
				v.add(here, "Container %q depends on %q in turn", needed, c.GetName())
			}
		}
	}
}

// reaches tells whether a container depends on another, by however many steps.
func reaches(byName map[string]*runpb.Container, from, to string, seen map[string]bool) bool {
	if seen[from] {
		return false
	}
	seen[from] = true
	for _, next := range byName[from].GetDependsOn() {
		if next == to || reaches(byName, next, to, seen) {
			return true
		}
	}
	return false
}
