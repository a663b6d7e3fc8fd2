// Time, latencies and the server's CPU time, printed as `key value` lines.

package main

import (
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Meter measures a stretch of work: wall clock, server CPU, latencies.
type Meter struct {
	pids      []int
	began     time.Time
	cpu       float64
	mutex     sync.Mutex
	latencies []time.Duration
	bytes     int64
	errors    []string
	failed    int
	took      time.Duration
}

func startMeter(pids string) *Meter {
	meter := &Meter{}
	for _, field := range strings.Split(pids, ",") {
		if pid, err := strconv.Atoi(field); err == nil {
			meter.pids = append(meter.pids, pid)
		}
	}
	meter.cpu = cpuSeconds(meter.pids)
	meter.began = time.Now()
	return meter
}

func (m *Meter) done(began time.Time, bytes int64) {
	took := time.Since(began)
	m.mutex.Lock()
	m.latencies = append(m.latencies, took)
	m.bytes += bytes
	m.mutex.Unlock()
}

func (m *Meter) fail(err error) {
	m.mutex.Lock()
	m.failed++
	if len(m.errors) < 20 {
		m.errors = append(m.errors, err.Error())
	}
	m.mutex.Unlock()
}

// stop ends the measurement where checks follow that are not part of it.
func (m *Meter) stop() {
	if m.took == 0 {
		m.took = time.Since(m.began)
		m.cpu = cpuSeconds(m.pids) - m.cpu
	}
}

// report prints the figures and fails where anything failed.
func (m *Meter) report() error {
	m.stop()
	took, cpu := m.took.Seconds(), m.cpu
	sort.Slice(m.latencies, func(a, b int) bool { return m.latencies[a] < m.latencies[b] })
	put("operations", len(m.latencies))
	put("errors", m.failed)
	put("bytes", m.bytes)
	put("seconds", took)
	put("rate", float64(len(m.latencies))/took)
	put("mb_per_s", float64(m.bytes)/1e6/took)
	put("cpu_s", cpu)
	put("p50_ms", quantile(m.latencies, 0.50))
	put("p90_ms", quantile(m.latencies, 0.90))
	put("p99_ms", quantile(m.latencies, 0.99))
	put("max_ms", quantile(m.latencies, 1))
	for _, text := range m.errors {
		fmt.Fprintln(os.Stderr, "  failed:", text)
	}
	if m.failed > 0 {
		return fmt.Errorf("%d operations failed", m.failed)
	}
	return nil
}

func put(key string, value any) {
	switch value := value.(type) {
	case float64:
		fmt.Printf("%s %.4f\n", key, value)
	default:
		fmt.Printf("%s %v\n", key, value)
	}
}

func quantile(sorted []time.Duration, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	at := int(q * float64(len(sorted)))
	if at >= len(sorted) {
		at = len(sorted) - 1
	}
	return float64(sorted[at].Microseconds()) / 1000
}

// cpuSeconds sums user and system time of processes, of their children and of those that have ended.
func cpuSeconds(pids []int) float64 {
	const ticksPerSecond = 100
	total := 0
	for _, pid := range pids {
		for _, pid := range append(children(pid), strconv.Itoa(pid)) {
			text, err := os.ReadFile("/proc/" + pid + "/stat")
			if err != nil {
				continue
			}
			fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
			if len(fields) < 15 {
				continue
			}
			for _, field := range fields[11:15] {
				ticks, _ := strconv.Atoi(field)
				total += ticks
			}
		}
	}
	return float64(total) / ticksPerSecond
}

func children(pid int) []string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	return strings.Fields(string(text))
}

// parallel runs work on n goroutines and waits for all.
func parallel(n int, work func(index int)) {
	var group sync.WaitGroup
	for index := 0; index < n; index++ {
		group.Add(1)
		go func(index int) {
			defer group.Done()
			work(index)
		}(index)
	}
	group.Wait()
}
