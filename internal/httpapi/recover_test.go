package httpapi

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"tenantry/internal/problem"
)

func TestRecover_panicIs500AndServerContinues(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]any{
		"text":          "password " + canary,
		"error":         problem.NotFound(), // a panic is never an answer, not even with one in its hands
		"runtime_error": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			again := false
			a := start(t, handling(func(context.Context, any) error {
				if again {
					return nil
				}
				again = true
				if value == nil {
					_ = strings.Fields("")[0]
				}
				panic(value)
			}))
			got := a.expect(http.StatusInternalServerError, "internal_error", a.me())
			if p := got.document(t); p.Detail != nil || p.Errors != nil {
				t.Errorf("a 500 that is not bare: %s", got.body)
			}
			lines := a.lines("request failed")
			if len(lines) != 1 {
				t.Fatalf("logged %d times: %v", len(lines), a.log)
			}
			cause, _ := lines[0]["error"].(string)
			if !strings.Contains(cause, "panic: ") || !strings.Contains(cause, "recover_test.go:") ||
				lines[0]["level"] != "ERROR" {
				t.Errorf("logged %v", lines[0])
			}
			if lines[0]["request_id"] != got.header.Get(requestIDHeader) {
				t.Errorf("logged with request id %v, answered with %q", lines[0]["request_id"],
					got.header.Get(requestIDHeader))
			}
			a.expect(http.StatusOK, "", a.me())
		})
	}
}

func TestRecover_panicIsLoggedWithStatus500(t *testing.T) {
	t.Parallel()
	a := start(t, handling(func(context.Context, any) error { panic("out of the blue") }))
	a.expect(http.StatusInternalServerError, "internal_error", a.me())
	lines := a.lines("request")
	if len(lines) != 1 || lines[0]["status"] != float64(http.StatusInternalServerError) {
		t.Errorf("logged %v", lines)
	}
}

func TestRecover_abortHandlerDropsConnection(t *testing.T) {
	t.Parallel()
	a := start(t, handling(func(context.Context, any) error { panic(http.ErrAbortHandler) }))
	response, err := http.DefaultClient.Do(a.request(http.MethodGet, "/healthz", http.NoBody))
	if err == nil {
		_ = response.Body.Close()
		t.Errorf("answered %d", response.StatusCode)
	}
	if failed := a.lines("request failed"); len(failed) != 0 {
		t.Errorf("logged %v", failed)
	}
}
