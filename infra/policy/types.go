package policy

import (
	"fmt"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// Types of resources that the policies look at.
const (
	service        = "gcp:cloudrunv2/service:Service"
	serviceBinding = "gcp:cloudrunv2/serviceIamBinding:ServiceIamBinding"
	account        = "gcp:serviceaccount/account:Account"
	bucket         = "gcp:storage/bucket:Bucket"
	bucketPolicy   = "gcp:storage/bucketIAMPolicy:BucketIAMPolicy"
	api            = "gcp:projects/service:Service"
	repository     = "gcp:artifactregistry/repository:Repository"
	secret         = "gcp:secretmanager/secret:Secret"
	secretBinding  = "gcp:secretmanager/secretIamBinding:SecretIamBinding"
	secretMember   = "gcp:secretmanager/secretIamMember:SecretIamMember"
	secretVersion  = "gcp:secretmanager/secretVersion:SecretVersion"
	alertPolicy    = "gcp:monitoring/alertPolicy:AlertPolicy"
	imageReader    = "gcp:artifactregistry/repositoryIamMember:RepositoryIamMember"
	keyUser        = "gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember"
)

// Kind is a kind of stack.
type Kind struct {
	// Types is the allow list: every type of resource that the program declares. What is
	// not on it is refused, whatever it is called and whatever it would do.
	Types    []string
	Policies []Policy
}

// Client is everything that always holds for a client's server.
var Client = Kind{Types: clientTypes, Policies: Policies}

var clientTypes = []string{
	"berth:client:Server",
	alertPolicy,
	repository,
	"gcp:cloudidentity/group:Group",
	"gcp:cloudidentity/groupMembership:GroupMembership",
	service,
	serviceBinding,
	"gcp:logging/metric:Metric",
	"gcp:monitoring/dashboard:Dashboard",
	api,
	secret,
	secretBinding,
	secretMember,
	secretVersion,
	account,
	bucket,
	bucketPolicy,
	"pulumi:index:Stash",
}

// Project is everything that always holds for the stack of a Google Cloud project.
var Project = Kind{
	Types: projectTypes,
	Policies: []Policy{
		{Name: "the stack of a project has the types of resources on its allow list and no others", Check: onAllowList(projectTypes)},
		{Name: "nobody may be let in but who is named", Check: neverPublic},
		{Name: "a grant is for principals of the kinds that it is made for", Check: membersOfKnownKinds},
		{Name: "a grant gives the role that it is made for, to everyone in it at all times", Check: rolesAsIntended},
		{Name: "an API stays on for the project's clients", Check: apisStay},
	},
}

var projectTypes = []string{
	repository,
	imageReader,
	"gcp:billing/budget:Budget",
	keyUser,
	"gcp:logging/projectBucketConfig:ProjectBucketConfig",
	"gcp:logging/projectSink:ProjectSink",
	"gcp:monitoring/notificationChannel:NotificationChannel",
	"gcp:projects/iAMAuditConfig:IAMAuditConfig",
	api,
	"gcp:projects/serviceIdentity:ServiceIdentity",
}

func onAllowList(types []string) func(Resource, []Resource) []string {
	return func(r Resource, _ []Resource) []string {
		if slices.Contains(types, r.Type) {
			return nil
		}
		return []string{"is of a type that is not on the allow list"}
	}
}

// grant is what a type of resource that says who may do what is made for.
type grant struct {
	members []string // prefixes of the principals that it may let in
	roles   []string // that it may give; none: any
}

var (
	callers  = []string{"group:", "user:", "serviceAccount:", "domain:", "principal://iam.googleapis.com/", "principalSet://iam.googleapis.com/"}
	accounts = []string{"serviceAccount:"}
)

// grants are the types on the allow lists that say who may do what, each on one
// service, secret, bucket, repository or key.
var grants = map[string]grant{
	serviceBinding: {callers, []string{"roles/run.invoker", "roles/run.viewer"}},
	secretBinding:  {callers, nil},
	secretMember:   {callers, nil},
	bucketPolicy:   {append([]string{"projectOwner:"}, callers...), nil},
	imageReader:    {accounts, []string{"roles/artifactregistry.reader"}},
	keyUser:        {accounts, []string{"roles/cloudkms.cryptoKeyEncrypterDecrypter"}},
}

// private are the properties that keep a resource private. For a grant it is all of
// them.
var private = map[string][]resource.PropertyKey{
	service: {"invokerIamDisabled"},
	bucket:  {"uniformBucketLevelAccess", "publicAccessPrevention"},
}

// privacyNotIgnored reports options that would leave what was changed by hand.
func privacyNotIgnored(r Resource, _ []Resource) []string {
	var found []string
	_, isGrant := grants[r.Type]
	for _, ignored := range r.IgnoreChanges {
		path, err := resource.ParsePropertyPath(ignored)
		covers := err != nil || len(path) == 0 || isGrant || path[0] == "*"
		if !covers {
			name, _ := path[0].(string)
			covers = slices.Contains(private[r.Type], resource.PropertyKey(name))
		}
		if covers {
			found = append(found, fmt.Sprintf("ignores changes of %q", ignored))
		}
	}
	return found
}

func noTransforms(r Resource, _ []Resource) []string {
	if r.Transforms {
		return []string{"has transforms of its own, which run later in the engine"}
	}
	return nil
}
