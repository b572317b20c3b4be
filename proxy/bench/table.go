package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"text/tabwriter"
)

// A measurement returns a value for each of its rows.
type measurement func(ctx context.Context, c *contender, p plan) ([]float64, error)

// measurements are all there are, in the order in which they are taken and printed.
var measurements = []struct {
	rows []string
	take measurement
}{
	{[]string{"requests/s, 8 connections", "  p50, ms", "  p99, ms", "  CPU per request, µs"}, load("/json", answer, 8)},
	{[]string{"requests/s, 64 connections", "  p50, ms", "  p99, ms", "  CPU per request, µs"}, load("/json", answer, 64)},
	{[]string{"requests/s answered by a stream, 8 connections", "  p50, ms", "  p99, ms", "  CPU per request, µs"}, load("/events?1", event, 8)},
	{[]string{"time to the first event, µs"}, firstEvent},
	{[]string{"events/s, 8 streams"}, events},
	{[]string{"short streams that broke"}, broken},
	{[]string{"start to first answer, ms", "memory per idle stream, KiB"}, startUp},
	{[]string{"  that comes by HTTP/2 over TLS"}, idleFromHTTP2},
}

// A table has the median of each row for each contender.
type table struct {
	plan    plan
	names   []string
	rows    []string
	medians [][]float64 // of the row, of the contender
}

// measure has the contenders take turns, beginning with another one each round.
func (s *stable) measure(ctx context.Context, p plan) (*table, error) {
	t := &table{plan: p}
	var samples [][][]float64 // of the row, of the contender
	for _, c := range s.contenders {
		t.names = append(t.names, c.name)
	}
	for _, m := range measurements {
		t.rows = append(t.rows, m.rows...)
		for range m.rows {
			samples = append(samples, make([][]float64, len(s.contenders)))
		}
	}
	for round := range p.rounds {
		row := 0
		for _, m := range measurements {
			for turn := range s.contenders {
				i := (round + turn) % len(s.contenders)
				values, err := m.take(ctx, s.contenders[i], p)
				if err != nil {
					return nil, fmt.Errorf("%s of %s: %w", m.rows[0], s.contenders[i].name, err)
				}
				for k, v := range values {
					samples[row+k][i] = append(samples[row+k][i], v)
				}
			}
			row += len(m.rows)
		}
		fmt.Fprintf(os.Stderr, "round %d of %d done\n", round+1, p.rounds)
	}
	for _, row := range samples {
		var medians []float64
		for _, values := range row {
			medians = append(medians, median(values))
		}
		t.medians = append(t.medians, medians)
	}
	return t, nil
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// print writes the table, with what berth-proxy has in relation to the plain one.
func (t *table) print(w io.Writer) {
	fmt.Fprintf(w, "Medians of %d rounds; %d short streams and %d idle ones in each.\n\n", t.plan.rounds, t.plan.short, t.plan.idle)
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(out, "\t")
	for _, name := range t.names {
		fmt.Fprint(out, name, "\t")
	}
	fmt.Fprintln(out, "berth-proxy to ReverseProxy\t")
	plain, berth := slices.Index(t.names, "ReverseProxy"), slices.Index(t.names, "berth-proxy")
	for i, row := range t.rows {
		fmt.Fprint(out, row, "\t")
		for _, v := range t.medians[i] {
			fmt.Fprint(out, show(v), "\t")
		}
		ratio := "–"
		if p := t.medians[i][plain]; p != 0 && !math.IsNaN(p) {
			ratio = fmt.Sprintf("%.2f", t.medians[i][berth]/p)
		}
		fmt.Fprintln(out, ratio+"\t")
	}
	_ = out.Flush() // to a terminal or a pipe
}

// show has three digits, or all of a large number.
func show(v float64) string {
	switch {
	case math.IsNaN(v):
		return "–"
	case v == 0 || v >= 100:
		return fmt.Sprintf("%.0f", v)
	default:
		return fmt.Sprintf("%.3g", v)
	}
}
