package apis

import (
	"context"

	"cloud.google.com/go/billing/apiv1/billingpb"
)

const billingAPI = "cloudbilling.googleapis.com"

// billing tells who pays for projects.
type billing struct {
	billingpb.UnimplementedCloudBillingServer
	access *access
	// account pays for every project; "" is nobody.
	account string
}

func (b *billing) GetProjectBillingInfo(_ context.Context, req *billingpb.GetProjectBillingInfoRequest) (*billingpb.ProjectBillingInfo, error) {
	on, err := b.access.projectOf(req.GetName())
	if err != nil {
		return nil, err
	}
	info := &billingpb.ProjectBillingInfo{Name: "projects/" + on.id + "/billingInfo", ProjectId: on.id}
	if b.account != "" {
		info.BillingAccountName, info.BillingEnabled = "billingAccounts/"+b.account, true
	}
	return info, nil
}
