package try

import (
	"bytes"
	"errors"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWhatTheEngineChangedIsToldInWordsAndOnce(t *testing.T) {
	stream, ended := follow(newStory(&bytes.Buffer{}))
	for _, step := range []apitype.StepEventMetadata{
		{Op: apitype.OpCreate, Type: "pulumi:pulumi:Stack"},
		{Op: apitype.OpRefresh, Type: "gcp:cloudrunv2/service:Service"},
		{Op: apitype.OpSame, Type: "gcp:serviceaccount/account:Account"},
		{Op: apitype.OpCreate, Type: "gcp:projects/service:Service"},
		{Op: apitype.OpCreate, Type: "gcp:projects/service:Service"},
		{Op: apitype.OpDelete, Type: "gcp:cloudrunv2/service:Service"},
		{Op: apitype.OpDelete, Type: "gcp:projects/service:Service"}, // stays enabled
		{Op: apitype.OpCreate, Type: "gcp:storage/bucket:Bucket"},
	} {
		stream <- events.EngineEvent{EngineEvent: apitype.EngineEvent{ResourcePreEvent: &apitype.ResourcePreEvent{Metadata: step}}}
	}
	close(stream)
	assert.Equal(t, "2 × enabled API, Cloud Run service, gcp:storage/bucket:Bucket", (<-ended).changed)
}

func TestAFailureSaysWhatWasComplainedOfAndNothingElse(t *testing.T) {
	exit := errors.New("failed to run update: exit status 1, and all that was printed")
	for name, c := range map[string]struct {
		said []apitype.DiagnosticEvent
		want string
	}{
		"the program's error": {
			[]apitype.DiagnosticEvent{
				{Severity: "info", Message: "compiling"},
				{Severity: "error", Message: "<{%reset%}>an unhandled error occurred: 1 error occurred:\n\t* berth:cpu: \"x\" is not one\n<{%reset%}>"},
			},
			`berth:cpu: "x" is not one`,
		},
		"a resource's error": {
			[]apitype.DiagnosticEvent{
				{Severity: "error", Message: "1 error occurred:\n\t* creating berth-dev: no"},
				{Severity: "error", Message: "update failed"},
			},
			"creating berth-dev: no\nupdate failed",
		},
		"an error of Pulumi itself": {nil, exit.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			stream, ended := follow(newStory(&bytes.Buffer{}))
			for _, said := range c.said {
				stream <- events.EngineEvent{EngineEvent: apitype.EngineEvent{DiagnosticEvent: &said}}
			}
			close(stream)
			require.EqualError(t, failure(exit, ended), c.want)
		})
	}

	_, never := follow(newStory(&bytes.Buffer{}))
	require.ErrorIs(t, failure(exit, never), exit, "an engine that was not started")
}
