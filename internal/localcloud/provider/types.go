package provider

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// resourceType is everything the provider knows about one type of resource.
type resourceType struct {
	token   string
	inputs  *schema
	outputs *schema
	traits  traits
	// labelled types take labels, and report pulumiLabels and effectiveLabels;
	// annotated ones the same without the provider's own additions.
	labelled, annotated bool
	// autoName is what gets a generated value when it is not given, of at most
	// autoNameMax characters.
	autoName    string
	autoNameMax int
	// fixedName is the property that names the resource in its own right: if
	// it stays the same in a replacement, the old resource goes first.
	fixedName string
	// also is checked of inputs beside what their schema and traits say.
	also func(v *validation, inputs resource.PropertyMap)
	// presume sets inputs that follow from other inputs.
	presume func(inputs resource.PropertyMap)
	// complete sets properties that follow from others, known before the API
	// has answered.
	complete func(resource.PropertyMap)
	// undeletable says why a resource in this state must stay, or nil.
	undeletable func(state resource.PropertyMap) error
	api         api
}

// api does to the cloud what the engine asks for. Properties are complete and
// known: validated inputs, with what the API had filled in before.
type api interface {
	// id of the resource with these properties, once it exists.
	id(props resource.PropertyMap) (string, error)
	// parse splits an id, also in the forms that `pulumi import` takes, into
	// the properties that it is made of.
	parse(id string) (resource.PropertyMap, error)
	// create gives the id of the new resource; beside an error, that which it
	// would have had, if that is known.
	create(ctx context.Context, c *client, t *resourceType, props resource.PropertyMap) (id string, err error)
	// read gives the API's object; a resource that is gone is an *apiError
	// with code 404.
	read(ctx context.Context, c *client, t *resourceType, props resource.PropertyMap) (map[string]any, error)
	// update is told the top-level properties that differ.
	update(ctx context.Context, c *client, t *resourceType, props resource.PropertyMap, changed []string) error
	delete(ctx context.Context, c *client, t *resourceType, state resource.PropertyMap) error
}

// resourceTypes is built on first use: reflection over the SDK's structs takes
// a millisecond that a program which only links this package need not spend.
var resourceTypes = sync.OnceValue(func() map[string]*resourceType {
	types := map[string]*resourceType{}
	for _, t := range []*resourceType{
		projectServiceType(),
		serviceIdentityType(),
		accountType(),
		repositoryType(),
		runServiceType(),
		runServiceIAMBindingType(),
		secretType(),
		secretVersionType(),
		secretIAMBindingType(),
		secretIAMMemberType(),
		budgetType(),
		alertPolicyType(),
		notificationChannelType(),
		dashboardType(),
		bucketType(),
		bucketIAMPolicyType(),
		bucketIAMMemberType(),
		logMetricType(),
		logBucketType(),
		logSinkType(),
		repositoryIAMMemberType(),
		keyIAMMemberType(),
		projectIAMMemberType(),
		projectAuditConfigType(),
		groupType(),
		groupMembershipType(),
	} {
		types[t.token] = t
	}
	return types
})

func typeOf(urn string) (*resourceType, error) {
	token := string(resource.URN(urn).Type())
	if t := resourceTypes()[token]; t != nil {
		return t, nil
	}
	known := slices.Sorted(maps.Keys(resourceTypes()))
	return nil, status.Error(codes.InvalidArgument,
		fmt.Sprintf("the local cloud has no resource type %q; it has %s", token, strings.Join(known, ", ")))
}
