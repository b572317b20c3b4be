package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// Policies are all that always holds for a client's server.
var Policies = []Policy{
	{Name: "a client's server has the types of resources on its allow list and nothing beyond what is its own; declare others next to the server, in your program or in a stack of their own", Check: onAllowList(clientTypes)},
	{Name: "nobody may be let in but who is named", Check: neverPublic},
	{Name: "a grant is for principals of the kinds that it is made for", Check: membersOfKnownKinds},
	{Name: "a grant gives the role that it is made for, to everyone in it at all times", Check: rolesAsIntended},
	{Name: "what keeps it private is put back if it was changed by hand", Check: privacyNotIgnored},
	{Name: "what is declared must be what was checked", Check: noTransforms},
	{Name: "Cloud Run must check every caller", Check: invokerChecked},
	{Name: "an image is deployed by digest, for a tag can be moved", Check: byDigest},
	{Name: "a grant that leaves nobody else their role is on what is the server's own", Check: onItsOwn, Graph: true},
	{Name: "a server runs as the account that is its own", Check: ownAccount},
	{Name: "everything says whose it is", Check: labelled},
	{Name: "a secret belongs in Secret Manager, where only this server reads it", Check: noPlainSecrets},
	{Name: "a bucket is open to no one but by its policy", Check: privateBucket},
	{Name: "a bucket is open to no one but by its policy", Check: ownBucketPolicy, Graph: true},
	{Name: "an API stays on for the project's other clients", Check: apisStay},
}

// everybody are the names of all people, and of all with a Google account.
var everybody = []string{"allusers", "allauthenticatedusers"}

// neverPublic looks at every text in a grant, for a policy may be JSON within one; in
// anything else, at texts that are nothing but such a name. JSON that spells one in
// escapes is left to membersOfKnownKinds, which reads it.
func neverPublic(r Resource, _ []Resource) []string {
	_, isGrant := grants[r.Type]
	var found []string
	for _, s := range texts(resource.NewProperty(r.Inputs)) {
		lower := strings.ToLower(s)
		for _, name := range everybody {
			if lower == name || isGrant && strings.Contains(lower, name) {
				found = append(found, "lets in "+name)
			}
		}
	}
	return found
}

func membersOfKnownKinds(r Resource, _ []Resource) []string {
	g, isGrant := grants[r.Type]
	if !isGrant {
		return nil
	}
	bindings, err := bindingsOf(r)
	if err != nil {
		return []string{err.Error()}
	}
	var found []string
	for _, b := range bindings {
		for _, member := range b.Members {
			known := func(prefix string) bool { return strings.HasPrefix(member, prefix) }
			if !slices.ContainsFunc(g.members, known) {
				found = append(found, fmt.Sprintf("lets in %q, which is none of %s", member, strings.Join(g.members, ", ")))
			}
		}
	}
	return found
}

func rolesAsIntended(r Resource, _ []Resource) []string {
	g := grants[r.Type]
	if g.roles == nil {
		return nil
	}
	var found []string
	if role := text(at(r.Inputs, "role")); !slices.Contains(g.roles, role) {
		found = append(found, fmt.Sprintf("gives the role %q, which is none of %s", role, strings.Join(g.roles, ", ")))
	}
	// To IAM a role under a condition is another binding: without one, nothing would be
	// authoritative.
	if !at(r.Inputs, "condition").IsNull() {
		found = append(found, "gives its role under a condition")
	}
	return found
}

func invokerChecked(r Resource, _ []Resource) []string {
	if r.Type != service {
		return nil
	}
	if disabled := at(r.Inputs, "invokerIamDisabled"); !disabled.IsBool() || disabled.BoolValue() {
		return []string{"invokerIamDisabled is not false"}
	}
	return nil
}

var digest = regexp.MustCompile(`@sha256:[0-9a-f]{64}$`)

func byDigest(r Resource, _ []Resource) []string {
	var found []string
	for _, c := range containers(r) {
		if image := text(at(c, "image")); !digest.MatchString(image) {
			found = append(found, fmt.Sprintf("runs %q", image))
		}
	}
	return found
}

func ownAccount(r Resource, graph []Resource) []string {
	if r.Type != service || runsAs(r).IsComputed() { // which a preview does not know yet
		return nil
	}
	name := text(runsAs(r))
	id, host, _ := strings.Cut(name, "@")
	for _, other := range graph {
		if other.Type == account && text(at(other.Inputs, "accountId")) == id &&
			host == AccountHost(text(at(other.Inputs, "project"))) {
			return nil
		}
	}
	return []string{fmt.Sprintf("runs as %q", name)}
}

// AccountHost returns what follows the @ in the addresses of a project's service accounts.
// The id of a project that belongs to a domain, example.com:PROJECT, is turned around there.
func AccountHost(project string) string {
	if domain, name, found := strings.Cut(project, ":"); found {
		project = name + "." + domain
	}
	return project + ".iam.gserviceaccount.com"
}

