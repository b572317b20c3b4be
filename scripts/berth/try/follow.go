package try

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
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

// follow tells the story what the engine is at. When the engine is done,
// resources gives what it worked on, in words.
func follow(s *story) (stream chan<- events.EngineEvent, resources <-chan string) {
	in, out := make(chan events.EngineEvent), make(chan string, 1)
	go func() {
		var done []string
		for event := range in {
			step := event.ResourcePreEvent
			if step == nil || !changing[step.Metadata.Op] || !strings.HasPrefix(step.Metadata.Type, "gcp:") {
				continue // the stack and the component are not in the cloud
			}
			if step.Metadata.Op == apitype.OpDelete && left[step.Metadata.Type] {
				continue
			}
			noun, known := nouns[step.Metadata.Type]
			if !known {
				noun = step.Metadata.Type
			}
			s.Note(fmt.Sprintf("%s %s", step.Metadata.Op, noun))
			done = append(done, noun)
		}
		out <- count(done)
	}()
	return in, out
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
