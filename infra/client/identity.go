package client

import (
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/serviceaccount"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// newIdentity is the account that the server runs as. It holds no role in the
// project: a server that is taken over can reach nothing. Without it Cloud Run
// would use the project's default account, which may edit everything.
func newIdentity(ctx *pulumi.Context, cfg Config, apis apiSet) (*serviceaccount.Account, error) {
	return serviceaccount.NewAccount(ctx, "server", &serviceaccount.AccountArgs{
		Project:     pulumi.String(cfg.Project),
		AccountId:   pulumi.String(cfg.name()),
		DisplayName: pulumi.String("MCP server of " + cfg.Client),
	}, apis.needs("iam"))
}
