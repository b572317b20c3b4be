package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/httptransport"
	artifactregistry "google.golang.org/api/artifactregistry/v1"
	"google.golang.org/api/cloudbilling/v1"
	"google.golang.org/api/cloudkms/v1"
	resourcemanager "google.golang.org/api/cloudresourcemanager/v1"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/iam/v1"
	"google.golang.org/api/option"
	"google.golang.org/api/orgpolicy/v2"
	"google.golang.org/api/run/v2"
	"google.golang.org/api/secretmanager/v1"
	"google.golang.org/api/serviceusage/v1"
)

// google is Google's APIs as far as they are asked, with the caller's login.
type google struct {
	projects *resourcemanager.Service
	billing  *cloudbilling.APIService
	services *serviceusage.Service
	accounts *iam.Service
	policies *orgpolicy.Service
	run      *run.Service

	repositories *artifactregistry.Service
	secrets      *secretmanager.Service
	keys         *cloudkms.Service

	caller string // IAM member, like user:ada@example.com; empty if the login does not tell
}

// newGoogle makes the clients. Where the stack leads the gcp provider to another
// endpoint, they go there, too.
func newGoogle(ctx context.Context, s stack, l *login) (*google, error) {
	client, err := httptransport.NewClient(&httptransport.Options{
		Credentials: l.credentials,
		// The library's own logger, switched on by an environment variable, would
		// write tokens.
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, fmt.Errorf("preparing to ask Google: %w", err)
	}
	// The token goes where it was sent, and not where that points.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

	g := &google{caller: l.member}
	var problems []error
	endpoint := func(key, version string) []option.ClientOption {
		options := []option.ClientOption{option.WithHTTPClient(client)}
		base := s.text("gcp:" + key)
		if base == "" {
			return options
		}
		if err := safe(base); err != nil {
			problems = append(problems, fmt.Errorf("gcp:%s: %w", key, err))
		}
		return append(options, option.WithEndpoint(strings.TrimSuffix(base, version)))
	}
	note := func(err error) {
		if err != nil {
			problems = append(problems, err)
		}
	}
	// The provider's endpoints end in the API's version where it does not add that
	// itself; the clients add it always.
	g.projects, err = resourcemanager.NewService(ctx, endpoint("resourceManagerCustomEndpoint", "")...)
	note(err)
	g.services, err = serviceusage.NewService(ctx, endpoint("serviceUsageCustomEndpoint", "")...)
	note(err)
	g.accounts, err = iam.NewService(ctx, endpoint("iamCustomEndpoint", "")...)
	note(err)
	g.billing, err = cloudbilling.NewService(ctx, endpoint("cloudBillingCustomEndpoint", "v1/")...)
	note(err)
	g.policies, err = orgpolicy.NewService(ctx, endpoint("orgPolicyCustomEndpoint", "v2/")...)
	note(err)
	g.run, err = run.NewService(ctx, endpoint("cloudRunV2CustomEndpoint", "v2/")...)
	note(err)
	g.repositories, err = artifactregistry.NewService(ctx, endpoint("artifactRegistryCustomEndpoint", "v1/")...)
	note(err)
	g.secrets, err = secretmanager.NewService(ctx, endpoint("secretManagerCustomEndpoint", "v1/")...)
	note(err)
	g.keys, err = cloudkms.NewService(ctx, endpoint("kmsCustomEndpoint", "v1/")...)
	note(err)
	return g, errors.Join(problems...)
}

// safe refuses endpoints to which a token must not be sent in the clear.
func safe(endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" {
		return errors.New("is not a URL; remove it to use Google's own")
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()) {
		return nil
	}
	return fmt.Errorf("%s is neither https nor on this machine, so that no token is sent there; remove it to use Google's own", u.Redacted())
}

// member is the caller in a command that grants something.
func (g *google) member() string {
	if g.caller == "" {
		return "user:YOUR-ADDRESS"
	}
	return g.caller
}

// reason says in a line why Google did not answer.
func reason(err error) string {
	var answer *googleapi.Error
	if errors.As(err, &answer) {
		return fmt.Sprintf("%d %s", answer.Code, firstSentence(answer.Message))
	}
	var refused *auth.Error
	if errors.As(err, &refused) && refused.Response != nil {
		return fmt.Sprintf("the login was refused (%d)", refused.Response.StatusCode)
	}
	var failed *url.Error
	if errors.As(err, &failed) {
		return fmt.Sprintf("%v", failed.Err)
	}
	return err.Error()
}

func firstSentence(message string) string {
	sentence, _, _ := strings.Cut(message, "\n")
	sentence, _, _ = strings.Cut(sentence, ". ")
	return sentence
}

// disabledAPI is the API that Google says is off, in the project that it says; empty
// if that is not what it says.
func disabledAPI(err error) (api, project string) {
	var answer *googleapi.Error
	if !errors.As(err, &answer) {
		return "", ""
	}
	for _, detail := range answer.Details {
		encoded, err := json.Marshal(detail)
		if err != nil {
			continue
		}
		var info struct {
			Reason   string
			Metadata struct{ Service, Consumer string }
		}
		if json.Unmarshal(encoded, &info) == nil && info.Reason == "SERVICE_DISABLED" {
			return info.Metadata.Service, strings.TrimPrefix(info.Metadata.Consumer, "projects/")
		}
	}
	return "", ""
}

// unanswered is a question that Google did not answer: because an API is off, or
// because it may not be asked, or because there is no way there.
func (g *google) unanswered(check, question string, err error) finding {
	if api, project := disabledAPI(err); api != "" {
		return doubt(check, "could not look at %s: %s is not enabled in project %s", question, api, project).
			by(fmt.Sprintf("gcloud services enable %s --project %s", api, project))
	}
	if asksForQuotaProject(err) {
		return doubt(check, "could not look at %s: the login names no project to count the call against", question).
			by("gcloud auth application-default set-quota-project PROJECT")
	}
	return doubt(check, "could not look at %s: %s", question, reason(err))
}

// asksForQuotaProject knows the answer to a person's login without a quota project,
// https://cloud.google.com/docs/authentication/troubleshoot-adc#user-creds-client-based.
func asksForQuotaProject(err error) bool {
	var answer *googleapi.Error
	return errors.As(err, &answer) && strings.Contains(answer.Message, "quota project")
}
