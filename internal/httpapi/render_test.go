package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tenantry/internal/api"
	"tenantry/internal/problem"
)

func TestHandlerErrors_areRendered(t *testing.T) {
	t.Parallel()
	later := problem.Problem{Status: http.StatusTooManyRequests, Code: "too_many_attempts",
		RetryAfter: 1500 * time.Millisecond}
	busy := problem.Unavailable(errors.New("queue full"))
	busy.RetryAfter = 7 * time.Second
	for _, test := range []renderedError{
		{"problem", problem.NotFound(), 404, "not_found", "", ""},
		{"wrapped_problem", fmt.Errorf("read user: %w", problem.Conflict("email_taken", "Taken.")), 409, "email_taken",
			"", ""},
		{"problem_with_a_cause", problem.Forbidden("forbidden", "No.").Because(errors.New("pq: secret")), 403,
			"forbidden", "", ""},
		{"sign_in_that_failed", problem.Unauthorized("invalid_credentials", "No."), 401, "invalid_credentials", "", ""},
		{"too_many_attempts", &later, 429, "too_many_attempts", "2", ""},
		{"outage", fmt.Errorf("read user: %w", errOutage), 503, "unavailable", "1", "WARN"},
		{"outage_on_the_way_to_a_problem", problem.NotFound().Because(errOutage), 503, "unavailable", "1", "WARN"},
		{"outage_that_knows_when", fmt.Errorf("%w: %w", busy, errOutage), 503, "unavailable", "7", "WARN"},
		{"gone_meanwhile", fmt.Errorf("create user: %w", errGone), 409, "gone_meanwhile", "", ""},
		{"full_queue", busy, 503, "unavailable", "7", "WARN"},
		{"deadline", fmt.Errorf("read user: %w", context.DeadlineExceeded), 503, "unavailable", "1", "WARN"},
		{"client_that_left", fmt.Errorf("read user: %w", context.Canceled), 503, "unavailable", "1", "WARN"},
		{"unforeseen", errors.New(`pq: relation "users" does not exist at db.internal`), 500, "internal_error", "",
			"ERROR"},
		{"internal", problem.Internal(errors.New("pq: broken")), 500, "internal_error", "", "ERROR"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.check(t)
		})
	}
}

// renderedError is an error of a handler and the expected response. level is that of its log line,
// "" if none is expected.
type renderedError struct {
	name       string
	err        error
	status     int
	code       string
	retryAfter string
	level      string
}

func (test renderedError) check(t *testing.T) {
	var unforeseen atomic.Bool
	a := start(t, handling(func(context.Context, any) error { return test.err }), func(s *setup) {
		s.OnInternalError = func(err error) { unforeseen.Store(errors.Is(err, test.err)) }
	})
	got := a.expect(test.status, test.code, a.login(loginBody))
	if unforeseen.Load() != (test.status == http.StatusInternalServerError) {
		t.Errorf("unforeseen: %t", unforeseen.Load())
	}
	if after := got.header.Get("Retry-After"); after != test.retryAfter {
		t.Errorf("Retry-After %q, want %q", after, test.retryAfter)
	}
	if challenge := got.header.Get("WWW-Authenticate"); test.status == 401 && challenge != "Bearer" {
		t.Errorf("challenged with %q", challenge)
	}
	lines := a.lines("request failed")
	if test.level == "" {
		if len(lines) != 0 {
			t.Errorf("a mistake of the client was logged: %v", lines)
		}
		return
	}
	if len(lines) != 1 {
		t.Fatalf("logged %d times: %v", len(lines), a.log)
	}
	if lines[0]["level"] != test.level || lines[0]["error"] != test.err.Error() ||
		lines[0]["request_id"] != got.header.Get(requestIDHeader) {
		t.Errorf("logged %v", lines[0])
	}
}

func TestUnexpectedErrors_are500WithoutDetail(t *testing.T) {
	t.Parallel()
	a := start(t, handling(func(context.Context, any) error {
		return errors.New("open /etc/tenantry/secret: permission denied")
	}))
	got := a.expect(http.StatusInternalServerError, "internal_error", a.me())
	var members map[string]any
	if err := json.Unmarshal(got.body, &members); err != nil {
		t.Fatal(err)
	}
	if names := slices.Sorted(maps.Keys(members)); !slices.Equal(names,
		[]string{"code", "request_id", "status", "title", "type"}) {
		t.Errorf("a 500 with %v", names)
	}
}

func TestErrors_nameFieldsAndParameters(t *testing.T) {
	t.Parallel()
	a := start(t, handling(func(context.Context, any) error {
		return problem.Invalid(problem.Field{Pointer: "/password", Detail: "is too short"},
			problem.Field{Parameter: "size", Detail: "is odd"},
			problem.Field{Detail: "is not what it should be"})
	}))
	got := a.expect(http.StatusUnprocessableEntity, "invalid_request", a.login(loginBody))
	want := `"errors":[{"detail":"is too short","pointer":"/password"},{"detail":"is odd","parameter":"size"},` +
		`{"detail":"is not what it should be","pointer":""}]`
	if !strings.Contains(string(got.body), want) {
		t.Errorf("%s", got.body)
	}
}

// torn begins an answer that it cannot finish.
type torn struct{ api.GetHealthResponseObject }

func (torn) VisitGetHealthResponse(w http.ResponseWriter) error {
	w.WriteHeader(http.StatusOK)
	_, _ = io.WriteString(w, `{"status":`)
	return errors.New("the rest is not there")
}

type tornHandlers struct{ handlers }

func (tornHandlers) GetHealth(context.Context, api.GetHealthRequestObject) (api.GetHealthResponseObject, error) {
	return torn{}, nil
}

func TestErrors_afterFirstByteAbortResponse(t *testing.T) {
	t.Parallel()
	a := start(t, func(s *setup) { s.handlers = tornHandlers{} })
	response, err := http.DefaultClient.Do(a.request(http.MethodGet, "/healthz", http.NoBody))
	if err == nil {
		var body []byte
		if body, err = io.ReadAll(response.Body); err == nil {
			t.Errorf("the client takes %q for a whole answer", body)
		}
		_ = response.Body.Close()
	}
	if failed := a.lines("request failed"); len(failed) != 1 || failed[0]["error"] != "the rest is not there" {
		t.Errorf("logged %v", failed)
	}
}
