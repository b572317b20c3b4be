package client

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const (
	stash      = "pulumi:index:Stash"
	thePlace   = stash + " berth-place"
	theGuard   = stash + " berth-guard"
	theBucket  = "gcp:storage/bucket:Bucket berth-data"
	theService = "gcp:cloudrunv2/service:Service berth-service"
)

// children are what a component has declared, by type and name.
type children map[string]pulumi.MockResourceArgs

func (r *recorder) children() children {
	all := children{}
	for _, one := range r.resources {
		if one.TypeToken != componentType {
			all[one.TypeToken+" "+one.Name] = one
		}
	}
	return all
}

func short(urn string) string {
	return string(resource.URN(urn).Type()) + " " + resource.URN(urn).Name()
}

// upTo are a child, what it depends on, what that depends on, and so on.
func (c children) upTo(child string) map[string]bool {
	all, next := map[string]bool{}, []string{child}
	for len(next) > 0 {
		one := next[0]
		next = next[1:]
		if !all[one] {
			all[one] = true
			for _, urn := range c[one].RegisterRPC.GetDependencies() {
				next = append(next, short(urn))
			}
		}
	}
	return all
}

// stays says that a child is still in Google Cloud, or never was, after a destroy that
// came to it and was refused at the service.
func (c children) stays(child string) bool {
	rpc := c[child].RegisterRPC
	return rpc.GetProtect() || rpc.GetRetainOnDelete() || c[child].TypeToken == stash ||
		rpc.GetDeletedWith() != "" && short(rpc.GetDeletedWith()) == theService
}

// A destroy deletes whatever nothing depends on, and goes on with whatever no refused
// resource depends on. An update may end anywhere, so that it may find any child for
// which those are there that it depends on.
func TestWhateverIsProtectedIsRefusedWhole(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := anyValid(rt)
		s["berth:deletionProtection"] = rapid.Bool().Draw(rt, "deletionProtection")
		kept := s["berth:data"].(settings)
		holdsData := kept["enabled"].(bool) && kept["protect"].(bool)
		protected := holdsData || s["berth:deletionProtection"].(bool)
		r, err := run(t, s, "berth:secrets")
		if err != nil {
			rt.Fatal(err)
		}
		all := r.children()
		for _, child := range []string{thePlace, theGuard, theService} {
			if all[child].RegisterRPC.GetProtect() != protected {
				rt.Fatalf("protected: %v, but %s is not so", protected, child)
			}
		}
		guarded := all.upTo(theGuard)
		for child := range all {
			if !all.upTo(child)[thePlace] {
				rt.Fatalf("a move comes to %s before the place", child)
			}
			if !guarded[child] {
				rt.Fatalf("a destroy comes to %s before the guard", child)
			}
		}
		firsts := []string{theService}
		if holdsData {
			firsts = append(firsts, theBucket)
		}
		for _, first := range firsts {
			before := all.upTo(first)
			for child := range all {
				if protected && !before[child] && !(all.upTo(child)[first] && all.stays(child)) {
					rt.Fatalf("without a guard, a destroy deletes %s although %s is protected", child, first)
				}
			}
		}
	})
}

func TestOnlyAnotherPlaceOrNameChangesThePlace(t *testing.T) {
	input := func(changes settings) (any, []string) {
		r, err := run(t, valid(changes), "berth:secrets")
		require.NoError(t, err)
		placed := r.children()[thePlace]
		return plain(placed.Inputs)["input"], placed.RegisterRPC.GetReplaceOnChanges()
	}
	here, replaces := input(nil)
	assert.Equal(t, []string{"input"}, replaces, "another place is another one, not an update")
	same, _ := input(settings{"berth:memory": "1Gi", "berth:data": settings{"enabled": true}, "berth:deletionProtection": true, "berth:viewer": true})
	assert.Equal(t, here, same)
	for key, value := range map[string]string{"gcp:project": "globex-prod", "gcp:region": "europe-west4", "berth:client": "globex"} {
		there, _ := input(settings{key: value})
		assert.NotEqual(t, here, there, key)
	}
}
