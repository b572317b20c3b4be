// Package client is one client's stack: everything that one client company has
// in Google Cloud, and nothing that another client needs too.
//
// [Stack] is an ordinary Pulumi program. It runs under "pulumi up", under mocks
// and inline under the Automation API, unchanged. [NewServer] is the same for
// programs that declare more than one client's server. Neither must know where it
// runs: endpoints and credentials are the provider's configuration.
package client

import "github.com/pulumi/pulumi/sdk/v3/go/pulumi"

// componentName does not follow the client's name: another name replaces what is
// so named, one by one.
const componentName = "berth"

// Stack declares the resources of the client that the configuration describes.
func Stack(ctx *pulumi.Context) error {
	args, err := Load(ctx)
	if err != nil {
		return err
	}
	server, err := NewServer(ctx, componentName, args)
	if err != nil {
		return err
	}
	export(ctx, args, server)
	return nil
}

// export gives the stack's outputs: what an operator reads and a script asks for.
func export(ctx *pulumi.Context, args *ServerArgs, server *ServerComponent) {
	ctx.Export("url", server.URL)
	ctx.Export("service", server.Service)
	ctx.Export("image", server.Image)
	ctx.Export("developers", server.Developers)
	if args.Data.Enabled {
		ctx.Export("data", pulumi.Sprintf("gs://%s", server.Bucket))
	}
	// What a developer types to connect, once.
	ctx.Export("connect", pulumi.StringArray{
		pulumi.String("gcloud auth application-default login"),
		pulumi.Sprintf("berth-proxy %s=%s", args.Client, server.URL),
	})
}
