package apis

import (
	"context"
	"fmt"

	"cloud.google.com/go/monitoring/dashboard/apiv1/dashboardpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
)

// dashboards are pages of charts. What comes back has passed through the protos,
// so that zeros and empty things are gone, as from Google's.
type dashboards struct {
	dashboardpb.UnimplementedDashboardsServiceServer
	access *access
	shelf  *shelf[*dashboardpb.Dashboard]
}

func (d *dashboards) GetDashboard(_ context.Context, req *dashboardpb.GetDashboardRequest) (*dashboardpb.Dashboard, error) {
	return d.shelf.get(d.canonical(req.GetName()))
}

// canonical: dashboards have the project's number in their names.
func (d *dashboards) canonical(name string) string {
	on, err := d.access.projectOf(name)
	if err != nil {
		return name
	}
	return fmt.Sprintf("projects/%d/dashboards/%s", on.number, lastSegment(name))
}

func (d *dashboards) ListDashboards(_ context.Context, req *dashboardpb.ListDashboardsRequest) (*dashboardpb.ListDashboardsResponse, error) {
	on, err := d.access.projectOf(req.GetParent())
	if err != nil {
		return nil, err
	}
	all, next, err := d.shelf.below(fmt.Sprintf("projects/%d/dashboards", on.number), req.GetPageSize(), req.GetPageToken(), 1000)
	return &dashboardpb.ListDashboardsResponse{Dashboards: all, NextPageToken: next}, err
}

func (d *dashboards) CreateDashboard(_ context.Context, req *dashboardpb.CreateDashboardRequest) (*dashboardpb.Dashboard, error) {
	made := &dashboardpb.Dashboard{}
	if req.GetDashboard() != nil {
		made = proto.CloneOf(req.GetDashboard())
	}
	id := lastSegment(made.GetName())
	if id == "" {
		id = newUUID()
	}
	made.Name, made.Etag = d.canonical(req.GetParent()+"/dashboards/"+id), newHexEtag()
	if err := checkDashboard("CreateDashboardRequest", made); err != nil || req.GetValidateOnly() {
		return made, err
	}
	return made, d.shelf.add(made.GetName(), made)
}

func checkDashboard(request string, d *dashboardpb.Dashboard) error {
	v := violations{request: request}
	if d.GetDisplayName() == "" {
		v.add("dashboard.display_name", "A display name is required")
	}
	columns := d.GetMosaicLayout().GetColumns()
	for i, tile := range d.GetMosaicLayout().GetTiles() {
		field := fmt.Sprintf("dashboard.mosaic_layout.tiles[%d]", i)
		if tile.GetWidth() < 1 || tile.GetHeight() < 1 || tile.GetXPos() < 0 || tile.GetYPos() < 0 || tile.GetXPos()+tile.GetWidth() > columns {
			v.add(field, "A tile of %d by %d at %d,%d is not within %d columns", tile.GetWidth(), tile.GetHeight(), tile.GetXPos(), tile.GetYPos(), columns)
		}
	}
	return v.err()
}

func (d *dashboards) UpdateDashboard(_ context.Context, req *dashboardpb.UpdateDashboardRequest) (*dashboardpb.Dashboard, error) {
	return d.shelf.change(d.canonical(req.GetDashboard().GetName()), func(old *dashboardpb.Dashboard) (*dashboardpb.Dashboard, error) {
		next := proto.CloneOf(req.GetDashboard())
		if etag := next.GetEtag(); etag != "" && etag != old.GetEtag() {
			return nil, status.Errorf(codes.Aborted, "The dashboard was changed by somebody else: its etag is %s, not %s.", old.GetEtag(), etag)
		}
		next.Name, next.Etag = old.GetName(), newHexEtag()
		if err := checkDashboard("UpdateDashboardRequest", next); err != nil {
			return nil, err
		}
		if req.GetValidateOnly() {
			return old, nil
		}
		return next, nil
	})
}

func (d *dashboards) DeleteDashboard(_ context.Context, req *dashboardpb.DeleteDashboardRequest) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, d.shelf.remove(d.canonical(req.GetName()), nil)
}

// newHexEtag is as dashboards and budgets have them.
func newHexEtag() string { return fmt.Sprintf("%x", newEtagBytes()) }
