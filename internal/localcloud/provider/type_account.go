package provider

import (
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/serviceaccount"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

const accountDomain = ".iam.gserviceaccount.com"

func accountType() *resourceType {
	return &resourceType{
		token:    "gcp:serviceaccount/account:Account",
		inputs:   inputSchema(serviceaccount.AccountArgs{}),
		outputs:  outputSchema(serviceaccount.Account{}),
		traits:   accountTraits,
		autoName: "accountId", autoNameMax: 28, fixedName: "accountId",
		complete: completeAccount,
		api: &restAPI{
			endpoint:   iamEndpoint,
			version:    "v1/",
			idOf:       "projects/{project}/serviceAccounts/{email}",
			shortIDs:   []string{"{project}/{email}", "{email}"},
			collection: "projects/{project}/serviceAccounts",
			newBody: func(props resource.PropertyMap, body map[string]any) any {
				return map[string]any{"accountId": text(props, "accountId"), "serviceAccount": body}
			},
			changeBody: func(body map[string]any, mask []string) any {
				return map[string]any{"serviceAccount": body, "updateMask": strings.Join(mask, ",")}
			},
			changeAside:    switchAccount,
			ignoreExisting: "createIgnoreAlreadyExists",
		},
	}
}

var accountTraits = traits{
	"project": {place: inPath, replace: true, config: project},
	"email":   {place: inPath},
	"accountId": {place: inPath, replace: true,
		match: regexp.MustCompile(`^[a-z](?:[-a-z0-9]{4,28}[a-z0-9])$`),
		says:  "expected 6 to 30 of a-z, 0-9 and -, starting with a letter and not ending with a dash"},
	"disabled":                  {outputOnly: true, fallback: false},
	"createIgnoreAlreadyExists": {place: inState},
}

// completeAccount sets what follows from the account's id, which the plugin
// knows before the account exists, and the id from the e-mail of an import.
func completeAccount(props resource.PropertyMap) {
	account, in := text(props, "accountId"), text(props, "project")
	if email := text(props, "email"); account == "" && email != "" {
		account, _, _ = strings.Cut(email, "@")
		setText(props, "accountId", account)
	}
	if account == "" || in == "" {
		return
	}
	email := account + "@" + accountHost(in)
	setText(props, "email", email)
	setText(props, "member", "serviceAccount:"+email)
}

// accountHost is the mail domain of a project's accounts: a project of a domain,
// "example.com:p", has "p.example.com.iam.gserviceaccount.com".
func accountHost(projectID string) string {
	if domain, name, scoped := strings.Cut(projectID, ":"); scoped {
		return name + "." + domain + accountDomain
	}
	return projectID + accountDomain
}

func switchAccount(ctx context.Context, c *client, self string, props resource.PropertyMap, changed []string) error {
	if !slices.Contains(changed, "disabled") {
		return nil
	}
	method := ":enable"
	if isTrue(props, "disabled") {
		method = ":disable"
	}
	_, err := c.call(ctx, http.MethodPost, self+method, map[string]any{})
	return err
}
