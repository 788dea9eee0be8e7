// Command testprovider runs an OpenID provider on this machine, to try signing in at one: the example server of zitadel/oidc, with a form
// in which test-user@127.0.0.1 signs in with the password verysecure. It knows one client, tenantry, whose secret is secret.
package main

import (
	"flag"
	"io"
	"log"
	"log/slog"
	"net/http"
	"time"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/op"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:9998", "address to listen on")
	callback := flag.String("callback", "http://127.0.0.1:8080/api/v1/auth/oauth/local/callback", "redirect URI of the client")
	flag.Parse()
	issuer := "http://" + *listen
	clients := map[string]*storage.Client{"tenantry": storage.WebClient("tenantry", "secret", *callback)}
	store := storage.NewStorageWithClients(storage.NewUserStore(issuer), clients)
	server := &http.Server{
		Addr: *listen, ReadHeaderTimeout: 5 * time.Second,
		Handler: exampleop.SetupServer(issuer, store, slog.New(slog.NewTextHandler(io.Discard, nil)), true, op.WithAllowInsecure()),
	}
	log.Printf("the OpenID provider %s knows the client tenantry at %s", issuer, *callback)
	log.Fatal(server.ListenAndServe())
}
