package provider

import (
	"regexp"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"github.com/berth-mcp/berth/internal/ascii"
)

// memberPattern is all that the plugin asks of a member before it plans.
var memberPattern = regexp.MustCompile(`^(allUsers|allAuthenticatedUsers|[^:]+:.+)$`)

const memberSays = "expected TYPE:VALUE, such as group:developers@example.com"

// bindingTraits are those of every ...IamBinding, with those of its place.
func bindingTraits(place traits) traits {
	return with(place, traits{
		"members":   {required: true, set: true},
		"members[]": {same: sameMember, match: memberPattern, says: memberSays},
	})
}

// memberTraits are those of every ...IamMember, with those of its place. All of
// it is in the id, so any change is another resource.
func memberTraits(place traits) traits {
	return with(place, traits{
		"member": {place: inPath, replace: true, same: sameMember, match: memberPattern, says: memberSays},
	})
}

// with adds to traits those that every grant has.
func with(place, own traits) traits {
	all := traits{
		"role":      {place: inPath, replace: true, match: regexp.MustCompile(`(^|/)roles/.+`), says: "expected roles/NAME or projects/PROJECT/roles/NAME"},
		"condition": {replace: true},
		"etag":      {outputOnly: true},
	}
	for _, more := range []traits{place, own} {
		for path, t := range more {
			all[path] = t
		}
	}
	return all
}

// sameMember: e-mail addresses and domains have no case.
func sameMember(a, b string) bool { return ascii.EqualFold(a, b) }

// presumeFrom has a resource that is named in full, in the property named, say
// where it is.
func presumeFrom(named, id string) func(resource.PropertyMap) {
	return func(inputs resource.PropertyMap) {
		parts, err := parseID(text(inputs, named), id)
		if err != nil {
			return
		}
		for key, value := range parts {
			if _, given := inputs[key]; !given {
				inputs[key] = value
			}
		}
	}
}
