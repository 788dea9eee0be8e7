package load

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"
)

// Report summarises the responses of a server.
type Report struct {
	Scenario   string `json:"scenario"`
	Total      int    `json:"total"`
	Successful int    `json:"successful"`
	Failed     int    `json:"failed"`
	// Failures are the counts of failed requests, by reason.
	Failures map[string]int `json:"failures,omitempty"`
	// Seconds is the duration of the run, and Throughput the successful requests per second.
	Seconds    float64 `json:"seconds"`
	Throughput float64 `json:"throughput"`
	// P50, P90, P99 and Max are the times of successful requests, in milliseconds.
	P50 float64 `json:"p50_ms"`
	P90 float64 `json:"p90_ms"`
	P99 float64 `json:"p99_ms"`
	Max float64 `json:"max_ms"`
}

// recorder collects the times of successful requests and the reasons of failed ones.
type recorder struct {
	mu       sync.Mutex
	took     []time.Duration
	failures map[string]int
	progress func()
}

func (r *recorder) record(err error, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.failures[err.Error()]++
	} else {
		r.took = append(r.took, took)
	}
	if r.progress != nil {
		r.progress()
	}
}

func (r *recorder) report(opts Options, elapsed time.Duration) *Report {
	slices.Sort(r.took)
	failed := 0
	for n := range maps.Values(r.failures) {
		failed += n
	}
	return &Report{
		Scenario: opts.Scenario, Total: len(r.took) + failed, Successful: len(r.took), Failed: failed,
		Failures: r.failures,
		Seconds:  elapsed.Seconds(), Throughput: float64(len(r.took)) / elapsed.Seconds(),
		P50: r.percentile(0.50), P90: r.percentile(0.90), P99: r.percentile(0.99), Max: r.percentile(1),
	}
}

// percentile returns the time, in milliseconds, within which a share of the sorted requests was
// answered.
func (r *recorder) percentile(share float64) float64 {
	if len(r.took) == 0 {
		return 0
	}
	at := min(int(share*float64(len(r.took))), len(r.took)-1)
	return float64(r.took[at].Microseconds()) / 1000
}

// Print writes the report for people.
func (r *Report) Print(w io.Writer) {
	fmt.Fprintf(w, "scenario    %s\ntotal       %d\nsuccessful  %d\nfailed      %d\n", r.Scenario, r.Total,
		r.Successful, r.Failed)
	for _, reason := range slices.Sorted(maps.Keys(r.Failures)) {
		fmt.Fprintf(w, "            %d × %s\n", r.Failures[reason], reason)
	}
	fmt.Fprintf(w, "duration    %.2f s\nthroughput  %.0f/s\nlatency     p50 %.2f ms, p90 %.2f ms, p99 %.2f ms, max "+
		"%.2f ms\n",
		r.Seconds, r.Throughput, r.P50, r.P90, r.P99, r.Max)
}
