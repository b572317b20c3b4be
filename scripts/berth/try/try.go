// Package try shows Berth at work on the embedded local cloud: the stack "dev"
// goes up, developers are let in and kept out, and everything comes down again.
//
// Nothing in it is staged. The engine, the image, the proxy, the tokens and the
// refusals are those of production; only the cloud is on loopback.
package try

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
)

// Command is "berth try".
func Command() *cobra.Command {
	var once bool
	var port int
	cmd := &cobra.Command{
		Use:   "try",
		Short: "Deploy the stack dev on a local cloud, call it, and take it down",
		Long: `Deploys Pulumi.dev.yaml with the real Pulumi engine on a local Google Cloud that
runs inside this command, and calls the server through the real berth-proxy.
It needs Go and nothing else, and touches no account and no file of yours.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if once && !cmd.Flags().Changed("port") {
				port = 0 // nobody is to point an editor at it
			}
			return run(cmd.Context(), newStory(cmd.OutOrStdout()), once, port)
		},
	}
	cmd.Flags().BoolVar(&once, "once", false, "go through everything and end; fail if any step does not hold")
	cmd.Flags().IntVar(&port, "port", 3030, "port on localhost for the first developer's proxy; 0 means any")
	return cmd
}

// teardownTime bounds the way down after Ctrl-C.
const teardownTime = 2 * time.Minute

func run(ctx context.Context, s *story, once bool, port int) (err error) {
	s.say("Berth on a local cloud. The Pulumi engine, the image, the proxy and the tokens are")
	s.say("real; Google Cloud is played on loopback. No account is touched.")
	s.say("")
	w, err := newWorld(ctx, s, port)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()

	steps := opening
	if once {
		steps = slices.Concat(opening, rest, ending)
	}
	if err := perform(ctx, s, w, steps); err != nil {
		return err
	}
	if once {
		s.say("")
		s.say("Everything held. Took %s.", s.total())
		return nil
	}
	w.invite(s)
	<-ctx.Done()
	s.say("")
	s.say("Taking it down. Ctrl-C again ends at once, and leaves nothing either.")
	down, cancel := context.WithTimeout(context.WithoutCancel(ctx), teardownTime)
	defer cancel()
	return perform(down, s, w, ending)
}

// step is one sentence of the story and what makes it true.
type step struct {
	title string
	do    func(*world, context.Context) (details []string, err error)
}

// The story. What each step shows is checked: a step that does not hold ends it.
var (
	opening = []step{
		{"pulumi up: the stack dev, as Pulumi.dev.yaml says", (*world).up},
		{"Ada, who is in the developers' group, calls the server", (*world).adaCalls},
		{"Bo, who is not, is refused", (*world).boIsRefused},
	}
	rest = []step{
		{"Onboarding: Bo joins the group, and the server answers", (*world).onboard},
		{"Offboarding: Bo leaves the group, and is refused again", (*world).offboard},
	}
	ending = []step{
		{"pulumi destroy", (*world).destroy},
		{"Nothing is left", (*world).nothingIsLeft},
	}
)

func perform(ctx context.Context, s *story, w *world, steps []step) error {
	for _, step := range steps {
		done := s.begin(step.title)
		details, err := step.do(w, ctx)
		done(err, details...)
		if err != nil {
			return unlessInterrupted(ctx, fmt.Errorf("%s: %w", step.title, err))
		}
	}
	return nil
}

// unlessInterrupted is err, or that it was interrupted: then whatever was under way
// fails, and says nothing of use.
func unlessInterrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.New("interrupted; the local cloud and all that was on it are gone")
	}
	return err
}
