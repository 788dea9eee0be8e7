package signing_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"strings"
	"sync"
	"testing"

	"tenantry/internal/apitest"
	"tenantry/internal/database"
	"tenantry/internal/database/dbtest"
)

// A client that sends unknown key IDs does not keep an instance from loading a new key of another.
func TestKey_newIsAcceptedDespiteUnknownKeyIDs(t *testing.T) {
	t.Parallel()
	dbtest.EachOptions(t, func(t *testing.T, opts database.Options) {
		first, second := apitest.Start(t, opts), apitest.Start(t, opts)
		command := apitest.Command(t, opts)
		access, _ := first.Login()
		encoded, rest, _ := strings.Cut(access, ".")
		header, err := base64.RawURLEncoding.DecodeString(encoded)
		if err != nil {
			t.Fatal(err)
		}
		old := []byte(kid(t, access))
		invent := func() string {
			return base64.RawURLEncoding.EncodeToString(bytes.Replace(header, old, []byte(rand.Text()), 1)) + "." + rest
		}
		stop := make(chan struct{})
		var attackers sync.WaitGroup
		for range 2 {
			attackers.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						second.Expect(http.StatusUnauthorized, second.Call("GET", "/api/v1/users/me", invent(), nil))
					}
				}
			})
		}
		for range 5 {
			if _, err := command("", "keys", "rotate", "--now"); err != nil {
				t.Fatal(err)
			}
			fresh := ""
			for before := kid(t, access); fresh == "" || kid(t, fresh) == before; { // until the first signs with it
				fresh, _ = first.Login()
			}
			access = fresh
			var clients sync.WaitGroup
			for range 10 {
				clients.Go(func() {
					if a := second.Call("GET", "/api/v1/users/me", fresh, nil); a.Status != http.StatusOK {
						t.Errorf("%d %s", a.Status, a.Body)
					}
				})
			}
			clients.Wait()
		}
		close(stop)
		attackers.Wait()
	})
}
