package client

import (
	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/serviceaccount"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// newAccount is the account that the server runs as. It holds no role in the
// project: a server that is taken over reaches this client's own things and
// nothing else. Without it Cloud Run would use the project's default account,
// which may edit everything.
func (b *builder) newAccount() (*serviceaccount.Account, error) {
	return serviceaccount.NewAccount(b.Context, b.child("account"), &serviceaccount.AccountArgs{
		Project:     pulumi.String(b.args.Project),
		AccountId:   pulumi.String(b.args.name()),
		DisplayName: pulumi.String("MCP server of " + b.args.Client),
	}, b.options([]string{"iam"})...)
}

// member is the account as an IAM policy names it.
func (b *builder) member() pulumi.StringOutput {
	return pulumi.Sprintf("serviceAccount:%s", b.account.Email)
}
