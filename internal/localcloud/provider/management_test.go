package provider

import (
	"testing"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	groupToken      = "gcp:cloudidentity/group:Group"
	membershipToken = "gcp:cloudidentity/groupMembership:GroupMembership"
	metricToken     = "gcp:logging/metric:Metric"
	channelToken    = "gcp:monitoring/notificationChannel:NotificationChannel"
	boardToken      = "gcp:monitoring/dashboard:Dashboard"
	policyToken     = "gcp:monitoring/alertPolicy:AlertPolicy"
	auditToken      = "gcp:projects/iAMAuditConfig:IAMAuditConfig"
	grantToken      = "gcp:projects/iAMMember:IAMMember"
	keyGrantToken   = "gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember"
	budgetToken     = "gcp:billing/budget:Budget"
)

const forum = "cloudidentity.googleapis.com/groups.discussion_forum"

func TestBadInputsAreRefusedBeforeAnythingIsPlanned(t *testing.T) {
	_, e := newRealCloud(t)
	for name, tt := range map[string]struct {
		token  string
		inputs map[string]any
		want   []string // the properties complained of
	}{
		"a group of nothing":  {groupToken, map[string]any{}, []string{"groupKey", "labels", "parent"}},
		"a group that starts": {groupToken, map[string]any{"parent": "customers/C1", "groupKey": map[string]any{"id": "a@b.c"}, "labels": map[string]any{forum: ""}, "initialGroupConfig": "FULL"}, []string{"initialGroupConfig"}},
		"a membership of nobody": {membershipToken, map[string]any{"group": "groups/g", "roles": []any{map[string]any{"name": "KING"}}},
			[]string{"preferredMemberKey", "roles[0].name"}},
		"a membership of two": {membershipToken, map[string]any{"group": "groups/g", "roles": []any{map[string]any{"name": "MEMBER"}},
			"memberKey": map[string]any{"id": "a@b.c"}, "preferredMemberKey": map[string]any{"id": "a@b.c"}}, []string{"preferredMemberKey"}},
		"a metric of a kind that is none": {metricToken, map[string]any{"filter": "a", "metricDescriptor": map[string]any{"metricKind": "X", "valueType": "Y"}},
			[]string{"metricDescriptor.metricKind", "metricDescriptor.valueType"}},
		"a channel with a secret twice": {channelToken, map[string]any{"type": "slack", "labels": map[string]any{"auth_token": "a"}, "sensitiveLabels": map[string]any{"authToken": "b"}},
			[]string{"sensitiveLabels.authToken"}},
		"a channel with two secrets":       {channelToken, map[string]any{"type": "slack", "sensitiveLabels": map[string]any{"authToken": "b", "password": "c"}}, []string{"sensitiveLabels"}},
		"a dashboard that is no JSON":      {boardToken, map[string]any{"dashboardJson": "{"}, []string{"dashboardJson"}},
		"a dashboard that is not known":    {boardToken, map[string]any{"dashboardJson": unknownText}, nil},
		"a policy without conditions":      {policyToken, map[string]any{"displayName": "x", "combiner": "XOR"}, []string{"combiner", "conditions"}},
		"an audit of nothing":              {auditToken, map[string]any{"project": "p1", "service": "run.googleapis.com"}, []string{"auditLogConfigs"}},
		"a grant to nobody":                {grantToken, map[string]any{"project": "p1", "role": "viewer", "member": "ann"}, []string{"member", "role"}},
		"a grant on a key by a short name": {keyGrantToken, map[string]any{"cryptoKeyId": "ring/key", "role": "roles/viewer", "member": "user:ann@example.com"}, []string{"cryptoKeyId"}},
		"a budget of no amount":            {budgetToken, map[string]any{"billingAccount": "A", "thresholdRules": []any{map[string]any{"thresholdPercent": 1, "spendBasis": "X"}}}, []string{"amount", "thresholdRules[0].spendBasis"}},
		"a property that is not there":     {groupToken, map[string]any{"parent": "customers/C1", "groupKey": map[string]any{"id": "a@b.c"}, "labels": map[string]any{forum: ""}, "email": "x"}, []string{"email"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, failures := e.check(tt.token, tt.inputs)
			var properties []string
			for _, f := range failures {
				properties = append(properties, f.GetProperty())
			}
			assert.ElementsMatch(t, tt.want, properties, failures)
		})
	}
}

