package load_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"tenantry/internal/apitest"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/load"
)

func TestRun_countsResponsesOfEachScenario(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		s := apitest.Start(t, opts)
		answered := 0
		for _, scenario := range load.Scenarios() {
			o := load.Options{
				URL: s.URL, Tenant: "acme", Email: apitest.OwnerEmail, Password: apitest.OwnerPassword,
				Scenario: scenario, Requests: 40, Concurrency: 3,
				Progress: func() { answered++ },
			}
			r, err := load.Run(t.Context(), o)
			if err != nil || r.Total != 40 || r.Successful != 40 || r.Failed != 0 || r.P50 <= 0 || r.P99 < r.P50 ||
				r.Max < r.P99 || r.Throughput <= 0 {
				t.Errorf("%s: %+v, %v", scenario, r, err)
			}
		}
		if answered != 40*len(load.Scenarios()) {
			t.Errorf("progress was reported %d times", answered)
		}
		// An open loop sends all its requests, regardless of their time.
		r, err := load.Run(t.Context(), load.Options{URL: s.URL, Email: apitest.OwnerEmail,
			Password: apitest.OwnerPassword, Scenario: "mixed", Concurrency: 3, Rate: 100, Duration: time.Second})
		if err != nil || r.Total != 100 || r.Failed != 0 {
			t.Errorf("open: %+v, %v", r, err)
		}
		// Failures are counted by reason.
		r, err = load.Run(t.Context(), load.Options{URL: s.URL + "/nowhere", Email: apitest.OwnerEmail,
			Password: apitest.OwnerPassword, Scenario: "me", Requests: 1, Concurrency: 1})
		if err == nil || !strings.Contains(err.Error(), "status 404") {
			t.Errorf("%+v, %v", r, err)
		}
		out := &bytes.Buffer{}
		(&load.Report{Scenario: "me", Total: 3, Successful: 1, Failed: 2,
			Failures: map[string]int{"status 503": 2}}).Print(out)
		if !strings.Contains(out.String(), "2 × status 503") {
			t.Errorf("printed %s", out)
		}
		for _, invalid := range []load.Options{{Scenario: "none", Concurrency: 1, Requests: 1},
			{Scenario: "me", Requests: 1}, {Scenario: "me", Concurrency: 1},
			{Scenario: "me", Concurrency: 1, Rate: -1, Requests: 1}} {
			if _, err := load.Run(t.Context(), invalid); err == nil {
				t.Errorf("%+v is accepted", invalid)
			}
		}
	})
}
