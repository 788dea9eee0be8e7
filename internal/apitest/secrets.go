package apitest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
)

// Secrets collects values that a log must not contain.
type Secrets struct {
	mu     sync.Mutex
	values []string
}

// secretMembers are the members of requests and responses whose values are secret.
var secretMembers = []string{
	"access_token", "client_secret", "code", "code_verifier", "current_password", "device_token", "new_password",
	"password", "refresh_token",
}

// observe collects the secrets of a JSON object, whose members may be objects, and of headers.
func (c *Secrets) observe(content []byte, header http.Header) {
	var members map[string]any
	if json.Unmarshal(content, &members) != nil {
		members = nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.collect(members)
	if token, ok := strings.CutPrefix(header.Get("Authorization"), "Bearer "); ok {
		c.add(token)
	}
	for _, name := range []string{"Cookie", "Set-Cookie"} {
		for _, line := range header.Values(name) {
			_, value, _ := strings.Cut(line, "=")
			value, _, _ = strings.Cut(value, ";")
			c.add(value)
		}
	}
}

func (c *Secrets) collect(members map[string]any) {
	for name, value := range members {
		switch v := value.(type) {
		case string:
			if slices.Contains(secretMembers, name) {
				c.add(v)
			}
		case map[string]any:
			c.collect(v)
		}
	}
}

// add adds a secret. Of a JWT it adds the claims and the signature: the header is public.
func (c *Secrets) add(value string) {
	parts := strings.Split(value, ".")
	if len(parts) == 3 {
		parts = parts[1:]
	}
	for _, part := range parts {
		if len(part) >= 12 && uuid.Validate(part) != nil && !publicValue.MatchString(part) {
			c.values = append(c.values, part)
		}
	}
}

// publicValue matches problem codes, which have the same member name as authorization codes.
var publicValue = regexp.MustCompile(`^[a-z]+(_[a-z]+)+$`)

// AssertAbsent fails the test if a text, such as the log, contains a collected secret (L-01).
func (c *Secrets) AssertAbsent(t testing.TB, text string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	slices.Sort(c.values)
	c.values = slices.Compact(c.values)
	for _, value := range c.values {
		if at := strings.Index(text, value); at >= 0 {
			line := text[strings.LastIndexByte(text[:at], '\n')+1:]
			line, _, _ = strings.Cut(line, "\n")
			t.Errorf("the secret %q is in: %s", value, line)
		}
	}
}

// sent returns the body of a request that was sent.
func sent(r *http.Request) []byte {
	if r.GetBody == nil {
		return nil
	}
	body, err := r.GetBody()
	if err != nil {
		return nil
	}
	defer body.Close()
	content, _ := io.ReadAll(io.LimitReader(body, 1<<20))
	return bytes.TrimSpace(content)
}
