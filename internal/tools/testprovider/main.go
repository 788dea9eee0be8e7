// Command testprovider runs a local OpenID provider for manual tests: the example server of
// zitadel/oidc. The user is test-user@127.0.0.1 with the password verysecure. The only client is
// tenantry with the secret `secret`.
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
	callback := flag.String("callback", "http://127.0.0.1:8080/api/v1/auth/oauth/local/callback",
		"redirect URI of the client")
	flag.Parse()
	issuer := "http://" + *listen
	clients := map[string]*storage.Client{"tenantry": storage.WebClient("tenantry", "secret", *callback)}
	store := storage.NewStorageWithClients(storage.NewUserStore(issuer), clients)
	server := &http.Server{
		Addr: *listen, ReadHeaderTimeout: 5 * time.Second,
		Handler: exampleop.SetupServer(issuer, store, slog.New(slog.NewTextHandler(io.Discard, nil)), true,
			op.WithAllowInsecure()),
	}
	log.Printf("OpenID provider at %s; the redirect URI of the client tenantry is %s", issuer, *callback)
	log.Fatal(server.ListenAndServe())
}
