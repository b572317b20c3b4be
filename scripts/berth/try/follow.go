package try

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag/colors"
)

// nouns are the resource types of a client's stack, as people call them.
var nouns = map[string]string{
	"gcp:artifactregistry/repository:Repository":         "image repository",
	"gcp:cloudrunv2/service:Service":                     "Cloud Run service",
	"gcp:cloudrunv2/serviceIamBinding:ServiceIamBinding": "run.invoker binding",
	"gcp:projects/service:Service":                       "enabled API",
	"gcp:serviceaccount/account:Account":                 "service account",
}

// left is what stays in the cloud when it is deleted from a stack.
var left = map[string]bool{"gcp:projects/service:Service": true}

// changing are the engine's operations that change something in the cloud.
var changing = map[apitype.OpType]bool{apitype.OpCreate: true, apitype.OpUpdate: true, apitype.OpDelete: true, apitype.OpReplace: true}

// followed is what the engine did.
type followed struct {
	changed string   // what it worked on, in words
	errors  []string // what it, the program or a resource complained of
}

// follow tells the story what the engine is at, and gives all of it when the engine is
// done.
func follow(s *story) (stream chan<- events.EngineEvent, ended <-chan followed) {
	in, out := make(chan events.EngineEvent), make(chan followed, 1)
	go func() {
		var changed, complaints []string
		for event := range in {
			if said := event.DiagnosticEvent; said != nil && said.Severity == "error" {
				complaints = append(complaints, complaint(said.Message))
			}
			if noun := change(event); noun != "" {
				s.Note(fmt.Sprintf("%s %s", event.ResourcePreEvent.Metadata.Op, noun))
				changed = append(changed, noun)
			}
		}
		out <- followed{count(changed), complaints}
	}()
	return in, out
}

// change is what in the cloud an event says is being changed, if anything.
func change(event events.EngineEvent) (noun string) {
	if event.ResourcePreEvent == nil {
		return ""
	}
	step := event.ResourcePreEvent.Metadata
	if !changing[step.Op] || !strings.HasPrefix(step.Type, "gcp:") { // the stack and the component are not in the cloud
		return ""
	}
	if step.Op == apitype.OpDelete && left[step.Type] {
		return ""
	}
	return cmp.Or(nouns[step.Type], step.Type)
}

// preamble is what Pulumi puts before the error of a program.
var preamble = regexp.MustCompile(`^(an unhandled error occurred: )?(1 error occurred:\s*\* )?`)

func complaint(message string) string {
	return preamble.ReplaceAllString(strings.TrimSpace(colors.Never.Colorize(message)), "")
}

// failure is the error of a run of the engine: what was complained of, which Pulumi's own
// hides among all that was printed.
func failure(err error, ended <-chan followed) error {
	select {
	case f := <-ended:
		if len(f.errors) > 0 {
			return errors.New(strings.Join(f.errors, "\n"))
		}
	case <-time.After(time.Second): // the engine was not started, so it does not end
	}
	return err
}

// count writes a list with repetitions as "2 apples, pear".
func count(words []string) string {
	times := map[string]int{}
	for _, w := range words {
		times[w]++
	}
	var phrases []string
	for w, n := range times {
		if n > 1 {
			w = fmt.Sprintf("%d × %s", n, w)
		}
		phrases = append(phrases, w)
	}
	slices.Sort(phrases)
	return strings.Join(phrases, ", ")
}
