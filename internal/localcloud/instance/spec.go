package instance

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"
)

// Spec says what to run and how: one container or several, which start and end
// together and reach each other on localhost.
type Spec struct {
	// Containers are those of the instance. Exactly one serves. Required.
	Containers []Container
	// Service and Revision are the short names of K_SERVICE (and
	// K_CONFIGURATION) and K_REVISION.
	Service, Revision string
	// Volumes are what containers may mount, by name.
	Volumes map[string]Volume
	// Grace between SIGTERM and SIGKILL; 0 is 10 s, as on Cloud Run.
	Grace time.Duration
	// Closing is called once, when all of the instance is gone, also when it did
	// not start. Nil is nothing.
	Closing func()
	// Output receives each line that a container writes; stream is stdout or
	// stderr. Lines are cut at 16 KiB. It may be called from many goroutines.
	// Nil drops them.
	Output func(container, stream, line string)
}

// Container is one program of an instance.
type Container struct {
	// Name tells it apart; the only one may have none.
	Name string
	// Image to run. Required.
	Image *Image
	// Serves marks the one that gets PORT and the requests.
	Serves bool
	// Command and Args replace the image's, if any.
	Command, Args []string
	// WorkingDir, in the image; empty is the image's own.
	WorkingDir string
	// Env goes over the image's variables, and below those of the platform
	// (PORT, K_…) and of this machine (HOME and TMPDIR, a directory of the
	// container's own that ends with it). It is also the place for what keeps
	// a program on loopback, if it can be told by a variable.
	Env map[string]string
	// DependsOn are the names of containers that must be ready before it
	// starts.
	DependsOn []string
	// Startup says when it is ready. Nil is, for the one that serves, that it
	// listens; for another, that it was started.
	Startup *Probe
	// Liveness ends the instance when it fails. Nil never does.
	Liveness *Liveness
	// Mounts are the names of volumes by the absolute path at which the
	// program shall find them. See the package's limits.
	Mounts map[string]string
}

// Volume is a directory of files. One without files is empty, and containers
// that mount it share what they write.
type Volume struct{ Files []File }

// File is a file in a volume.
type File struct {
	// Path in the volume, relative and local.
	Path    string
	Content []byte
	Mode    fs.FileMode
}

// check finds everything that is wrong with a spec, as no caller should give it.
func (s *Spec) check() error {
	var problems []error
	fail := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	names := map[string]bool{}
	serving := 0
	for _, c := range s.Containers {
		if names[c.Name] {
			fail("container %q is there twice", c.Name)
		}
		names[c.Name] = true
		if c.Serves {
			serving++
		}
	}
	if serving != 1 {
		fail("%d containers serve: exactly one must", serving)
	}
	for _, c := range s.Containers {
		for _, needed := range c.DependsOn {
			if !names[needed] {
				fail("container %q depends on %q, which is not there", c.Name, needed)
			}
		}
		for at, volume := range c.Mounts {
			if _, ok := s.Volumes[volume]; !ok {
				fail("container %q mounts %q at %s, which is not there", c.Name, volume, at)
			}
		}
	}
	if len(problems) == 0 && s.circular() {
		fail("containers depend on each other in a circle: each would wait for ever")
	}
	return errors.Join(problems...)
}

// circular takes away what waits for nothing, until nothing is left or all of
// the rest waits.
func (s *Spec) circular() bool {
	waiting := slices.Clone(s.Containers)
	for len(waiting) > 0 {
		left := slices.DeleteFunc(slices.Clone(waiting), func(c Container) bool {
			return !slices.ContainsFunc(waiting, func(other Container) bool { return slices.Contains(c.DependsOn, other.Name) })
		})
		if len(left) == len(waiting) {
			return true
		}
		waiting = left
	}
	return false
}
