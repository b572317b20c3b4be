package apis_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	dashboards "google.golang.org/api/monitoring/v1"
	"google.golang.org/api/monitoring/v3"
)

func newWatch(t *testing.T) (*cloud, *monitoring.Service) {
	t.Helper()
	c := newCloud(t)
	c.enable(t, "monitoring.googleapis.com", "logging.googleapis.com")
	client, err := monitoring.NewService(t.Context(), c.restOptions("owner-token")...)
	require.NoError(t, err)
	return c, client
}

// onRequests is a policy on a metric that Cloud Run has.
func onRequests() *monitoring.AlertPolicy {
	return onFilter(`resource.type="cloud_run_revision" AND metric.type="run.googleapis.com/request_count"`)
}

func onFilter(filter string) *monitoring.AlertPolicy {
	return &monitoring.AlertPolicy{
		DisplayName: "errors", Combiner: "OR",
		Conditions: []*monitoring.Condition{{DisplayName: "5xx", ConditionThreshold: &monitoring.MetricThreshold{
			Filter: filter, Comparison: "COMPARISON_GT", Duration: "60s",
			Aggregations: []*monitoring.Aggregation{{AlignmentPeriod: "60s", PerSeriesAligner: "ALIGN_RATE"}},
		}}},
	}
}

func TestAnAlertPolicyKeepsItsNamesWhileItChanges(t *testing.T) {
	c, client := newWatch(t)
	policies := client.Projects.AlertPolicies
	made, err := policies.Create(project, onRequests()).Do()
	require.NoError(t, err)
	assert.Regexp(t, `^projects/acme-dev/alertPolicies/\d{19}$`, made.Name)
	assert.True(t, made.Enabled)
	assert.Equal(t, owner, made.CreationRecord.MutatedBy)
	require.Contains(t, made.Conditions[0].Name, made.Name+"/conditions/")
	assert.Equal(t, []string{"//monitoring.googleapis.com/" + made.Name}, c.apis.Inventory())

	changed, err := policies.Patch(made.Name, &monitoring.AlertPolicy{DisplayName: "more errors", ForceSendFields: []string{"Enabled"}}).UpdateMask("displayName,enabled").Do()
	require.NoError(t, err)
	assert.Equal(t, "more errors", changed.DisplayName)
	assert.False(t, changed.Enabled)
	assert.Equal(t, made.Conditions[0].Name, changed.Conditions[0].Name)
	listed, err := policies.List(project).Do()
	require.NoError(t, err)
	assert.Len(t, listed.AlertPolicies, 1)
	_, err = policies.Delete(made.Name).Do()
	require.NoError(t, err)
	_, err = policies.Get(made.Name).Do()
	require.ErrorContains(t, err, "does not exist")
}

