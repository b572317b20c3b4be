package try

import (
	"bytes"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/stretchr/testify/assert"
)

func TestWhatTheEngineChangedIsToldInWordsAndOnce(t *testing.T) {
	stream, resources := follow(newStory(&bytes.Buffer{}))
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
	assert.Equal(t, "2 × enabled API, Cloud Run service, gcp:storage/bucket:Bucket", <-resources)
}
