package database

import (
	"net/url"
	"strings"
	"testing"
)

// A pool that reads from a standby would cache rows that are older than the change log.
func TestComplete_severalHostsDefaultToTheWritableOne(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"postgres://a,b/x": "read-write", "postgres://a:1,b:2/x?target_session_attrs=any": "any", "postgres://a/x": "",
		"postgres:///x?host=a,b": "read-write", "postgres://a,b": "read-write",
	} {
		dsn, err := url.Parse(given)
		if err != nil {
			t.Fatal(err)
		}
		text, err := complete(dsn, func(url.Values) {})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(text, "postgres://") {
			t.Errorf("%s: %q is not a URL for the driver", given, text)
		}
		completed, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := completed.Query().Get("target_session_attrs"); got != want {
			t.Errorf("%s: %q, want %q", given, got, want)
		}
	}
}
