package faults_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

const (
	stormSize   = 500
	stormRounds = 3
	stormUsers  = 5
	// The limits of P-07.
	stormGrowth = 128 // MiB
	stormSlack  = 20 * time.Millisecond
)

// Many concurrent sign-ins neither increase the memory of the server nor delay signed-in users
// (ASVS 15.1.3, 15.2.2).
func BenchmarkSignInStorm(b *testing.B) {
	each := func(name string, opts database.Options) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				s := serveStorm(b, opts)
				measureStorm(b, s)
				s.signal(b, syscall.SIGTERM)
				if code := s.wait(b, time.Minute); code != 0 {
					b.Errorf("exit code %d\n%s", code, s.logged())
				}
			}
		})
	}
	each("sqlite", dbtest.SQLite(b))
	each("postgres", dbtest.Postgres(b))
}

// served is a program with accounts to sign in to.
type served struct {
	*process
	client *http.Client
}

func serveStorm(b *testing.B, opts database.Options) served {
	b.Helper()
	s := served{serve(b, opts), &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: stormSize}}}
	// Made by another process, so that the server has hashed nothing before it is measured.
	path, err := binary()
	if err != nil {
		b.Fatal(err)
	}
	for i := 1; i < stormUsers; i++ {
		create := exec.Command(path, "user", "create", "--email", stormUser(i), "--password-stdin")
		create.Env, create.Stdin = settings(opts), strings.NewReader(password+"\n")
		if out, err := create.CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
	}
	return s
}

// stormUser is the address of an account: the owner's, and those beside it.
func stormUser(i int) string {
	if i%stormUsers == 0 {
		return ownerEmail
	}
	return fmt.Sprintf("user%d@acme.test", i%stormUsers)
}

func measureStorm(b *testing.B, s served) {
	status, access := s.signIn(b, stormUser(0), password)
	if status != http.StatusOK {
		b.Fatalf("sign in: status %d", status)
	}
	// Memory is compared with that of a server that has hashed once.
	base, peak := s.rss(b), 0.0
	var quiet []time.Duration
	for range stormSize {
		quiet = append(quiet, s.me(b, access))
	}
	bound := 2*p99(quiet) + stormSlack
	fmt.Fprintf(os.Stdout, "%s: %d sign-ins at once; RSS %.0f MiB after one sign-in; p99 of users/me %s in quiet, "+
		"bound %s\n",
		b.Name(), stormSize, base, p99(quiet).Round(10*time.Microsecond), bound.Round(10*time.Microsecond))
	for round := range stormRounds {
		begin := time.Now()
		storming, over := context.WithCancel(b.Context())
		var statuses map[int]int
		go func() { defer over(); statuses = s.storm(b) }()
		watched := make(chan float64)
		go func() { watched <- s.watch(b, storming) }()
		var busy []time.Duration
		for storming.Err() == nil {
			busy = append(busy, s.me(b, access))
		}
		peak = max(peak, <-watched)
		fmt.Fprintf(os.Stdout,
			"  round %d: %5.1f s, statuses %v, RSS at most %+.0f MiB, users/me p50 %s p99 %s of %d\n",
			round+1,
			time.Since(begin).Seconds(), statuses, peak-base, quantile(busy, 0.5).Round(10*time.Microsecond),
			p99(busy).Round(10*time.Microsecond), len(busy))
		for status := range maps.Keys(statuses) {
			if !slices.Contains([]int{200, 401, 429, 503}, status) {
				b.Errorf("round %d: status %d", round+1, status)
			}
		}
		if p99(busy) > bound {
			b.Errorf("round %d: the p99 of users/me is %s, over the bound of %s", round+1, p99(busy), bound)
		}
	}
	if peak-base > stormGrowth {
		b.Errorf("memory grew by %.0f MiB, more than %d", peak-base, stormGrowth)
	}
}

// storm signs in to several accounts at once, every second time with a wrong password, and counts
// the statuses.
func (s served) storm(b *testing.B) map[int]int {
	statuses := map[int]int{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range stormSize {
		guess := password
		if i%2 == 1 {
			guess = "wrong password"
		}
		all.Go(func() {
			status, _ := s.signIn(b, stormUser(i), guess)
			mu.Lock()
			defer mu.Unlock()
			statuses[status]++
		})
	}
	all.Wait()
	return statuses
}

// signIn returns the status, 0 if there was no answer, and the access token.
func (s served) signIn(b *testing.B, email, guess string) (int, string) {
	body, err := json.Marshal(map[string]string{"email": email, "password": guess})
	if err != nil {
		b.Error(err)
		return 0, ""
	}
	response, err := s.client.Post(s.url+loginPath, "application/json", strings.NewReader(string(body)))
	if err != nil {
		b.Error(err)
		return 0, ""
	}
	defer response.Body.Close()
	var tokens struct {
		Access string `json:"access_token"`
	}
	if err := json.NewDecoder(response.Body).Decode(&tokens); err != nil {
		b.Error(err)
	}
	return response.StatusCode, tokens.Access
}

// me sends GET /users/me and returns its time.
func (s served) me(b *testing.B, access string) time.Duration {
	r, err := http.NewRequestWithContext(b.Context(), "GET", s.url+mePath, nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+access)
	begin := time.Now()
	response, err := s.client.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusOK {
		b.Fatalf("users/me: status %d, %v", response.StatusCode, err)
	}
	return time.Since(begin)
}

// watch returns the most memory that the server has had until ctx was done.
func (s served) watch(b *testing.B, ctx context.Context) float64 {
	peak := 0.0
	for every := time.NewTicker(5 * time.Millisecond); ; {
		peak = max(peak, s.rss(b))
		select {
		case <-ctx.Done():
			return peak
		case <-every.C:
		}
	}
}

// rss is the resident memory of the server in MiB.
func (s served) rss(b *testing.B) float64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		b.Error(err)
		return 0
	}
	_, after, _ := strings.Cut(string(status), "VmRSS:")
	kib, err := strconv.Atoi(strings.Fields(after + " ?")[0])
	if err != nil {
		b.Error(err)
	}
	return float64(kib) / 1024
}

func p99(sample []time.Duration) time.Duration { return quantile(sample, 0.99) }

func quantile(sample []time.Duration, q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(sample))
	return sorted[int(q*float64(len(sorted)-1))]
}
