package client

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
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
	// fullMemory is the least that CPU all the time and the second execution
	// environment need.
	fullMemory = 512
	// mostCPU and largestMemory are also the most of all containers together.
	mostCPU = 8000
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

// sizeProblems says what Cloud Run would refuse of an instance's size: the limits
// of each container, and all of them together.
func (a *ServerArgs) sizeProblems() []error {
	var c checker
	c.limits("", a.CPU, a.Memory)
	least := a.leastMemory()
	c.want(memoryMiB(a.Memory) >= least, "memory", a.Memory, "is too little with cpuIdle false, and in gen2, which need %dMi", least)
	cpu, memory := cpuMillis(a.CPU), memoryMiB(a.Memory)
	for _, name := range slices.Sorted(maps.Keys(a.Sidecars)) {
		s := a.Sidecars[name]
		c.limits("sidecars."+name+".", s.CPU, s.Memory)
		c.want(memoryMiB(s.Memory) >= least, "sidecars."+name+".memory", s.Memory, "is too little with cpuIdle false, and in gen2, which need %dMi", least)
		cpu, memory = cpu+cpuMillis(s.CPU), memory+memoryMiB(s.Memory)
	}
	if len(c.problems) > 0 {
		return c.problems
	}
	c.want(cpu <= mostCPU, "sidecars", fmt.Sprintf("%dm", cpu), "is the CPU of all containers together, and an instance has 8 at the most; lower cpu somewhere")
	c.want(memory <= largestMemory, "sidecars", fmt.Sprintf("%dMi", memory), "is the memory of all containers together, and an instance has 32Gi at the most; lower memory somewhere")
	if cpu < wholeCPU {
		c.want(a.Concurrency == 1, "concurrency", a.Concurrency, "must be 1 with %s CPU: less than one serves one request at a time", a.CPU)
		c.want(memory <= fractionMemory, "memory", a.Memory, "is more than the %dMi that less than one CPU may have", fractionMemory)
		c.want(a.CPUIdle, "cpuIdle", a.CPUIdle, "must be true with %s CPU: less than one is there for requests only", a.CPU)
		c.want(a.ExecutionEnvironment != "gen2", "executionEnvironment", a.ExecutionEnvironment, "needs a whole CPU; raise cpu, or leave it to Cloud Run")
	}
	return c.problems
}

// leastMemory of each container, in MiB.
func (a *ServerArgs) leastMemory() int {
	if !a.CPUIdle || a.ExecutionEnvironment == "gen2" {
		return fullMemory
	}
	return 0
}

// limits checks those of one container, whose keys have the prefix.
func (c *checker) limits(prefix, cpuLimit, memoryLimit string) {
	before := len(c.problems)
	cpu, memory := cpuMillis(cpuLimit), memoryMiB(memoryLimit)
	least, whole := leastMemory[cpu]
	c.want(whole || between(cpu, smallestCPU, wholeCPU-1), prefix+"cpu", cpuLimit,
		"is not a CPU limit; write 1, 2, 4, 6 or 8, or a part of one from 0.08, like 0.5 or 500m")
	c.want(between(memory, smallestMemory, largestMemory), prefix+"memory", memoryLimit,
		"is not a memory limit from 128Mi to 32Gi; write it like 512Mi or 2Gi")
	if len(c.problems) > before {
		return
	}
	c.want(memory >= least, prefix+"memory", memoryLimit, "is too little for %s CPUs, which need %dMi", cpuLimit, least)
	for _, step := range leastCPU {
		if memory > step.above {
			c.want(cpu >= step.cpu, prefix+"cpu", cpuLimit, "is too little for %s of memory, which needs %d", memoryLimit, step.cpu/wholeCPU)
			return
		}
	}
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
