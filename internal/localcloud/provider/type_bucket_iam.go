package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"

	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/storage"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"github.com/berth-mcp/berth/internal/ascii"
)

// bucketPath is how grants name a bucket.
const bucketPath = "b/{bucket}"

var bucketPolicy = iamBindingAPI{endpoint: storageEndpoint, resource: bucketPath, named: "bucket", ofBucket: true}

func bucketIAMMemberType() *resourceType {
	return &resourceType{
		token:   "gcp:storage/bucketIAMMember:BucketIAMMember",
		inputs:  inputSchema(storage.BucketIAMMemberArgs{}),
		outputs: outputSchema(storage.BucketIAMMember{}),
		traits:  memberTraits(traits{"bucket": {place: inPath, replace: true, same: sameName}}),
		api:     &iamMemberAPI{bucketPolicy},
	}
}

func bucketIAMPolicyType() *resourceType {
	return &resourceType{
		token:   "gcp:storage/bucketIAMPolicy:BucketIAMPolicy",
		inputs:  inputSchema(storage.BucketIAMPolicyArgs{}),
		outputs: outputSchema(storage.BucketIAMPolicy{}),
		traits: traits{
			"bucket": {place: inPath, replace: true, same: sameName},
			"policyData": {same: samePolicy, match: regexp.MustCompile(`^\s*\{`),
				says: "expected a policy as JSON, {\"bindings\": […]}"},
			"etag": {outputOnly: true},
		},
		api: bucketIAMPolicyAPI{},
	}
}

// bucketIAMPolicyAPI is all of a bucket's policy: what anyone else grants goes.
type bucketIAMPolicyAPI struct{}

func (bucketIAMPolicyAPI) id(props resource.PropertyMap) (string, error) {
	return bucketPolicy.on(props, unescaped)
}

func (bucketIAMPolicyAPI) parse(id string) (resource.PropertyMap, error) {
	return parseID(id, bucketPath, "{bucket}")
}

func (a bucketIAMPolicyAPI) create(ctx context.Context, c *client, _ *resourceType, props resource.PropertyMap) (string, error) {
	id, err := a.id(props)
	if err != nil {
		return "", err
	}
	var policy map[string]any
	if err := json.Unmarshal([]byte(text(props, "policyData")), &policy); err != nil {
		return id, fmt.Errorf("policyData is not a policy as JSON: %w", err)
	}
	policy["version"] = conditionVersion
	return id, a.set(ctx, c, props, policy)
}

func (bucketIAMPolicyAPI) set(ctx context.Context, c *client, props resource.PropertyMap, policy map[string]any) error {
	self, err := bucketPolicy.self(c, props)
	if err != nil {
		return err
	}
	_, err = c.call(ctx, http.MethodPut, self+"/iam", policy)
	return err
}

func (bucketIAMPolicyAPI) read(ctx context.Context, c *client, _ *resourceType, props resource.PropertyMap) (map[string]any, error) {
	policy, err := bucketPolicy.policy(ctx, c, props)
	if err != nil {
		return nil, err
	}
	bindings := policy["bindings"]
	if bindings == nil {
		bindings = []any{}
	}
	data, err := json.Marshal(map[string]any{"bindings": bindings})
	if err != nil {
		return nil, err
	}
	return map[string]any{"etag": policy["etag"], "policyData": string(data)}, nil
}

func (a bucketIAMPolicyAPI) update(ctx context.Context, c *client, t *resourceType, props resource.PropertyMap, _ []string) error {
	_, err := a.create(ctx, c, t, props)
	return err
}

// delete leaves a policy that grants nothing to anybody, as the plugin does. What
// the project grants stays: its owners may still delete the bucket.
func (a bucketIAMPolicyAPI) delete(ctx context.Context, c *client, _ *resourceType, state resource.PropertyMap) error {
	return a.set(ctx, c, state, map[string]any{"bindings": []any{}, "etag": text(state, "etag"), "version": conditionVersion})
}

// samePolicy compares policies by what they grant, in whatever order.
func samePolicy(a, b string) bool {
	x, okX := grantsOf(a)
	y, okY := grantsOf(b)
	return a == b || okX && okY && slices.Equal(x, y)
}

// grantsOf lists who has which role under which condition, sorted.
func grantsOf(policy string) ([]string, bool) {
	var parsed struct {
		Bindings []struct {
			Role      string
			Members   []string
			Condition map[string]string
		}
	}
	if json.Unmarshal([]byte(policy), &parsed) != nil {
		return nil, false
	}
	var all []string
	for _, b := range parsed.Bindings {
		condition := ""
		for _, field := range conditionFields {
			condition += "\n" + b.Condition[field]
		}
		for _, member := range b.Members {
			all = append(all, b.Role+" "+ascii.Lower(member)+condition)
		}
	}
	slices.Sort(all)
	return slices.Compact(all), true
}
