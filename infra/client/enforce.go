package client

import (
	"context"
	"fmt"
	"sync"

	"github.com/berth-mcp/berth/infra/policy"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/internals"
)

// enforcePolicies checks each resource of the server again, as it reaches the engine.
// The plan is what the program would declare; this is what it does declare: after
// transformations that act otherwise the second time, after those of the stack and of
// components around the server, and with the values that other resources computed.
//
// The engine calls a resource's transforms first, then those of its parents from the
// inside out, of which this is the innermost, then those of the stack. So only the
// transforms (not transformations) of a component around the server and of the stack
// come later.
func enforcePolicies(ctx *pulumi.Context) pulumi.ResourceTransform {
	var checked checkedResources
	return func(c context.Context, r *pulumi.ResourceTransformArgs) *pulumi.ResourceTransformResult {
		inputs, err := resolved(c, r.Props)
		if err == nil {
			err = checked.add(policy.Resource{
				Type: r.Type, Name: r.Name, Inputs: inputs, IgnoreChanges: r.Opts.IgnoreChanges,
			}, !ctx.DryRun())
		}
		if err != nil {
			return &pulumi.ResourceTransformResult{Props: failing(err), Opts: r.Opts}
		}
		return nil
	}
}

// checkedResources are the server's resources that have reached the engine and keep the
// policies. The service comes after the account that it runs as.
type checkedResources struct {
	mu  sync.Mutex
	all []policy.Resource
}

// add checks a resource, and keeps it if nothing is wrong with it.
func (c *checkedResources) add(r policy.Resource, final bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := policy.Client.CheckOne(r, c.all, final); err != nil {
		return err
	}
	c.all = append(c.all, r)
	return nil
}

// resolved are properties as the engine has them: what a preview does not know yet is
// marked as such, and so is what is secret.
func resolved(ctx context.Context, props pulumi.Map) (resource.PropertyMap, error) {
	all := resource.PropertyMap{}
	for key, value := range props {
		var err error
		if all[resource.PropertyKey(key)], err = resolve(ctx, value); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
	}
	return all, nil
}

// resolve knows the types that a transform's properties are made of.
func resolve(ctx context.Context, value any) (resource.PropertyValue, error) {
	switch v := value.(type) {
	case pulumi.String:
		return resource.NewProperty(string(v)), nil
	case pulumi.Bool:
		return resource.NewProperty(bool(v)), nil
	case pulumi.Float64:
		return resource.NewProperty(float64(v)), nil
	case pulumi.Map:
		all, err := resolved(ctx, v)
		return resource.NewProperty(all), err
	case pulumi.Array:
		all := make([]resource.PropertyValue, len(v))
		for i, element := range v {
			var err error
			if all[i], err = resolve(ctx, element); err != nil {
				return resource.PropertyValue{}, err
			}
		}
		return resource.NewProperty(all), nil
	case pulumi.Output:
		found, err := internals.UnsafeAwaitOutput(ctx, v)
		if err != nil {
			return resource.PropertyValue{}, err
		}
		if !found.Known {
			return resource.MakeComputed(resource.NewProperty("")), nil
		}
		property, err := resolve(ctx, found.Value)
		if found.Secret {
			property = resource.MakeSecret(property)
		}
		return property, err
	case nil, bool, float64, string, []any, map[string]any:
		return resource.NewPropertyValue(v), nil
	default:
		return resource.PropertyValue{}, fmt.Errorf("the policies cannot look into a %T", v)
	}
}
