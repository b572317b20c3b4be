package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// clockTick is Linux's unit of CPU time in /proc, the same on all architectures that Go
// runs on (USER_HZ).
const clockTick = 10 * time.Millisecond

// family is a process and its children, nginx's workers among them. It is empty for the
// direct way, and where there is no /proc.
func (r *running) family() []string {
	if r.command == nil {
		return nil
	}
	own := strconv.Itoa(r.command.Process.Pid)
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil
	}
	var pids []string
	for _, file := range all {
		pid := filepath.Base(filepath.Dir(file))
		if fields := stat(pid); pid == own || len(fields) > 1 && fields[1] == own {
			pids = append(pids, pid)
		}
	}
	return pids
}

// stat returns the fields of /proc/PID/stat from the third, the state, on.
func stat(pid string) []string {
	content, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return nil // it has ended
	}
	_, rest, _ := strings.Cut(string(content), ") ")
	return strings.Fields(rest)
}

// cpu is the time that the family has used, to 10 ms; NaN if that is not known.
func (r *running) cpu() float64 {
	pids := r.family()
	if len(pids) == 0 {
		return math.NaN()
	}
	var ticks float64
	for _, pid := range pids {
		if fields := stat(pid); len(fields) > 12 {
			for _, field := range fields[11:13] { // utime, stime
				n, err := strconv.ParseFloat(field, 64)
				if err != nil {
					return math.NaN()
				}
				ticks += n
			}
		}
	}
	return ticks * clockTick.Seconds()
}

// memory is what the family holds in RAM and shares with nobody, in KiB; NaN if that is
// not known.
func (r *running) memory() float64 { return r.sum("RssAnon") }

// peak is the most that the members of the family have had in RAM, in KiB; NaN if that is
// not known.
func (r *running) peak() float64 { return r.sum("VmHWM") }

// sum adds up a field of /proc/PID/status.
func (r *running) sum(field string) float64 {
	pids := r.family()
	if len(pids) == 0 {
		return math.NaN()
	}
	var total float64
	for _, pid := range pids {
		content, err := os.ReadFile("/proc/" + pid + "/status")
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(content)) {
			var kib float64
			if _, err := fmt.Sscanf(line, field+": %f kB", &kib); err == nil {
				total += kib
			}
		}
	}
	return total
}
