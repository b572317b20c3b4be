package provider

import (
	"regexp"
)

// trait is what the SDK does not say about a property and the plugin does. The
// zero trait is an optional property of the same name in the API, changed in
// place.
type trait struct {
	// replace: a change needs a new resource.
	replace bool
	// computed: the API fills it in when it is not given, so that leaving it
	// out changes nothing, dropping it resets nothing, and its value is unknown
	// until the API has answered.
	computed bool
	// required marks a list or a map that must be given; the SDK itself says so
	// of anything else.
	required bool
	// fallback is what the plugin fills in before it plans.
	fallback any
	// config is the provider setting that fills it in.
	config setting
	// oneOf and match are checked before planning; says is the remedy for match.
	oneOf []string
	match *regexp.Regexp
	says  string
	// same tells strings that differ in spelling alone.
	same func(a, b string) bool
	// set: the order of a list means nothing. key names the property that
	// tells its elements apart; without it they are compared whole.
	set bool
	key string
	// keepEmpty: an empty object says something (tcpSocket: {}).
	keepEmpty bool
	// apiName is the API's name for it, where that is another.
	apiName string
	form    form
	place   place
	// leftOut: the API leaves its fallback out, and it is read all the same.
	leftOut bool
	// silence is the word that says the same as saying nothing.
	silence string
	// oneWay: once true, the API does not take it back, and the plugin does not ask.
	oneWay bool
	// apart: what is read is worked out, and orders about it are no part of the
	// object.
	apart bool
	// outputOnly: the API tells it and takes no orders about it.
	outputOnly bool
}

// form is how the API's value is built, where it is not built as Pulumi's.
type form int

const (
	sameForm  form = iota
	listOfOne      // an object in Pulumi, a list of at most one in the API
	oneOfList      // a list of at most one in Pulumi, an object in the API
	mapByKey       // a list in Pulumi, a map from trait.key in the API
)

// place is where the API keeps a property.
type place int

const (
	inBody  place = iota
	inPath        // in the resource's path: it is part of the id
	inState       // nowhere: it steers the plugin, and lives in Pulumi's state
)

// traits by property path: "template.containers[].ports". A list's elements are
// at path+"[]", a map's values at path+"{}".
type traits map[string]trait

func child(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func element(path string) string { return path + "[]" }
func entry(path string) string   { return path + "{}" }

// apiNameOf is the API's name of the property name, found at path.
func (t traits) apiNameOf(path, name string) string {
	if api := t[path].apiName; api != "" {
		return api
	}
	return name
}
