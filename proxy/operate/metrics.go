package operate

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/berth-mcp/berth/proxy/relay"
)

// A figure is one metric of each client.
type figure struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(relay.ClientStats) float64
}

func newFigure(name, help string, kind prometheus.ValueType, value func(relay.ClientStats) float64) figure {
	return figure{prometheus.NewDesc("berth_proxy_"+name, help, []string{"client"}, nil), kind, value}
}

var (
	figures = []figure{
		newFigure("calls_total", "Calls that were answered, or could not be.", prometheus.CounterValue,
			func(c relay.ClientStats) float64 { return float64(c.Calls) }),
		newFigure("failed_calls_total", "Calls that ended with an error of the proxy's, a status of 400 or more, or not at all.", prometheus.CounterValue,
			func(c relay.ClientStats) float64 { return float64(c.Failed) }),
		newFigure("streams", "Event streams that are open.", prometheus.GaugeValue,
			func(c relay.ClientStats) float64 { return float64(c.Streams) }),
		newFigure("sessions", "MCP sessions with an open stream, or used in the last five minutes.", prometheus.GaugeValue,
			func(c relay.ClientStats) float64 { return float64(c.Sessions) }),
	}
	latency = prometheus.NewDesc("berth_proxy_call_duration_seconds", "Time from a call to the first byte of its answer.", []string{"client"}, nil)
)

// A collector reads a relay's figures when it is asked. The relay keeps them for the page,
// too, and knows nothing of Prometheus.
type collector struct{ relay *relay.Relay }

func (c collector) Describe(descs chan<- *prometheus.Desc) {
	for _, f := range figures {
		descs <- f.desc
	}
	descs <- latency
}

func (c collector) Collect(metrics chan<- prometheus.Metric) {
	for _, client := range c.relay.Snapshot() {
		name := client.Target.Name
		for _, f := range figures {
			metrics <- prometheus.MustNewConstMetric(f.desc, f.kind, f.value(client), name)
		}
		buckets := map[float64]uint64{}
		var below uint64
		for i, bound := range client.Latency.Bounds {
			below += client.Latency.Counts[i]
			buckets[bound.Seconds()] = below
		}
		count := below + client.Latency.Counts[len(client.Latency.Bounds)]
		metrics <- prometheus.MustNewConstHistogram(latency, count, client.Latency.Sum.Seconds(), buckets, name)
	}
}

func newRegistry(r *relay.Relay, version string) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	build := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "berth_proxy_build_info", Help: "1, with the version in the labels.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	}, func() float64 { return 1 })
	registry.MustRegister(collector{r}, build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}
