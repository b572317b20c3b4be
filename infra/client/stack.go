// Package client is one client's stack: everything that one client company has
// in Google Cloud, and nothing that another client needs too.
//
// [Stack] is an ordinary Pulumi program. It runs under "pulumi up", under mocks
// and inline under the Automation API, unchanged. It must not know where it
// runs: endpoints and credentials are the provider's configuration.
package client

import "github.com/pulumi/pulumi/sdk/v3/go/pulumi"

// Stack declares the client's resources.
func Stack(ctx *pulumi.Context) error {
	cfg, err := Load(ctx)
	if err != nil {
		return err
	}
	source, err := build(ctx, cfg) // first: what does not compile declares nothing
	if err != nil {
		return err
	}
	apis, err := enableAPIs(ctx, cfg)
	if err != nil {
		return err
	}
	account, err := newIdentity(ctx, cfg, apis)
	if err != nil {
		return err
	}
	image, err := newImage(ctx, cfg, source, apis)
	if err != nil {
		return err
	}
	service, err := newService(ctx, cfg, image, account, apis)
	if err != nil {
		return err
	}
	access, err := newAccess(ctx, cfg, service)
	if err != nil {
		return err
	}
	export(ctx, cfg, service, image, access)
	return nil
}
