package client

import (
	"errors"
	"slices"

	"github.com/berth-mcp/berth/infra/image"
	"github.com/berth-mcp/berth/infra/policy"
	"github.com/berth-mcp/berth/infra/setting"
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/serviceaccount"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// ServerComponent is one client company's private MCP server: a Cloud Run service,
// the account that it runs as, what it is built from and may read, and who may
// call it.
type ServerComponent struct {
	pulumi.ResourceState

	URL        pulumi.StringOutput      `pulumi:"url"`        // of the service
	Service    pulumi.StringOutput      `pulumi:"service"`    // projects/P/locations/L/services/N
	Image      pulumi.StringOutput      `pulumi:"image"`      // by digest
	Account    pulumi.StringOutput      `pulumi:"account"`    // the address that the server runs as
	Developers pulumi.StringArrayOutput `pulumi:"developers"` // who may call, as IAM members
	Bucket     pulumi.StringOutput      `pulumi:"bucket"`     // of the client's data, or empty
}

// NewServer declares a client's server. What is wrong with args, or would break one
// of the policies, is reported whole before anything is declared. Several servers
// in one program need different names and different clients.
//
// What opts and the stack's transformations change in the children is not in the plan;
// it is checked when a resource reaches the engine, and stops the update there. Say it
// with [ServerArgs.Transformations] to have it reported before anything is declared.
func NewServer(ctx *pulumi.Context, name string, args *ServerArgs, opts ...pulumi.ResourceOption) (*ServerComponent, error) {
	if err := setting.Join("the server "+name, args.problems()); err != nil {
		return nil, err
	}
	a := args.canonical()
	source, err := build(ctx, a) // first: what does not compile declares nothing
	if err != nil {
		return nil, err
	}
	added := &intruders{}
	if err := added.guard(ctx); err != nil {
		return nil, err
	}
	graph, err := plan(ctx.Context(), name, a, source)
	if err := errors.Join(added.err(), err); err != nil {
		return nil, err
	}
	if err := policy.Check(graph); err != nil {
		return nil, err
	}
	server, err := declare(ctx, name, a, source, append(slices.Clone(opts),
		pulumi.Transforms([]pulumi.ResourceTransform{enforcePolicies(ctx)}))...)
	if err := errors.Join(added.err(), err); err != nil {
		return nil, err
	}
	return server, nil
}

const componentType = "berth:client:Server"

// declare registers the component and all its children.
func declare(ctx *pulumi.Context, name string, args *ServerArgs, source *image.Image, opts ...pulumi.ResourceOption) (*ServerComponent, error) {
	component := &ServerComponent{}
	b := &builder{Context: ctx, args: args, name: name, parent: component}
	all := append(slices.Clone(opts), pulumi.Transformations(append(b.transformations(), b.intruders.refuse, b.note)))
	if err := ctx.RegisterComponentResource(componentType, name, component, all...); err != nil {
		return nil, err
	}
	if err := b.server(component, source); err != nil {
		return nil, err
	}
	if err := b.newGuard(); err != nil {
		return nil, err
	}
	if err := b.intruders.err(); err != nil {
		return nil, err
	}
	return component, ctx.RegisterResourceOutputs(component, pulumi.Map{
		"url":        component.URL,
		"service":    component.Service,
		"image":      component.Image,
		"account":    component.Account,
		"developers": component.Developers,
		"bucket":     component.Bucket,
	})
}

// builder declares the resources of one server.
type builder struct {
	*pulumi.Context
	args    *ServerArgs
	name    string
	parent  pulumi.Resource
	apis    apiSet
	account *serviceaccount.Account
	// children are all that was declared of the server.
	children  []pulumi.Resource
	intruders intruders
}

// note is a transformation that changes nothing. Pulumi knows of a component's
// children only some time after they are declared.
func (b *builder) note(r *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
	if r.Resource != b.parent && !transforming() {
		b.children = append(b.children, r.Resource)
	}
	return nil
}

func (b *builder) server(out *ServerComponent, source *image.Image) (err error) {
	place, err := b.newPlace()
	if err != nil {
		return err
	}
	if b.apis, err = b.enableAPIs(place); err != nil {
		return err
	}
	if b.account, err = b.newAccount(); err != nil {
		return err
	}
	image, err := b.newImage(source)
	if err != nil {
		return err
	}
	secrets, err := b.newSecrets()
	if err != nil {
		return err
	}
	if err := b.newGroup(); err != nil {
		return err
	}
	if err := b.newMonitoring(); err != nil {
		return err
	}
	bucket, err := b.newData()
	if err != nil {
		return err
	}
	service, err := b.newService(image, secrets)
	if err != nil {
		return err
	}
	access, err := b.newAccess(service)
	if err != nil {
		return err
	}
	out.URL = service.Uri
	out.Service = service.ID().ToStringOutput()
	out.Image = image.ToStringOutput()
	out.Account = b.account.Email
	out.Developers = access.Members
	out.Bucket = bucket.ToStringOutput()
	return nil
}

// child names a resource of this server.
func (b *builder) child(suffix string) string { return b.name + "-" + suffix }

// options are those of a resource that needs some of the APIs and others besides.
func (b *builder) options(apis []string, more ...pulumi.ResourceOption) []pulumi.ResourceOption {
	var on []pulumi.Resource
	for _, name := range apis {
		on = append(on, b.apis[name])
	}
	return append([]pulumi.ResourceOption{pulumi.Parent(b.parent), pulumi.DependsOn(on)}, more...)
}
