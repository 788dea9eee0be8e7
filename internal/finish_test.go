package internal_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// sessionCreation matches code that creates a session.
var sessionCreation = regexp.MustCompile(`[sS]essions\.Start\(|` +
	`RefreshToken\.(Create|MapCreate|CreateBulk)\(|INSERT INTO refresh_tokens`)

// Every way to sign in ends in auth.Finish, and nothing else creates a session.
func TestSessions_areCreatedByFinishAlone(t *testing.T) {
	t.Parallel()
	allowed := map[string]bool{"auth/finish.go": true, "sessions/start.go": true}
	creators := 0
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") ||
			strings.Contains(path, "dbtest") {
			return err
		}
		source, err := os.ReadFile(path)
		if at := sessionCreation.Find(source); at != nil {
			creators++
			if !allowed[filepath.ToSlash(path)] {
				t.Errorf("%s creates a session: %s", path, at)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if creators < 2 {
		t.Errorf("%d files create sessions: the pattern is out of date", creators)
	}
}