// runsAs is the account of a service.
func runsAs(r Resource) resource.PropertyValue {
	if r.Type != service {
		return resource.NewNullProperty()
	}
	return at(r.Inputs, "template", "serviceAccount")
}

// authoritative are the grants that take a role from whoever else has it, with the type
// of what they are on, and the properties that say which one it is, there and here.
var authoritative = map[string]struct {
	on          string
	here, there []resource.PropertyKey
}{
	serviceBinding: {service, []resource.PropertyKey{"project", "location", "name"}, []resource.PropertyKey{"project", "location", "name"}},
	secretBinding:  {secret, []resource.PropertyKey{"project", "secretId"}, []resource.PropertyKey{"project", "secretId"}},
	bucketPolicy:   {bucket, []resource.PropertyKey{"bucket"}, []resource.PropertyKey{"name"}},
}

func onItsOwn(r Resource, graph []Resource) []string {
	grant, is := authoritative[r.Type]
	if !is {
		return nil
	}
	place := values(r, grant.here)
	if slices.ContainsFunc(graph, func(other Resource) bool { return other.Type == grant.on && values(other, grant.there) == place }) {
		return nil
	}
	return []string{fmt.Sprintf("is on %q", place)}
}

// values are those of some properties, as one text.
func values(r Resource, keys []resource.PropertyKey) string {
	var all []string
	for _, key := range keys {
		all = append(all, text(at(r.Inputs, key)))
	}
	return strings.Join(all, "/")
}

// labelsOf says which property holds the labels of the types that have any.
var labelsOf = map[string]resource.PropertyKey{
	service:     "labels",
	bucket:      "labels",
	repository:  "labels",
	secret:      "labels",
	alertPolicy: "userLabels",
}

func labelled(r Resource, _ []Resource) []string {
	property, has := labelsOf[r.Type]
	if !has {
		return nil
	}
	var found []string
	for _, label := range []resource.PropertyKey{"client", "managed-by"} {
		if text(at(r.Inputs, property, label)) == "" {
			found = append(found, fmt.Sprintf("has no label %q", label))
		}
	}
	return found
}

func noPlainSecrets(r Resource, _ []Resource) []string {
	var found []string
	if data := r.Inputs["secretData"]; r.Type == secretVersion && !data.IsSecret() {
		found = append(found, "has its value in the clear")
	}
	for _, c := range containers(r) {
		for _, env := range elements(at(c, "envs")) {
			variable := open(env).ObjectValue()
			if name, value := text(at(variable, "name")), text(at(variable, "value")); LooksSecret(name, value) {
				found = append(found, fmt.Sprintf("the variable %s looks like one", name))
			}
		}
	}
	return found
}

// What a variable with a secret is called, and what secrets look like: private
// keys, tokens of well-known services, URLs with a password.
var (
	secretName  = regexp.MustCompile(`(?i)(^|_)(password|passwd|secret|token|api_?key|private_?key|access_?key|credentials?)$`)
	secretValue = regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY|\bAIza[0-9A-Za-z_-]{35}|\b(gh[pousr]_|github_pat_|glpat-|xox[abprs]-|sk-|sk_live_|AKIA)[0-9A-Za-z_-]{10,}|://[^/@:\s]+:[^/@\s]+@`)
)

// LooksSecret says if a variable seems to hold a secret in the clear.
func LooksSecret(name, value string) bool {
	return value != "" && secretName.MatchString(name) || secretValue.MatchString(value)
}

func privateBucket(r Resource, _ []Resource) []string {
	if r.Type != bucket {
		return nil
	}
	var found []string
	if uniform := at(r.Inputs, "uniformBucketLevelAccess"); !uniform.IsBool() || !uniform.BoolValue() {
		found = append(found, "uniformBucketLevelAccess is not true")
	}
	if text(at(r.Inputs, "publicAccessPrevention")) != "enforced" {
		found = append(found, "publicAccessPrevention is not enforced")
	}
	return found
}

func ownBucketPolicy(r Resource, graph []Resource) []string {
	if r.Type != bucket || slices.ContainsFunc(graph, func(other Resource) bool {
		return other.Type == bucketPolicy && text(at(other.Inputs, "bucket")) == text(at(r.Inputs, "name"))
	}) {
		return nil
	}
	return []string{"has no policy of its own"}
}

func apisStay(r Resource, _ []Resource) []string {
	if r.Type != api {
		return nil
	}
	if off := at(r.Inputs, "disableOnDestroy"); !off.IsBool() || off.BoolValue() {
		return []string{"disableOnDestroy is not false"}
	}
	return nil
}

// containers of a service.
func containers(r Resource) []resource.PropertyMap {
	if r.Type != service {
		return nil
	}
	var all []resource.PropertyMap
	for _, c := range elements(at(r.Inputs, "template", "containers")) {
		all = append(all, open(c).ObjectValue())
	}
	return all
}
