package client

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// transformations are those of the arguments. They see the server's resources, but not
// the component itself: a change of its options could take the policies away that are
// one of them, see [enforcePolicies].
func (b *builder) transformations() []pulumi.ResourceTransformation {
	var all []pulumi.ResourceTransformation
	for _, t := range b.args.Transformations {
		all = append(all, func(r *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
			if r.Resource == b.parent {
				return nil
			}
			return transform(t, r)
		})
	}
	return all
}

// transform calls a transformation. This function is on the call stack of whatever a
// transformation declares, see [transforming], and so must not be inlined.
//
//go:noinline
func transform(t pulumi.ResourceTransformation, r *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
	return t(r)
}

var transformName = runtime.FuncForPC(reflect.ValueOf(transform).Pointer()).Name()

// transforming reports whether a transformation is being called in this goroutine. That
// is all that tells its resources from those that the program declares meanwhile, in
// another goroutine.
func transforming() bool {
	callers := make([]uintptr, 64)
	for skip := 2; ; skip += len(callers) {
		n := runtime.Callers(skip, callers)
		frames := runtime.CallersFrames(callers[:n])
		for more := n > 0; more; {
			var frame runtime.Frame
			if frame, more = frames.Next(); frame.Function == transformName {
				return true
			}
		}
		if n < len(callers) {
			return false
		}
	}
}

// intruders are resources that transformations declare. They are refused, whatever
// their type: the plan does not have them, and so the policies would not see them.
type intruders struct {
	mu      sync.Mutex
	refused []error
}

// guard refuses intruders anywhere in the program, from now on.
func (i *intruders) guard(ctx *pulumi.Context) error {
	return ctx.RegisterStackTransformation(i.refuse)
}

// refuse is a transformation that keeps an intruder from being registered.
func (i *intruders) refuse(r *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
	if !transforming() {
		return nil
	}
	err := fmt.Errorf("  %s (%s): was declared by a transformation, which may change resources but not add any; declare it next to the server, in your program or in a stack of its own", r.Name, r.Type)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.refused = append(i.refused, err)
	return &pulumi.ResourceTransformationResult{Props: failing(err)}
}

func (i *intruders) err() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if err := errors.Join(i.refused...); err != nil {
		return fmt.Errorf("the server's transformations declare resources, which were refused:\n%w", err)
	}
	return nil
}

// failing are the properties of a resource that must not be registered. Pulumi waits
// for them first, and reports the error; a transformation has no other way to do so.
func failing(err error) pulumi.Map {
	return pulumi.Map{"refused": pulumi.String("").ToStringOutput().ApplyT(func(string) (string, error) { return "", err })}
}
