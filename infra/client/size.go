package client

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/berth-mcp/berth/infra/setting"
)

// The sizes of an instance, after
// https://cloud.google.com/run/docs/configuring/services/cpu and …/memory-limits:
// CPU in thousandths, memory in MiB.
const (
	smallestCPU    = 80
	wholeCPU       = 1000
	smallestMemory = 128
	largestMemory  = 32 << 10
	// fractionMemory is the most that less than one CPU may have.
	fractionMemory = 512
)

// leastMemory that a number of whole CPUs must have. There are no others.
var leastMemory = map[int]int{1000: 0, 2000: 0, 4000: 2 << 10, 6000: 4 << 10, 8000: 4 << 10}

// leastCPU that more than that much memory must have, largest first.
var leastCPU = []struct{ above, cpu int }{{24 << 10, 8000}, {16 << 10, 6000}, {8 << 10, 4000}, {4 << 10, 2000}}

// Kubernetes quantities, in the forms that Cloud Run's limits take.
var (
	cpuQuantity    = regexp.MustCompile(`^[0-9]{1,4}m$|^[0-9](\.[0-9]{1,3})?$`)
	memoryQuantity = regexp.MustCompile(`^[0-9]{1,6}(Mi|Gi)$`)
)

// sizeProblems says what Cloud Run would refuse of an instance's size.
func (c Config) sizeProblems() []error {
	var problems []error
	cpu, memory := cpuMillis(c.CPU), memoryMiB(c.Memory)
	least, whole := leastMemory[cpu]
	if !whole && (cpu < smallestCPU || cpu >= wholeCPU) {
		problems = append(problems, setting.Problem("cpu", c.CPU, "is not a CPU limit; write 1, 2, 4, 6 or 8, or a part of one from 0.08, like 0.5 or 500m"))
	}
	if memory < smallestMemory || memory > largestMemory {
		problems = append(problems, setting.Problem("memory", c.Memory, "is not a memory limit from 128Mi to 32Gi; write it like 512Mi or 2Gi"))
	}
	if len(problems) > 0 {
		return problems
	}
	if memory < least {
		problems = append(problems, setting.Problem("memory", c.Memory, "is too little for %s CPUs, which need %dMi", c.CPU, least))
	}
	for _, step := range leastCPU {
		if memory > step.above {
			if cpu < step.cpu {
				problems = append(problems, setting.Problem("cpu", c.CPU, "is too little for %s of memory, which needs %d", c.Memory, step.cpu/wholeCPU))
			}
			break
		}
	}
	if cpu < wholeCPU && c.Concurrency != 1 {
		problems = append(problems, setting.Problem("concurrency", c.Concurrency, "must be 1 with %s CPU: less than one serves one request at a time", c.CPU))
	}
	if cpu < wholeCPU && memory > fractionMemory {
		problems = append(problems, setting.Problem("memory", c.Memory, "is more than the %dMi that less than one CPU may have", fractionMemory))
	}
	return problems
}

// cpuMillis reads a CPU limit in thousandths; 0 where it is none.
func cpuMillis(limit string) int {
	if !cpuQuantity.MatchString(limit) {
		return 0
	}
	if millis, found := strings.CutSuffix(limit, "m"); found {
		n, _ := strconv.Atoi(millis) // digits, by the expression
		return n
	}
	whole, part, _ := strings.Cut(limit, ".")
	n, _ := strconv.Atoi(whole + part + strings.Repeat("0", 3-len(part)))
	return n
}

// memoryMiB reads a memory limit in MiB; 0 where it is none.
func memoryMiB(limit string) int {
	if !memoryQuantity.MatchString(limit) {
		return 0
	}
	n, _ := strconv.Atoi(limit[:len(limit)-2]) // digits, by the expression
	if strings.HasSuffix(limit, "Gi") {
		n <<= 10
	}
	return n
}
