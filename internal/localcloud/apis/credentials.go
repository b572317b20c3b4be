package apis

import (
	"context"
	"time"

	"cloud.google.com/go/iam/credentials/apiv1/credentialspb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// maxTokenLifetime is Google's own, unless an organization's policy allows more.
const maxTokenLifetime = time.Hour

// credentials gives out tokens of service accounts to those who are allowed to
// act for them. There are no chains of delegates and no signatures here.
type credentials struct {
	credentialspb.UnimplementedIAMCredentialsServer
	accounts *accounts
	tokens   ServiceAccounts
}

func (c *credentials) GenerateAccessToken(_ context.Context, req *credentialspb.GenerateAccessTokenRequest) (*credentialspb.GenerateAccessTokenResponse, error) {
	v := violations{request: "GenerateAccessTokenRequest"}
	if len(req.GetScope()) == 0 {
		v.add("scope", "At least one scope is required, such as https://www.googleapis.com/auth/cloud-platform")
	}
	lifetime := req.GetLifetime().AsDuration()
	if lifetime < 0 || lifetime > maxTokenLifetime {
		v.add("lifetime", "%v is not 0s to %v", lifetime, maxTokenLifetime)
	}
	email, err := c.account(&v, req.GetName(), req.GetDelegates())
	if err != nil {
		return nil, err
	}
	token, expires, err := c.tokens.ShortLivedAccessToken(email, lifetime)
	if err != nil {
		return nil, noTokens(email, err)
	}
	return &credentialspb.GenerateAccessTokenResponse{AccessToken: token, ExpireTime: timestamppb.New(expires)}, nil
}

//lint:ignore ST1003 the name is the proto's
func (c *credentials) GenerateIdToken(_ context.Context, req *credentialspb.GenerateIdTokenRequest) (*credentialspb.GenerateIdTokenResponse, error) {
	v := violations{request: "GenerateIdTokenRequest"}
	if req.GetAudience() == "" {
		v.add("audience", "An audience is required: the URL of the service that is to be called")
	}
	email, err := c.account(&v, req.GetName(), req.GetDelegates())
	if err != nil {
		return nil, err
	}
	issue := c.tokens.IDTokenWithoutEmail
	if req.GetIncludeEmail() {
		issue = c.tokens.IDToken
	}
	token, err := issue(email, req.GetAudience())
	if err != nil {
		return nil, noTokens(email, err)
	}
	return &credentialspb.GenerateIdTokenResponse{Token: token}, nil
}

// account finds the account that tokens are asked of, if the request is good.
func (c *credentials) account(v *violations, name string, delegates []string) (string, error) {
	if len(delegates) > 0 {
		return "", status.Error(codes.Unimplemented, "the local cloud has no delegation; grant the caller roles/iam.serviceAccountTokenCreator itself and leave delegates unset")
	}
	if values, ok := match("projects/*/serviceAccounts/*", name); !ok || values[0] != "-" {
		v.add("name", "%q must be projects/-/serviceAccounts/EMAIL", name)
	}
	if err := v.err(); err != nil {
		return "", err
	}
	return c.accounts.email(name)
}

// noTokens is about an account that is there and gets no tokens: it is disabled.
func noTokens(email string, err error) error {
	return status.Errorf(codes.FailedPrecondition, "Service account %s is disabled: %v.", email, err)
}