func TestASecretOfAChannelIsKeptAndNeverAskedFor(t *testing.T) {
	_, e := newRealCloud(t, "monitoring.googleapis.com")
	inputs := map[string]any{"type": "slack", "labels": map[string]any{"channel_name": "#ops"}, "sensitiveLabels": map[string]any{"authToken": "xoxb-1"}}
	channel := e.create(channelToken, inputs)
	assert.Equal(t, "xoxb-1", at(channel.state, "sensitiveLabels", "authToken"))
	assert.Equal(t, map[string]any{"channel_name": "#ops"}, channel.state["labels"])
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.diff(channel, inputs).GetChanges())
	assert.Equal(t, channel, e.refresh(channel))
	changed := e.update(channel, edited(t, inputs, "xoxb-2", "sensitiveLabels", "authToken"))
	assert.Equal(t, "xoxb-2", at(changed.state, "sensitiveLabels", "authToken"))
	require.NoError(t, e.delete(changed))
	assert.Empty(t, e.refresh(changed).id)
}

func TestAMembershipThatIsThereMayBeTakenAsItIs(t *testing.T) {
	cloud, _ := newRealCloud(t)
	e := configured(t, configOf(cloud.url), map[string]any{"accessToken": cloud.token, "userProjectOverride": "true", "billingProject": "p1"})
	e.create(enableToken, map[string]any{"service": "cloudidentity.googleapis.com"})
	require.NoError(t, cloud.people.AddPerson("ann@example.com"))
	group := e.create(groupToken, map[string]any{"parent": "customers/C0123abcd", "groupKey": map[string]any{"id": "team@example.com"}, "labels": map[string]any{forum: ""}})
	require.NoError(t, cloud.people.AddMember("team@example.com", "ann@example.com"))
	inputs := map[string]any{"group": group.id, "preferredMemberKey": map[string]any{"id": "ann@example.com"},
		"roles": []any{map[string]any{"name": "MEMBER"}}, "createIgnoreAlreadyExists": true}
	membership := e.create(membershipToken, inputs)
	assert.Contains(t, membership.id, group.id+"/memberships/")
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.diff(membership, inputs).GetChanges())
	assert.Equal(t, membership, e.refresh(membership))

	imported := e.refresh(thing{token: membershipToken, id: membership.id, inputs: map[string]any{}, state: map[string]any{}})
	assert.Equal(t, group.id, imported.state["group"], "the membership's name says which group")
	require.NoError(t, e.delete(membership))
	assert.Empty(t, e.refresh(membership).id, "to Cloud Identity what is gone is forbidden, to the engine it is gone")
}

func TestAServiceAgentIsMadeOnceAndStays(t *testing.T) {
	const identityToken = "gcp:projects/serviceIdentity:ServiceIdentity"
	_, e := newRealCloud(t, "cloudresourcemanager.googleapis.com")
	inputs := map[string]any{"project": "p1", "service": "secretmanager.googleapis.com"}
	agent := e.create(identityToken, inputs)
	assert.Equal(t, "projects/p1/services/secretmanager.googleapis.com", agent.id)
	assert.Equal(t, "service-4711@gcp-sa-secretmanager.iam.gserviceaccount.com", agent.state["email"])
	grant := map[string]any{"project": "p1", "role": "roles/run.viewer", "member": agent.state["member"]}
	e.create(grantToken, grant) // which needs the agent to be there

	assert.Equal(t, agent, e.refresh(agent), "there is nothing to look at")
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, e.diff(agent, inputs).GetChanges())
	assert.Contains(t, e.diff(agent, map[string]any{"project": "p1", "service": "run.googleapis.com"}).GetReplaces(), "service")
	require.NoError(t, e.delete(agent))
	e.create(grantToken, map[string]any{"project": "p1", "role": "roles/run.admin", "member": agent.state["member"]})
}