func TestAnAlertPolicyThatCannotBeIsRefused(t *testing.T) {
	c, client := newWatch(t)
	c.must(t, http.MethodPost, "/v2/"+project+"/metrics", `{"name":"berth/refused","filter":"severity=ERROR"}`)
	with := func(change func(*monitoring.AlertPolicy)) *monitoring.AlertPolicy {
		p := onRequests()
		change(p)
		return p
	}
	prometheus := func(query string) *monitoring.AlertPolicy {
		return with(func(p *monitoring.AlertPolicy) {
			p.Conditions[0].ConditionThreshold = nil
			p.Conditions[0].ConditionPrometheusQueryLanguage = &monitoring.PrometheusQueryLanguageCondition{Query: query}
		})
	}
	for title, tt := range map[string]struct {
		policy *monitoring.AlertPolicy
		want   []string // nothing: it is taken
	}{
		"nothing said":                        {&monitoring.AlertPolicy{}, []string{"display_name", "combiner", "alert_policy.conditions"}},
		"a log metric":                        {onFilter(`resource.type="cloud_run_revision" metric.type="logging.googleapis.com/user/berth/refused"`), nil},
		"a log metric that is not there":      {onFilter(`resource.type="cloud_run_revision" metric.type="logging.googleapis.com/user/none"`), []string{"Error 404", "could take up to 10 minutes"}},
		"a metric that Cloud Run has not":     {onFilter(`resource.type="cloud_run_revision" metric.type="run.googleapis.com/none"`), []string{"Error 404"}},
		"a metric of nobody":                  {onFilter(`resource.type="cloud_run_revision" metric.type="custom.example/none"`), []string{"Error 404"}},
		"no metric":                           {onFilter(`resource.type="cloud_run_revision"`), []string{"must specify a metric type"}},
		"no resource":                         {onFilter(`metric.type="run.googleapis.com/request_count"`), []string{`restriction on "resource.type"`}},
		"a resource that is none":             {onFilter(`resource.type="cloud_run" metric.type="run.googleapis.com/request_count"`), []string{`no resource type "cloud_run"`}},
		"a filter that cannot be read":        {onFilter(`resource.type="cloud_run_revision`), []string{"a quote is not closed"}},
		"a query":                             {prometheus(`sum(rate(run_googleapis_com:request_count{a="b"}[5m])) > 1`), nil},
		"a query of a log metric":             {prometheus(`histogram_quantile(0.9, sum by (le) (rate(logging_googleapis_com:user_berth_refused_bucket[5m])))`), nil},
		"a query of a log metric that is not": {prometheus(`logging_googleapis_com:user_none > 1`), []string{"Error 404"}},
		"a query of no metric of Cloud Run's": {prometheus(`run_googleapis_com:none > 1`), []string{"Error 404"}},
		"a query that is not closed":          {prometheus(`sum(rate(x{a="b"}[5m])`), []string{"( is not closed"}},
		"a query that is crossed":             {prometheus(`sum(x[5m)])`), []string{"unexpected )"}},
		"spans that do not fit": {with(func(p *monitoring.AlertPolicy) {
			p.Conditions[0].ConditionThreshold.Duration = "90s"
			p.Conditions[0].ConditionThreshold.Comparison = "COMPARISON_EQ"
			p.Conditions[0].ConditionThreshold.Aggregations = []*monitoring.Aggregation{{AlignmentPeriod: "30s", PerSeriesAligner: "ALIGN_RATE"}, {CrossSeriesReducer: "REDUCE_SUM"}}
			p.AlertStrategy = &monitoring.AlertStrategy{AutoClose: "60s"}
		}), []string{"condition_threshold.duration", "comparison", "aggregations[0].alignment_period", "aggregations[1].per_series_aligner", "auto_close"}},
		"words that do not fit": {with(func(p *monitoring.AlertPolicy) {
			p.UserLabels = map[string]string{"Owner": "x"}
			p.Documentation = &monitoring.Documentation{Content: "x", MimeType: "text/html"}
			p.NotificationChannels = []string{project + "/notificationChannels/1"}
			p.Conditions[0].DisplayName = ""
		}), []string{`"Owner"`, "text/markdown", "There is no notification channel", "conditions[0].display_name"}},
		"a match in logs without a limit": {with(func(p *monitoring.AlertPolicy) {
			p.Conditions = []*monitoring.Condition{{DisplayName: "x", ConditionMatchedLog: &monitoring.LogMatch{Filter: "severity=ERROR", LabelExtractors: map[string]string{"a": "b"}}}}
		}), []string{"takes a rate limit", `a="b" is not EXTRACT`}},
		"a match in logs with a limit": {with(func(p *monitoring.AlertPolicy) {
			p.Conditions = []*monitoring.Condition{{DisplayName: "x", ConditionMatchedLog: &monitoring.LogMatch{Filter: "severity=ERROR"}}}
			p.AlertStrategy = &monitoring.AlertStrategy{NotificationRateLimit: &monitoring.NotificationRateLimit{Period: "300s"}}
		}), nil},
		"a limit without a match in logs": {with(func(p *monitoring.AlertPolicy) {
			p.AlertStrategy = &monitoring.AlertStrategy{NotificationRateLimit: &monitoring.NotificationRateLimit{Period: "300s"}}
		}), []string{"Only a condition on logs takes a rate limit"}},
	} {
		t.Run(title, func(t *testing.T) {
			_, err := client.Projects.AlertPolicies.Create(project, tt.policy).Do()
			if len(tt.want) == 0 {
				require.NoError(t, err)
			}
			for _, text := range tt.want {
				require.ErrorContains(t, err, text)
			}
		})
	}
}

func TestAChannelInUseIsKeptUnlessForced(t *testing.T) {
	c, client := newWatch(t)
	channels := client.Projects.NotificationChannels
	channel, err := channels.Create(project, &monitoring.NotificationChannel{Type: "email", Labels: map[string]string{"email_address": "on-call@example.com"}}).Do()
	require.NoError(t, err)
	policy := onRequests()
	policy.NotificationChannels = []string{channel.Name}
	policy, err = client.Projects.AlertPolicies.Create(project, policy).Do()
	require.NoError(t, err)
	_, err = channels.Delete(channel.Name).Do()
	require.ErrorContains(t, err, "still using it: "+policy.Name)
	_, err = channels.Delete(channel.Name).Force(true).Do()
	require.NoError(t, err)
	policy, err = client.Projects.AlertPolicies.Get(policy.Name).Do()
	require.NoError(t, err)
	assert.Empty(t, policy.NotificationChannels)
	assert.Equal(t, []string{"//monitoring.googleapis.com/" + policy.Name}, c.apis.Inventory())
}

