// Package doctor looks, before "pulumi up" does, at all that it needs: tools, a
// login, a project with billing, APIs, permissions. Each finding that is not good
// names the command that mends it.
//
// It changes nothing: it reads, and asks Google which permissions the caller has.
// It knows nothing of the local cloud; where the stack's configuration leads the
// gcp provider, it follows.
package doctor

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"
)

// callTime bounds all of the questions to Google together.
const callTime = time.Minute

// Command is "berth doctor".
func Command() *cobra.Command {
	var project, region string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor [STACK]",
		Short: "Say what a stack still needs before pulumi up, and how to get it",
		Long: `Looks at everything that "pulumi up" of a stack needs, from the tools on this
machine to the permissions in the Google Cloud project. Every line is ok, a warning,
or wrong with the command that mends it. It changes nothing.

The stack is that of Pulumi.STACK.yaml. Before there is one, say --project and
--region: they are looked at as if for a client.

It signs in as Pulumi would: with the stack's gcp:accessToken, gcp:credentials and
gcp:impersonateServiceAccount, their environment variables, or the login of
"gcloud auth application-default login".

It exits with 0 if nothing is wrong (there may be warnings), and with 1 if something
is, or if it could not look.`,
		Example: `  berth doctor acme
  berth doctor --project my-project --region europe-west1
  berth doctor acme --json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := target(args, project, region)
			if err != nil {
				return err
			}
			r := newReport(cmd.OutOrStdout(), asJSON)
			if err := examine(cmd.Context(), s, r); err != nil {
				return err
			}
			return r.end()
		},
	}
	cmd.Flags().StringVar(&project, "project", "", "Google Cloud project id, instead of a stack's")
	cmd.Flags().StringVar(&region, "region", "", "region, like europe-west1, instead of a stack's")
	cmd.Flags().BoolVar(&asJSON, "json", false, `write {"ok": …, "findings": [{"check", "status", "says", "mend"}, …]}`)
	return cmd
}

// target is the stack to look at: the named one, or one of the flags.
func target(args []string, project, region string) (stack, error) {
	switch {
	case len(args) == 1 && (project != "" || region != ""):
		return stack{}, errors.New("name a stack, or --project and --region, not both: the stack's file has them")
	case len(args) == 1:
		return readStack(args[0])
	case project == "" || region == "":
		return stack{}, errors.New("name a stack (berth doctor STACK), or both --project and --region")
	}
	return stack{settings: map[string]any{"gcp:project": project, "gcp:region": region}}, nil
}

// examine makes every check. What rests on something that is wrong is left out.
func examine(ctx context.Context, s stack, r *report) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	r.add(tools(ctx, s)...)
	place, good := s.place()
	r.add(place...)
	if !good {
		return ctx.Err()
	}
	login, findings := signIn(ctx, s)
	r.add(findings...)
	if login == nil {
		r.add(doubt("project", "the project, its billing, APIs and permissions were not looked at, for want of a login"))
		return ctx.Err()
	}
	cloud, err := newGoogle(ctx, s, login)
	if err != nil {
		return err
	}
	project := projectExists(ctx, s, cloud)
	r.add(project)
	if project.Status == wrong {
		r.add(doubt("permissions", "billing, APIs, permissions and the region were not looked at, for want of the project"))
		return ctx.Err()
	}
	for _, check := range []func(context.Context, stack, *google) []finding{
		billingIsOn, apisAreOn, permissionsAreHeld, namedAreUsable, membersAreAllowed, regionIsThere,
	} {
		r.add(check(ctx, s, cloud)...)
	}
	return ctx.Err()
}
