package apis

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"sync"

	"cloud.google.com/go/iam/admin/apiv1/adminpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/berth-mcp/berth/internal/ascii"
)

// Bounds of a service account, in bytes where they are not a pattern, after
// https://cloud.google.com/iam/docs/reference/rest/v1/projects.serviceAccounts.
const (
	maxDisplayName        = 100
	maxAccountDescription = 256
)

var accountIDPattern = regexp.MustCompile(`^[a-z](?:[-a-z0-9]{4,28}[a-z0-9])$`)

// accountRoles may be granted on a service account.
var accountRoles = []string{
	"roles/editor", "roles/iam.serviceAccountAdmin", "roles/iam.serviceAccountOpenIdTokenCreator",
	"roles/iam.serviceAccountTokenCreator", "roles/iam.serviceAccountUser", "roles/iam.workloadIdentityUser",
	"roles/owner", "roles/viewer",
}

// accounts are the service accounts of all projects.
type accounts struct {
	adminpb.UnimplementedIAMServer
	projects  *projects
	policies  *policies
	directory ServiceAccounts

	mu      sync.Mutex
	byEmail map[string]*adminpb.ServiceAccount // replaced, never changed
}

func newAccounts(projects *projects, policies *policies, directory ServiceAccounts) *accounts {
	return &accounts{projects: projects, policies: policies, directory: directory, byEmail: map[string]*adminpb.ServiceAccount{}}
}

func (a *accounts) CreateServiceAccount(_ context.Context, req *adminpb.CreateServiceAccountRequest) (*adminpb.ServiceAccount, error) {
	on, err := a.parent(req.GetName())
	if err != nil {
		return nil, err
	}
	v := violations{request: "CreateServiceAccountRequest"}
	if !accountIDPattern.MatchString(req.GetAccountId()) {
		v.add("account_id", "Service account ID %q must be 6 to 30 characters, begin with a lower-case letter, have only lower-case letters, digits and hyphens, and not end with a hyphen", req.GetAccountId())
	}
	checkAccount(&v, req.GetServiceAccount())
	if err := v.err(); err != nil {
		return nil, err
	}
	email := fmt.Sprintf("%s@%s.iam.gserviceaccount.com", req.GetAccountId(), on.id)
	id, err := newAccountNumber()
	if err != nil {
		return nil, err
	}
	created := &adminpb.ServiceAccount{
		Name: accountName(on, email), ProjectId: on.id, Email: email,
		UniqueId: id, Oauth2ClientId: id,
		DisplayName: req.GetServiceAccount().GetDisplayName(),
		Description: req.GetServiceAccount().GetDescription(),
	}

	a.mu.Lock()
	defer a.mu.Unlock()
	if a.byEmail[email] != nil {
		return nil, status.Errorf(codes.AlreadyExists, "Service account %s already exists within project projects/%s.", req.GetAccountId(), on.id)
	}
	if err := a.directory.AddServiceAccount(email); err != nil {
		return nil, status.Errorf(codes.AlreadyExists, "Service account %s could not be added to the directory: %v.", email, err)
	}
	a.policies.drop(created.GetName())
	a.byEmail[email] = created
	return created, nil
}

func checkAccount(v *violations, account *adminpb.ServiceAccount) {
	if n := len(account.GetDisplayName()); n > maxDisplayName {
		v.add("service_account.display_name", "Display name has %d bytes; the most is %d", n, maxDisplayName)
	}
	if n := len(account.GetDescription()); n > maxAccountDescription {
		v.add("service_account.description", "Description has %d bytes; the most is %d", n, maxAccountDescription)
	}
}

func (a *accounts) GetServiceAccount(_ context.Context, req *adminpb.GetServiceAccountRequest) (*adminpb.ServiceAccount, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.find(req.GetName())
}

func (a *accounts) ListServiceAccounts(_ context.Context, req *adminpb.ListServiceAccountsRequest) (*adminpb.ListServiceAccountsResponse, error) {
	on, err := a.parent(req.GetName())
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	var all []*adminpb.ServiceAccount
	for _, account := range a.byEmail {
		if account.GetProjectId() == on.id {
			all = append(all, account)
		}
	}
	a.mu.Unlock()
	slices.SortFunc(all, func(x, y *adminpb.ServiceAccount) int { return cmp.Compare(x.GetName(), y.GetName()) })
	items, next, err := page(all, (*adminpb.ServiceAccount).GetName, req.GetPageSize(), req.GetPageToken(), 100)
	return &adminpb.ListServiceAccountsResponse{Accounts: items, NextPageToken: next}, err
}

// accountMutable are the fields that a mask may name.
var accountMutable = []string{"display_name", "description"}

