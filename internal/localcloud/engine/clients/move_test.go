package clients_test

import (
	"strings"
	"testing"

	"github.com/berth-mcp/berth/internal/localcloud"
	"github.com/berth-mcp/berth/internal/localcloud/engine/enginetest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Of a client's things those that are in a region are replaced when it moves, and
// those that are in none stay as they are.
func TestAClientMovesToAnotherRegion(t *testing.T) {
	for name, is := range map[string]struct {
		config  map[string]any
		secrets map[string]string
		staying []string // what is in no region
		moving  int      // the service, its binding and the repository, and what else is in a region
	}{
		"with a group of its own": {
			config: map[string]any{
				"berth:developers": []string{},
				"berth:group":      map[string]any{"email": "umbrella@example.com", "customer": localcloud.Customer, "members": []string{enginetest.Ada}},
			},
			staying: []string{"/serviceAccounts/berth-acme@", "/groups/"},
			moving:  3,
		},
		"suspended": {
			config:  map[string]any{"berth:suspend": true, "berth:viewer": true},
			staying: []string{"/serviceAccounts/berth-acme@"},
			moving:  4,
		},
		"with data that was let go and a secret": {
			config:  map[string]any{"berth:data": map[string]any{"enabled": true, "protect": false}},
			secrets: map[string]string{"berth:secrets.API_TOKEN.value": "hunter2"},
			staying: []string{"/serviceAccounts/berth-acme@"},
			moving:  8,
		},
	} {
		t.Run(name, func(t *testing.T) {
			cloud, dir := enginetest.StartCloud(t), t.TempDir()
			acme := deploy(t, cloud, dir, "acme", enginetest.Quota()).set(is.config)
			acme.secrets = is.secrets
			acme.up(t)
			before := strings.Join(cloud.Inventory(), "\n")
			require.Contains(t, before, "/locations/europe-west1/services/berth-acme")

			outputs, changed := acme.set(map[string]any{"gcp:region": "europe-west4"}).up(t)
			assert.Equal(t, map[string]int{"replace": is.moving}, changed)
			after := strings.Join(cloud.Inventory(), "\n")
			assert.NotContains(t, after, "europe-west1")
			assert.Contains(t, after, "/locations/europe-west4/services/berth-acme")
			for _, one := range is.staying {
				require.Contains(t, before, one)
				assert.Contains(t, after, one)
			}
			if is.config["berth:suspend"] == nil {
				assert.Equal(t, "well", acme.said(t, outputs, "/"))
			}
			if is.secrets != nil {
				assert.Equal(t, "hunter2", acme.said(t, outputs, "/env/API_TOKEN"))
			}
			enginetest.Settled(t, acme.stack(t))
			acme.destroy(t)
			assert.Empty(t, cloud.Inventory())
		})
	}
}

func TestAMoveOfWhatIsProtectedIsRefused(t *testing.T) {
	for name, protection := range map[string]map[string]any{
		"data":        {"berth:data": map[string]any{"enabled": true}},
		"the service": {"berth:deletionProtection": true},
	} {
		t.Run(name, func(t *testing.T) {
			cloud, dir := enginetest.StartCloud(t), t.TempDir()
			acme := deploy(t, cloud, dir, "acme", protection)
			outputs, _ := acme.up(t)
			if protection["berth:data"] != nil {
				enginetest.PutObject(t, cloud, enginetest.Project+"-berth-acme", "goals.json")
			}
			before := cloud.Inventory()

			stack := acme.set(map[string]any{"gcp:region": "europe-west4"}).stack(t)
			_, err := stack.Preview(t.Context())
			require.ErrorContains(t, err, "marked for protection")
			require.Equal(t, before, cloud.Inventory(), "a preview changes nothing")
			_, err = stack.Up(t.Context())
			require.ErrorContains(t, err, "marked for protection", "without a preview too")
			assert.Equal(t, "well", acme.said(t, outputs, "/"))

			acme.set(map[string]any{"gcp:region": "europe-west1"}).up(t)
			assert.Equal(t, before, cloud.Inventory(), "and the way back is an update")
			enginetest.Settled(t, acme.stack(t))
		})
	}
}
