package client

import (
	"encoding/json"
	"fmt"
)

// charts are what to look at first, in two columns. The dashboard holds
// nothing that is zero or empty: Monitoring would drop that, and each preview would
// want it back.
func (a *ServerArgs) charts() []struct{ title, query string } {
	service := fmt.Sprintf(`{monitored_resource="cloud_run_revision",service_name=%q,location=%q}`, a.name(), a.Region)
	return []struct{ title, query string }{
		{"Calls a second, by answer", `sum by (response_code_class) (rate(run_googleapis_com:request_count` + service + `[5m]))`},
		{"Refused calls in 5 minutes", `sum(increase(` + a.userMetric("refused") + `{monitored_resource="cloud_run_revision"}[5m]))`},
		{"Tool calls: 95 of 100 take less, ms", `histogram_quantile(0.95, sum by (le) (increase(` + a.userMetric("tool_latency") + `_bucket{monitored_resource="cloud_run_revision"}[5m])))`},
		{"Instances, by state", `sum by (state) (run_googleapis_com:container_instance_count` + service + `)`},
	}
}

const (
	chartWidth, chartHeight = 24, 16
	dashboardColumns        = 2
)

type tile struct {
	XPos   int    `json:"xPos,omitempty"`
	YPos   int    `json:"yPos,omitempty"`
	Width  int    `json:"width"`
	Height int    `json:"height"`
	Widget widget `json:"widget"`
}

type widget struct {
	Title   string `json:"title"`
	XYChart struct {
		DataSets []dataSet `json:"dataSets"`
	} `json:"xyChart"`
}

type dataSet struct {
	PlotType        string `json:"plotType"`
	TargetAxis      string `json:"targetAxis"`
	TimeSeriesQuery struct {
		PrometheusQuery string `json:"prometheusQuery"`
	} `json:"timeSeriesQuery"`
}

func (a *ServerArgs) dashboard() (string, error) {
	var tiles []tile
	for i, c := range a.charts() {
		data := dataSet{PlotType: "LINE", TargetAxis: "Y1"}
		data.TimeSeriesQuery.PrometheusQuery = c.query
		t := tile{
			XPos: i % dashboardColumns * chartWidth, YPos: i / dashboardColumns * chartHeight,
			Width: chartWidth, Height: chartHeight, Widget: widget{Title: c.title},
		}
		t.Widget.XYChart.DataSets = []dataSet{data}
		tiles = append(tiles, t)
	}
	content, err := json.Marshal(map[string]any{
		"displayName":  "MCP server of " + a.Client,
		"mosaicLayout": map[string]any{"columns": dashboardColumns * chartWidth, "tiles": tiles},
	})
	if err != nil {
		return "", fmt.Errorf("writing the dashboard: %w", err)
	}
	return string(content), nil
}
