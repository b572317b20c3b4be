package doctor

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"google.golang.org/api/googleapi"
	"google.golang.org/api/serviceusage/v1"

	"github.com/berth-mcp/berth/internal/ascii"
)

func isStatus(err error, code int) bool {
	answer, is := err.(*googleapi.Error)
	return is && answer.Code == code
}

func projectExists(ctx context.Context, s stack, g *google) finding {
	found, err := g.projects.Projects.Get(s.project()).Context(ctx).Do()
	api, _ := disabledAPI(err)
	switch {
	case api == "" && !asksForQuotaProject(err) && (isStatus(err, http.StatusForbidden) || isStatus(err, http.StatusNotFound)):
		return fault("project", "there is no project %s that this login may see: create it, or have its owner let you in", s.project()).
			by("gcloud projects create "+s.project(), grantCommand(s.project(), g.member(), "roles/browser"))
	case err != nil:
		return g.unanswered("project", "the project", err).asFault()
	case found.LifecycleState != "ACTIVE":
		return fault("project", "%s is to be deleted (%s)", s.project(), found.LifecycleState).by("gcloud projects undelete " + s.project())
	}
	return fine("project", "%s, number %d", found.ProjectId, found.ProjectNumber)
}

func billingIsOn(ctx context.Context, s stack, g *google) []finding {
	info, err := g.billing.Projects.GetBillingInfo("projects/" + s.project()).Context(ctx).Do()
	if err != nil {
		return []finding{g.unanswered("billing", "billing", err)}
	}
	if !info.BillingEnabled {
		return []finding{fault("billing", "no billing account pays for %s, without which Cloud Run runs nothing", s.project()).
			by("gcloud billing accounts list", "gcloud billing projects link "+s.project()+" --billing-account=ACCOUNT")}
	}
	return []finding{fine("billing", "%s pays", info.BillingAccountName)}
}

// firstAPIs are those that somebody must enable before a stack can enable any.
var firstAPIs = []string{"cloudresourcemanager.googleapis.com", "serviceusage.googleapis.com"}

// apis are what the stack's resources use, sorted.
func (s stack) apis() []string {
	var apis []string
	for _, n := range s.needs() {
		for _, api := range n.apis {
			apis = append(apis, api+".googleapis.com")
		}
	}
	slices.Sort(apis)
	return slices.Compact(apis)
}

func apisAreOn(ctx context.Context, s stack, g *google) []finding {
	enabled := map[string]bool{}
	err := g.services.Services.List("projects/"+s.project()).Filter("state:ENABLED").PageSize(200).
		Pages(ctx, func(page *serviceusage.ListServicesResponse) error {
			for _, api := range page.Services {
				enabled[api.Name[strings.LastIndex(api.Name, "/")+1:]] = true
			}
			return nil
		})
	if err != nil {
		return []finding{g.unanswered("apis", "the enabled APIs", err)}
	}
	wanted := s.apis()
	var findings []finding
	missing := func(apis []string) []string {
		return slices.DeleteFunc(slices.Clone(apis), func(api string) bool { return enabled[api] })
	}
	enable := func(apis []string) string {
		return "gcloud services enable " + strings.Join(apis, " ") + " --project " + s.project()
	}
	if off := missing(firstAPIs); len(off) > 0 {
		findings = append(findings, fault("apis", "%s must be enabled before a stack can be deployed", strings.Join(off, ", ")).by(enable(off)))
	}
	if off := missing(wanted); len(off) > 0 {
		findings = append(findings, doubt("apis", "not enabled yet, which pulumi up does: %s", strings.Join(off, ", ")).by(enable(off)))
	}
	if len(findings) == 0 {
		findings = append(findings, fine("apis", "enabled: %s", strings.Join(slices.Concat(firstAPIs, wanted), ", ")))
	}
	return findings
}

// memberDomains is the constraint of domain-restricted sharing.
const memberDomains = "iam.allowedPolicyMemberDomains"

// membersAreAllowed looks whether the organisation lets only members of some
// customers be granted anything. Which domains are a customer's it does not say.
func membersAreAllowed(ctx context.Context, s stack, g *google) []finding {
	policy, err := g.policies.Projects.Policies.GetEffectivePolicy(fmt.Sprintf("projects/%s/policies/%s", s.project(), memberDomains)).Context(ctx).Do()
	if err != nil {
		return []finding{g.unanswered("sharing", "whether the organisation restricts who may be granted access", err)}
	}
	describe := "gcloud org-policies describe " + memberDomains + " --effective --project " + s.project()
	var customers []string
	if policy.Spec != nil {
		for _, rule := range policy.Spec.Rules {
			if rule.DenyAll {
				return []finding{fault("sharing", "the organisation lets nobody be granted access (%s)", memberDomains).by(describe)}
			}
			if rule.Values != nil {
				customers = append(customers, rule.Values.AllowedValues...)
			}
		}
	}
	if len(customers) == 0 {
		return []finding{fine("sharing", "the organisation lets members of any domain be granted access")}
	}
	says := fmt.Sprintf("only members of %s may be granted access (%s): pulumi up is refused if developers are of another organisation", strings.Join(customers, ", "), memberDomains)
	if foreign := s.foreignDomains(g.caller); len(foreign) > 0 {
		says += ", as those of " + strings.Join(foreign, ", ") + " may be"
	}
	return []finding{doubt("sharing", "%s", says).by("gcloud organizations list", describe)}
}

// foreignDomains are the developers' that are not the caller's own.
func (s stack) foreignDomains(caller string) []string {
	domain := func(member string) string { return ascii.Lower(member[strings.LastIndexAny(member, "@:")+1:]) }
	var foreign []string
	for _, member := range s.developers() {
		if d := domain(member); d != domain(caller) {
			foreign = append(foreign, d)
		}
	}
	slices.Sort(foreign)
	return slices.Compact(foreign)
}

// regionIsThere asks for the client's service, by its name: that there is none is an
// answer, too.
func regionIsThere(ctx context.Context, s stack, g *google) []finding {
	if s.name == "" {
		s.name = "doctor" // nobody's service
	}
	name := fmt.Sprintf("projects/%s/locations/%s/services/%s", s.project(), s.region(), s.service())
	found, err := g.run.Projects.Locations.Services.Get(name).Context(ctx).Do()
	if err == nil {
		return []finding{fine("region", "%s, where %s is at %s", s.region(), s.service(), found.Uri)}
	}
	// Google words it in several ways, with several codes.
	says := reason(err)
	switch {
	case strings.Contains(says, "Location "+s.region()), strings.Contains(says, "'locations/"+s.region()+"'"):
		return []finding{fault("region", "%s is no region of Cloud Run for this project (%s)", s.region(), says).
			by("gcloud run regions list", "pulumi config set gcp:region REGION"+s.option())}
	case isStatus(err, http.StatusNotFound):
		return []finding{fine("region", "%s has Cloud Run", s.region())}
	}
	return []finding{g.unanswered("region", "the region", err)}
}

func grantCommand(project, member, role string) string {
	return fmt.Sprintf("gcloud projects add-iam-policy-binding %s --member=%s --role=%s --condition=None", project, shellQuoted(member), role)
}
