package apis

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"

	"cloud.google.com/go/run/apiv2/runpb"
)

const mebibyte = 1 << 20

// Cloud Run's sizes, after https://cloud.google.com/run/docs/configuring/services/cpu
// and …/memory-limits.
const (
	smallestCPU         = 80 // thousandths
	wholeCPU            = 1000
	smallestMemory      = 128 * mebibyte
	smallestGen2Memory  = 512 * mebibyte
	largestMemory       = 32 << 10 * mebibyte
	fractionalCPUMemory = 512 * mebibyte
	// https://cloud.google.com/run/docs/configuring/billing-settings
	smallestAlwaysOnMemory = 512 * mebibyte
)

// wholeCPUs are the numbers of processors there are, with the least memory that
// each takes.
var wholeCPUs = map[int64]int64{
	1000: 0, 2000: 0, 4000: 2048 * mebibyte, 6000: 4096 * mebibyte, 8000: 4096 * mebibyte,
}

// memorySteps say how many processors more than that much memory takes.
var memorySteps = []struct{ above, cpu int64 }{
	{24 << 10 * mebibyte, 8000}, {16 << 10 * mebibyte, 6000}, {8 << 10 * mebibyte, 4000}, {4 << 10 * mebibyte, 2000},
}

func checkResources(v *violations, field string, t *runpb.RevisionTemplate, c *runpb.Container) {
	limits := c.GetResources().GetLimits()
	for _, key := range slices.Sorted(maps.Keys(limits)) {
		if key != "cpu" && key != "memory" {
			v.add(field+".limits", "%q is not a resource here; there are cpu and memory", key)
		}
	}
	cpu, err := parseCPU(limits["cpu"])
	if err != nil {
		v.add(field+".limits.cpu", "%v", err)
		return
	}
	memory, err := parseMemory(limits["memory"])
	if err != nil {
		v.add(field+".limits.memory", "%v", err)
		return
	}
	checkSize(v, field+".limits", t, limits, cpu, memory)
	if cpu < wholeCPU {
		checkFractionalCPU(v, field, t, c, memory)
	} else if !c.GetResources().GetCpuIdle() && memory < smallestAlwaysOnMemory {
		v.add(field+".limits.memory", "%q is too little for a processor that is always there; the least is 512Mi, or set cpu_idle", limits["memory"])
	}
}

func checkSize(v *violations, field string, t *runpb.RevisionTemplate, limits map[string]string, cpu, memory int64) {
	least, whole := wholeCPUs[cpu]
	if !whole && (cpu < smallestCPU || cpu > wholeCPU) {
		v.add(field+".cpu", "%q must be 1, 2, 4, 6 or 8, or from 0.08 up to 1", limits["cpu"])
	}
	smallest := int64(smallestMemory)
	if t.GetExecutionEnvironment() == runpb.ExecutionEnvironment_EXECUTION_ENVIRONMENT_GEN2 {
		smallest = smallestGen2Memory
	}
	switch {
	case memory < smallest || memory > largestMemory:
		v.add(field+".memory", "%q is not %dMi to %dMi", limits["memory"], smallest/mebibyte, int64(largestMemory/mebibyte))
	case memory < least:
		v.add(field+".memory", "%q is too little for %s cpu; the least is %dMi", limits["memory"], limits["cpu"], least/mebibyte)
	}
	for _, step := range memorySteps {
		if memory > step.above {
			if cpu < step.cpu {
				v.add(field+".cpu", "%q is too little for %s of memory; the least is %d", limits["cpu"], limits["memory"], step.cpu/wholeCPU)
			}
			break
		}
	}
}

// checkFractionalCPU: less than a processor is for one request at a time, with
// no work between requests, in the first execution environment.
func checkFractionalCPU(v *violations, field string, t *runpb.RevisionTemplate, c *runpb.Container, memory int64) {
	cpu := c.GetResources().GetLimits()["cpu"]
	if n := t.GetMaxInstanceRequestConcurrency(); n != 1 {
		v.add("service.template.max_instance_request_concurrency", "%d takes at least 1 cpu; with %s it must be 1", n, cpu)
	}
	if !c.GetResources().GetCpuIdle() {
		v.add(field+".cpu_idle", "Less than 1 cpu (%s) is only there during requests: cpu_idle must be true", cpu)
	}
	if t.GetExecutionEnvironment() == runpb.ExecutionEnvironment_EXECUTION_ENVIRONMENT_GEN2 {
		v.add(field+".limits.cpu", "%q is too little for the second generation execution environment; the least is 1", cpu)
	}
	if memory > fractionalCPUMemory {
		v.add(field+".limits.memory", "%q takes at least 1 cpu; with %s the most is 512Mi", c.GetResources().GetLimits()["memory"], cpu)
	}
}

// hasFractionalCPU decides the default concurrency.
func hasFractionalCPU(t *runpb.RevisionTemplate) bool {
	for _, c := range t.GetContainers() {
		if cpu, err := parseCPU(c.GetResources().GetLimits()["cpu"]); err == nil && cpu < wholeCPU {
			return true
		}
	}
	return false
}

// Quantities are Kubernetes': processors whole, as a fraction, or in
// thousandths; bytes with a decimal or binary suffix.
var (
	cpuPattern    = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)(m?)$`)
	memoryPattern = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)(k|M|G|Ki|Mi|Gi|)$`)
	byteUnits     = map[string]float64{"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}
)

// parseCPU gives thousandths of a processor.
func parseCPU(quantity string) (int64, error) {
	parts := cpuPattern.FindStringSubmatch(quantity)
	if parts == nil {
		return 0, fmt.Errorf("%q is not a number of processors such as 1, 0.5 or 500m", quantity)
	}
	unit := float64(wholeCPU)
	if parts[2] == "m" {
		unit = 1
	}
	return scaled(parts[1], unit)
}

// parseMemory gives bytes.
func parseMemory(quantity string) (int64, error) {
	parts := memoryPattern.FindStringSubmatch(quantity)
	if parts == nil {
		return 0, fmt.Errorf("%q is not an amount of memory such as 512Mi or 2Gi", quantity)
	}
	return scaled(parts[1], byteUnits[parts[2]])
}

func scaled(number string, unit float64) (int64, error) {
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || n*unit > math.MaxInt64/2 {
		return 0, fmt.Errorf("%q is too large", number)
	}
	return int64(math.Round(n * unit)), nil
}
