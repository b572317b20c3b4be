package provider

import "github.com/pulumi/pulumi-gcp/sdk/v8/go/gcp/billing"

func budgetType() *resourceType {
	return &resourceType{
		token:   "gcp:billing/budget:Budget",
		inputs:  inputSchema(billing.BudgetArgs{}),
		outputs: outputSchema(billing.Budget{}),
		traits:  budgetTraits,
		api: &restAPI{
			endpoint:    budgetEndpoint,
			idOf:        "billingAccounts/{billingAccount}/budgets/{name}",
			assigned:    "name", // in full
			collection:  "billingAccounts/{billingAccount}/budgets",
			maskInQuery: true,
		},
	}
}

// budgetTraits follows the plugin's schema of google_billing_budget.
var budgetTraits = traits{
	"name":           {place: inPath},
	"billingAccount": {place: inPath, replace: true},
	"ownershipScope": {computed: true, oneOf: []string{"OWNERSHIP_SCOPE_UNSPECIFIED", "ALL_USERS", "BILLING_ACCOUNT"}},

	"amount.specifiedAmount.currencyCode": {computed: true},

	"budgetFilter":                {computed: true},
	"budgetFilter.calendarPeriod": {computed: true, oneOf: []string{"MONTH", "QUARTER", "YEAR", "CALENDAR_PERIOD_UNSPECIFIED"}},
	"budgetFilter.creditTypes":    {computed: true},
	"budgetFilter.creditTypesTreatment": {fallback: "INCLUDE_ALL_CREDITS", oneOf: []string{
		"INCLUDE_ALL_CREDITS", "EXCLUDE_ALL_CREDITS", "INCLUDE_SPECIFIED_CREDITS"}},
	"budgetFilter.labels":            {computed: true},
	"budgetFilter.projects":          {set: true},
	"budgetFilter.resourceAncestors": {set: true},
	"budgetFilter.services":          {computed: true},
	"budgetFilter.subaccounts":       {computed: true},

	"thresholdRules[].spendBasis": {fallback: "CURRENT_SPEND", oneOf: []string{"CURRENT_SPEND", "FORECASTED_SPEND"}},

	"allUpdatesRule": {apiName: "notificationsRule"},
	"allUpdatesRule.disableDefaultIamRecipients":  {fallback: false},
	"allUpdatesRule.enableProjectLevelRecipients": {fallback: false},
	"allUpdatesRule.schemaVersion":                {fallback: "1.0"},
}
