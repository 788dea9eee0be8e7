package auth_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/aclements/go-moremath/stats"

	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database"
)

const (
	timedPerClass = 300
	reference     = "wrong password"
	// Either distinguishes a class: a difference that can be seen across a network, or one that
	// is not chance.
	alikeWithin = 5 * time.Millisecond
	alikeAbove  = 0.01
)

// ASVS 6.3.8: whatever was wrong, the client cannot tell, not by the time either.
func BenchmarkFailedSignIns(b *testing.B) {
	apitest.EachDatabase(b, func(b *testing.B, opts database.Options) {
		s := apitest.Start(b, opts, apitest.ProductionHashes, func(c *config.Config) {
			c.SignInAccountAttempts, c.SignInAddressAttempts = 1_000_000, 1_000_000
		})
		classes := failingSignIns(s)
		for b.Loop() {
			for _, cache := range []string{"cold", "warm"} {
				if !judge(b.Name()+", "+cache, timeSignIns(b, s.URL, classes)) {
					b.Errorf("%s: failed sign-ins can be distinguished by their time", cache)
				}
			}
		}
	})
}

// timeSignIns returns what the requests of each class took, in milliseconds. They are sent one
// after another in random order, so that what else the machine does hits every class alike.
func timeSignIns(b *testing.B, url string, classes map[string]map[string]string) map[string][]float64 {
	b.Helper()
	var order []string
	bodies := map[string][]byte{}
	for class, body := range classes {
		order = append(order, slices.Repeat([]string{class}, timedPerClass)...)
		encoded, err := json.Marshal(body)
		if err != nil {
			b.Fatal(err)
		}
		bodies[class] = encoded
	}
	slices.Sort(order) // the order of a map is another one each time
	random := rand.New(rand.NewPCG(4711, 4711))
	random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	took := map[string][]float64{}
	for _, class := range order {
		begin := time.Now()
		response, err := http.Post(url+"/api/v1/auth/login", "application/json", bytes.NewReader(bodies[class]))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			b.Fatal(err)
		}
		took[class] = append(took[class], float64(time.Since(begin))/float64(time.Millisecond))
		response.Body.Close()
		if response.StatusCode != http.StatusUnauthorized {
			b.Fatalf("%s: status %d", class, response.StatusCode)
		}
	}
	return took
}

// judge prints how each class compares with the reference and reports whether all are alike.
func judge(title string, took map[string][]float64) bool {
	want := apitest.Median(took[reference])
	fmt.Fprintf(os.Stdout, "%s: %d requests a class\n%-18s %10s %10s %10s\n", title, timedPerClass, "class",
		"median ms", "difference", "p (Holm)")
	fmt.Fprintf(os.Stdout, "%-18s %10.3f %10s %10s  the reference\n", reference, want, "", "")
	p := map[string]float64{}
	for class, sample := range took {
		if class == reference {
			continue
		}
		p[class] = 1
		// The error is samples that are equal: no evidence of a difference.
		if result, err := stats.MannWhitneyUTest(took[reference], sample, stats.LocationDiffers); err == nil {
			p[class] = result.P
		}
	}
	holm(p)
	all := true
	for _, class := range slices.Sorted(maps.Keys(p)) {
		difference := apitest.Median(took[class]) - want
		alike := max(difference, -difference) <= alikeWithin.Seconds()*1000 && p[class] > alikeAbove
		all = all && alike
		fmt.Fprintf(os.Stdout, "%-18s %10.3f %+10.3f %10.4f  %s\n", class, want+difference, difference, p[class],
			verdict(alike))
	}
	fmt.Fprintf(os.Stdout, "overall: %s\n\n", verdict(all))
	return all
}

func verdict(alike bool) string {
	if alike {
		return "indistinguishable"
	}
	return "can be distinguished"
}

// holm corrects p values for their number (Holm 1979).
func holm(p map[string]float64) {
	ascending := slices.SortedFunc(maps.Keys(p), func(a, b string) int {
		if p[a] < p[b] {
			return -1
		}
		return 1
	})
	floor := 0.0
	for i, class := range ascending {
		floor = max(floor, min(1, p[class]*float64(len(p)-i)))
		p[class] = floor
	}
}
