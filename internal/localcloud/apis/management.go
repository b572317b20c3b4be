package apis

import (
	"slices"

	"cloud.google.com/go/billing/apiv1/billingpb"
	"cloud.google.com/go/billing/budgets/apiv1/budgetspb"
	"cloud.google.com/go/iam/apiv1/iampb"
	"cloud.google.com/go/kms/apiv1/kmspb"
	"cloud.google.com/go/logging/apiv2/loggingpb"
	"cloud.google.com/go/monitoring/apiv3/v2/monitoringpb"
	"cloud.google.com/go/monitoring/dashboard/apiv1/dashboardpb"
	"cloud.google.com/go/orgpolicy/apiv2/orgpolicypb"
	"google.golang.org/grpc"
)

// management is what administers projects and their people, around the services.
type management struct {
	manager     *resourceManager
	identities  *serviceIdentities
	identity    *cloudIdentity
	grants      *grants
	keys        *keys
	orgPolicies *orgPolicies
	billing     *billing
	logging     *logging
	logMetrics  *logMetrics
	alerts      *alertPolicies
	channels    *channels
	dashboards  *dashboards
	budgets     *budgets
}

func newManagement(o Options, access *access, keys *keys, operations *operations) *management {
	m := &management{
		manager:    &resourceManager{projects: access.projects, policies: access.policies, created: o.Now().UTC()},
		identities: &serviceIdentities{projects: access.projects, usage: access.usage},
		identity: &cloudIdentity{access: access, groups: &groups{
			directory: o.Groups, memberExists: o.MemberExists, customer: "customers/" + o.Customer, domains: domainsOf(o.Owners),
			clock: o.Now, byEmail: map[string]*group{},
		}},
		grants:      &grants{keys: keys, access: access, policies: access.policies},
		keys:        keys,
		orgPolicies: &orgPolicies{projects: access.projects},
		billing:     &billing{access: access, account: o.BillingAccount},
		logging:     newLogging(access, operations, o.Now),
		logMetrics:  &logMetrics{access: access, clock: o.Now, metrics: newShelf[*loggingpb.LogMetric]("Metric")},
	}
	m.channels = &channels{access: access, clock: o.Now, shelf: newShelf[*monitoringpb.NotificationChannel]("Notification channel")}
	m.alerts = &alertPolicies{
		access: access, clock: o.Now, policies: newShelf[*monitoringpb.AlertPolicy]("Alert policy"),
		channels: m.channels, metrics: &metricNames{logMetrics: m.logMetrics.metrics},
	}
	m.channels.alerts = m.alerts
	m.dashboards = &dashboards{access: access, shelf: newShelf[*dashboardpb.Dashboard]("Dashboard")}
	m.budgets = &budgets{access: access, account: o.BillingAccount, channels: m.channels, shelf: newShelf[*budgetspb.Budget]("Budget")}
	if o.RestrictSharing {
		m.orgPolicies.allowed = o.Customer
	}
	for id := range o.Projects {
		access.policies.own("projects/"+id, o.Owners)
	}
	return m
}

func (m *management) register(server *grpc.Server) {
	iampb.RegisterIAMPolicyServer(server, m.grants)
	kmspb.RegisterKeyManagementServiceServer(server, m.keys)
	orgpolicypb.RegisterOrgPolicyServer(server, m.orgPolicies)
	billingpb.RegisterCloudBillingServer(server, m.billing)
	loggingpb.RegisterConfigServiceV2Server(server, m.logging)
	loggingpb.RegisterMetricsServiceV2Server(server, m.logMetrics)
	monitoringpb.RegisterAlertPolicyServiceServer(server, m.alerts)
	monitoringpb.RegisterNotificationChannelServiceServer(server, m.channels)
	dashboardpb.RegisterDashboardsServiceServer(server, m.dashboards)
	budgetspb.RegisterBudgetServiceServer(server, m.budgets)
}

// restOnly are those of its APIs that have no protos.
func (m *management) restOnly() []restOnly { return []restOnly{m.manager, m.identities, m.identity} }

func (m *management) inventory() []string {
	return slices.Concat(m.identity.groups.inventory(), m.logging.inventory(), m.logMetrics.metrics.inventory(loggingAPI),
		m.alerts.policies.inventory(monitoringAPI), m.channels.shelf.inventory(monitoringAPI), m.dashboards.shelf.inventory(monitoringAPI),
		m.budgets.shelf.inventory(budgetAPI))
}
