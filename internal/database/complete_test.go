package database

import (
	"net/url"
	"testing"
)

// A pool that reads a standby would cache what is older than the change log.
func TestComplete_severalHostsDefaultToTheWritableOne(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"postgres://a,b/x": "read-write", "postgres://a:1,b:2/x?target_session_attrs=any": "any", "postgres://a/x": "",
	} {
		dsn, err := url.Parse(given)
		if err != nil {
			t.Fatal(err)
		}
		completed, err := url.Parse(complete(dsn, func(url.Values) {}))
		if err != nil {
			t.Fatal(err)
		}
		if got := completed.Query().Get("target_session_attrs"); got != want {
			t.Errorf("%s: %q, want %q", given, got, want)
		}
	}
}