func (a *accounts) PatchServiceAccount(_ context.Context, req *adminpb.PatchServiceAccountRequest) (*adminpb.ServiceAccount, error) {
	v := violations{request: "PatchServiceAccountRequest"}
	if len(req.GetUpdateMask().GetPaths()) == 0 {
		v.add("update_mask", "A mask is required: one or both of %s", strings.Join(accountMutable, ", "))
	}
	for _, path := range req.GetUpdateMask().GetPaths() {
		if !slices.Contains(accountMutable, path) {
			v.add("update_mask", "%q cannot be changed; only %s can", path, strings.Join(accountMutable, ", "))
		}
	}
	checkAccount(&v, req.GetServiceAccount())
	if err := v.err(); err != nil {
		return nil, err
	}

	a.mu.Lock()
	defer a.mu.Unlock()
	old, err := a.find(req.GetServiceAccount().GetName())
	if err != nil {
		return nil, err
	}
	next := proto.CloneOf(old)
	if err := copyFields(next, req.GetServiceAccount(), req.GetUpdateMask().GetPaths()); err != nil {
		return nil, err
	}
	a.byEmail[old.GetEmail()] = next
	return next, nil
}

func (a *accounts) DeleteServiceAccount(_ context.Context, req *adminpb.DeleteServiceAccountRequest) (*emptypb.Empty, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	account, err := a.find(req.GetName())
	if err != nil {
		return nil, err
	}
	if err := a.directory.RemoveServiceAccount(account.GetEmail()); err != nil {
		return nil, status.Errorf(codes.Internal, "Service account %s could not be removed from the directory: %v.", account.GetEmail(), err)
	}
	delete(a.byEmail, account.GetEmail())
	a.policies.drop(account.GetName())
	return &emptypb.Empty{}, nil
}

func (a *accounts) EnableServiceAccount(_ context.Context, req *adminpb.EnableServiceAccountRequest) (*emptypb.Empty, error) {
	return a.setDisabled(req.GetName(), false)
}

func (a *accounts) DisableServiceAccount(_ context.Context, req *adminpb.DisableServiceAccountRequest) (*emptypb.Empty, error) {
	return a.setDisabled(req.GetName(), true)
}

// setDisabled also takes the account out of the directory, so that it can
// neither sign in nor be let in while it is disabled.
func (a *accounts) setDisabled(name string, disabled bool) (*emptypb.Empty, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	old, err := a.find(name)
	if err != nil {
		return nil, err
	}
	if old.GetDisabled() == disabled {
		return &emptypb.Empty{}, nil
	}
	change := a.directory.AddServiceAccount
	if disabled {
		change = a.directory.RemoveServiceAccount
	}
	if err := change(old.GetEmail()); err != nil {
		return nil, status.Errorf(codes.Internal, "Service account %s could not be changed in the directory: %v.", old.GetEmail(), err)
	}
	next := proto.CloneOf(old)
	next.Disabled = disabled
	a.byEmail[old.GetEmail()] = next
	return &emptypb.Empty{}, nil
}

// runsAs gives the name of the account that a service in the project is to run
// as, or "" if there is none such.
func (a *accounts) runsAs(on project, email string) string {
	if email == on.computeAccount() {
		return accountName(on, email)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.byEmail[email].GetName()
}

// projectOf finds the project of an account by its e-mail or unique id.
func (a *accounts) projectOf(key string) (project, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	account, err := a.find("projects/-/serviceAccounts/" + key)
	if err != nil {
		return project{}, err
	}
	on, _ := a.projects.find(account.GetProjectId())
	return on, nil
}

func (a *accounts) inventory() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var names []string
	for _, account := range a.byEmail {
		names = append(names, "//iam.googleapis.com/"+account.GetName())
	}
	return names
}

func (a *accounts) email(name string) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	account, err := a.find(name)
	return account.GetEmail(), err
}

func (a *accounts) resolve(name string) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	account, err := a.find(name)
	return account.GetName(), err
}

// find looks an account up by its name, in which the project may be "-" and the
// e-mail may be the unique id; a.mu is held.
func (a *accounts) find(name string) (*adminpb.ServiceAccount, error) {
	values, ok := match("projects/*/serviceAccounts/*", name)
	if !ok {
		return nil, status.Errorf(codes.InvalidArgument, "Invalid name %q: expected projects/PROJECT/serviceAccounts/EMAIL.", name)
	}
	account := a.byEmail[ascii.Lower(values[1])]
	if account == nil {
		for _, other := range a.byEmail {
			if other.GetUniqueId() == values[1] {
				account = other
			}
		}
	}
	on, _ := a.projects.find(values[0])
	if account == nil || values[0] != "-" && on.id != account.GetProjectId() {
		return nil, status.Errorf(codes.NotFound, "Unknown service account: %s", values[1])
	}
	return account, nil
}

func (a *accounts) parent(name string) (project, error) {
	if values, ok := match("projects/*", name); ok {
		if found, ok := a.projects.find(values[0]); ok {
			return found, nil
		}
	}
	return project{}, status.Errorf(codes.InvalidArgument, "Invalid name %q: expected projects/PROJECT.", name)
}

func accountName(on project, email string) string {
	return "projects/" + on.id + "/serviceAccounts/" + email
}

// newAccountNumber is a unique id: 21 digits, as Google's are.
func newAccountNumber() (string, error) {
	const digits = 20
	n, err := rand.Int(rand.Reader, new(big.Int).Exp(big.NewInt(10), big.NewInt(digits), nil))
	if err != nil {
		return "", status.Errorf(codes.Internal, "drawing a number: %v", err)
	}
	return fmt.Sprintf("1%0*d", digits, n), nil
}