func TestAChannelHasTheLabelsOfItsTypeAndHidesItsSecrets(t *testing.T) {
	_, client := newWatch(t)
	channels := client.Projects.NotificationChannels
	slack, err := channels.Create(project, &monitoring.NotificationChannel{Type: "slack", Labels: map[string]string{"auth_token": "xoxb-1", "channel_name": "#ops"}}).Do()
	require.NoError(t, err)
	read, err := channels.Get(slack.Name).Do()
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"auth_token": "******", "channel_name": "#ops"}, read.Labels)
	assert.Equal(t, read.Labels, slack.Labels)
	listed, err := channels.List(project).Do()
	require.NoError(t, err)
	assert.Equal(t, read.Labels, listed.NotificationChannels[0].Labels)
	for _, tt := range []struct {
		channel monitoring.NotificationChannel
		want    string
	}{
		{monitoring.NotificationChannel{Type: "pigeon"}, `"pigeon" is not a type of channel`},
		{monitoring.NotificationChannel{Type: "email"}, `"email_address" is required`},
		{monitoring.NotificationChannel{Type: "email", Labels: map[string]string{"email_address": "nobody"}}, `invalid value "nobody"`},
		{monitoring.NotificationChannel{Type: "pubsub", Labels: map[string]string{"topic": "projects/p/topics/t", "url": "x"}}, `"url" is not a label`},
		{monitoring.NotificationChannel{Type: "pubsub", Labels: map[string]string{"topic": "t"}, UserLabels: map[string]string{"A": ""}}, `"A"=""`},
	} {
		_, err := channels.Create(project, &tt.channel).Do()
		assert.ErrorContains(t, err, tt.want)
	}
}

func TestADashboardComesBackWithoutItsZeros(t *testing.T) {
	c, _ := newWatch(t)
	client, err := dashboards.NewService(t.Context(), c.restOptions("owner-token")...)
	require.NoError(t, err)
	made := c.must(t, http.MethodPost, "/v1/"+project+"/dashboards",
		`{"displayName":"acme","mosaicLayout":{"columns":48,"tiles":[{"xPos":0,"width":24,"height":16,"widget":{"title":"","text":{"content":"x"}}}]}}`)
	name := made["name"].(string)
	assert.Regexp(t, `^projects/123456789012/dashboards/[0-9a-f-]{36}$`, name)
	tile := made["mosaicLayout"].(map[string]any)["tiles"].([]any)[0].(map[string]any)
	assert.NotContains(t, tile, "xPos")
	assert.NotContains(t, tile["widget"], "title")
	assert.Equal(t, []string{"//monitoring.googleapis.com/" + name}, c.apis.Inventory())

	changed, err := client.Projects.Dashboards.Patch(name, &dashboards.Dashboard{DisplayName: "b", Etag: made["etag"].(string)}).Do()
	require.NoError(t, err)
	assert.Nil(t, changed.MosaicLayout, "a change is the whole dashboard")
	_, err = client.Projects.Dashboards.Patch(name, &dashboards.Dashboard{DisplayName: "c", Etag: made["etag"].(string)}).Do()
	require.ErrorContains(t, err, "changed by somebody else")
	_, err = client.Projects.Dashboards.Create(project, &dashboards.Dashboard{MosaicLayout: &dashboards.MosaicLayout{Columns: 12, Tiles: []*dashboards.Tile{{XPos: 6, Width: 7, Height: 1}}}}).Do()
	require.ErrorContains(t, err, "display_name")
	require.ErrorContains(t, err, "not within 12 columns")
	a := c.call(t, http.MethodPost, "/v1/"+project+"/dashboards", `{"displayName":"x","mosaicLayout":{"columns":12,"rows":3}}`)
	_, message := a.problem()
	assert.Contains(t, message, `Unknown name "rows" at 'dashboard.mosaic_layout'`)
	_, err = client.Projects.Dashboards.Delete("projects/" + projectID + "/dashboards/" + name[len(name)-36:]).Do()
	require.NoError(t, err, "by the project's id as by its number")
	assert.Empty(t, c.apis.Inventory())
}
