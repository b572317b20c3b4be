package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// Types of resources that the policies look at.
const (
	service       = "gcp:cloudrunv2/service:Service"
	account       = "gcp:serviceaccount/account:Account"
	bucket        = "gcp:storage/bucket:Bucket"
	api           = "gcp:projects/service:Service"
	secretVersion = "gcp:secretmanager/secretVersion:SecretVersion"
)

// Policies are all that always holds for a client's server.
var Policies = []Policy{
	{"nobody may be let in but who is named", neverPublic},
	{"Cloud Run must check every caller", invokerChecked},
	{"a client's server grants nothing beyond what is its own", ownGrantsOnly},
	{"an image is deployed by digest, for a tag can be moved", byDigest},
	{"a server runs as the account that is its own", ownAccount},
	{"everything says whose it is", labelled},
	{"a secret belongs in Secret Manager, where only this server reads it", noPlainSecrets},
	{"a bucket is open to no one but by its policy", privateBucket},
	{"an API stays on for the project's other clients", apisStay},
}

func neverPublic(r Resource, _ []Resource) []string {
	if !isGrant(r) {
		return nil
	}
	var found []string
	for _, s := range texts(resource.NewProperty(r.Inputs)) {
		lower := strings.ToLower(s)
		for _, everybody := range []string{"allusers", "allauthenticatedusers"} {
			if strings.Contains(lower, everybody) {
				found = append(found, "lets in "+everybody)
			}
		}
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

// grants are the resources that change who may do what, and may be declared: each on
// one service, secret or bucket.
var grants = []string{
	"gcp:cloudrunv2/serviceIamBinding:ServiceIamBinding",
	"gcp:secretmanager/secretIamBinding:SecretIamBinding",
	"gcp:secretmanager/secretIamMember:SecretIamMember",
	"gcp:storage/bucketIAMPolicy:BucketIAMPolicy",
}

func ownGrantsOnly(r Resource, _ []Resource) []string {
	if isGrant(r) && !slices.Contains(grants, r.Type) {
		return []string{"is a grant of that kind"}
	}
	return nil
}

// isGrant says if a resource changes who may do what, by its type:
// gcp:projects/iAMMember:IAMMember.
func isGrant(r Resource) bool {
	_, kind, _ := strings.Cut(r.Type, "/")
	return strings.Contains(strings.ToLower(kind), "iam")
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
	if r.Type != service {
		return nil
	}
	runsAs := text(at(r.Inputs, "template", "serviceAccount"))
	id, host, _ := strings.Cut(runsAs, "@")
	for _, other := range graph {
		if other.Type == account && text(at(other.Inputs, "accountId")) == id &&
			host == text(at(other.Inputs, "project"))+".iam.gserviceaccount.com" {
			return nil
		}
	}
	return []string{fmt.Sprintf("runs as %q", runsAs)}
}

// labelsOf says which property holds the labels of the types that have any.
var labelsOf = map[string]resource.PropertyKey{
	service: "labels",
	bucket:  "labels",
	"gcp:artifactregistry/repository:Repository": "labels",
	"gcp:secretmanager/secret:Secret":            "labels",
	"gcp:monitoring/alertPolicy:AlertPolicy":     "userLabels",
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

func privateBucket(r Resource, graph []Resource) []string {
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
	if !slices.ContainsFunc(graph, func(other Resource) bool {
		return other.Type == "gcp:storage/bucketIAMPolicy:BucketIAMPolicy" && text(at(other.Inputs, "bucket")) == text(at(r.Inputs, "name"))
	}) {
		found = append(found, "has no policy of its own")
	}
	return found
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
