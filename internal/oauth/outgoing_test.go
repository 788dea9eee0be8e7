package oauth_test

import (
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"tenantry/ent/oauthprovider"
	"tenantry/internal/apitest"
	"tenantry/internal/config"
	"tenantry/internal/database/dbtest"
	"tenantry/internal/principal"
)

// A provider that hangs delays its own users only; after some failures it
// is left alone for a while.
func TestSlowProvider_doesNotDelayOthers(t *testing.T) {
	t.Parallel()
	slow, good := apitest.NewIssuer(t), apitest.NewIssuer(t)
	slow.Handlers["/token"] = stalling
	s := apitest.Start(t, dbtest.Postgres(t), slow.Configure("slow"), good.Configure("corporate"))
	s.ChangeSettings("acme", apitest.OpenToProviders)
	var waiting sync.WaitGroup
	for range 40 {
		b := s.Browser()
		waiting.Go(func() {
			if a := b.Visit("/api/v1/auth/oauth/slow/authorize"); a.Status != http.StatusGatewayTimeout &&
				a.Status != http.StatusBadGateway {
				t.Errorf("%d %s", a.Status, a.Body)
			}
		})
	}
	for range 20 {
		begun := time.Now()
		s.Expect(http.StatusOK, s.Browser().Visit(apitest.AuthorizePath))
		if took := time.Since(begun); took > 3*time.Second {
			t.Errorf("a sign-in elsewhere took %s", took)
		}
	}
	access, _ := s.Login()
	s.Expect(http.StatusOK, s.Call("GET", "/api/v1/users/me", access, nil))
	waiting.Wait()
	calls := slow.Called("/token")
	if a := s.Browser().Visit("/api/v1/auth/oauth/slow/authorize"); a.Status != http.StatusBadGateway ||
		slow.Called("/token") != calls {
		t.Errorf("%d, and %d more calls", a.Status, slow.Called("/token")-calls)
	}
	if n := good.Called("/.well-known/openid-configuration") + good.Called("/keys"); n != 2 {
		t.Errorf("the good one was asked %d times for what it had said", n)
	}
}

// O-15: no name and no address leads a call to a private network.
func TestPrivateAddresses_areNotCalled(t *testing.T) {
	t.Parallel()
	reached := apitest.NewIssuer(t)
	s := apitest.Start(t, dbtest.SQLite(t))
	port := reached.URL[strings.LastIndexByte(reached.URL, ':'):]
	ctx := principal.System(t.Context(), "test")
	home := s.Owner().TenantID
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]",
		"10.0.0.1", "192.168.0.1", "169.254.169.254", "[fd00::1]", "[fe80::1]", "100.64.0.1"} {
		s.DB.Client.OAuthProvider.Delete().ExecX(ctx)
		s.DB.Client.OAuthProvider.Create().SetTenantID(home).SetName("corporate").SetKind(oauthprovider.KindOidc).
			SetLabel("x").SetClientID("x").
			SetIssuer("http://" + host + port).SaveX(ctx)
		if a := s.Browser().Visit(apitest.AuthorizePath); a.Status != http.StatusBadGateway &&
			a.Status != http.StatusGatewayTimeout {
			t.Errorf("%s: %d %s", host, a.Status, a.Body)
		}
	}
	if n := reached.Called("/.well-known/openid-configuration"); n > 0 {
		t.Errorf("called %d times", n)
	}
}

// Who waits for a provider that says nothing waits no longer because others do.
func TestQueue_atASilentProviderIsBounded(t *testing.T) {
	t.Parallel()
	i := apitest.NewIssuer(t)
	i.Handlers["/.well-known/openid-configuration"] = stalling
	s := apitest.Start(t, dbtest.SQLite(t), i.Configure("corporate"))
	s.ChangeSettings("acme", apitest.OpenToProviders)
	var waiting sync.WaitGroup
	for n := range 20 {
		b := s.Browser()
		waiting.Go(func() {
			time.Sleep(time.Duration(n) * 200 * time.Millisecond)
			begun := time.Now()
			if a := b.Visit(apitest.AuthorizePath); a.Status != http.StatusGatewayTimeout ||
				time.Since(begun) > 6*time.Second {
				t.Errorf("%d after %s", a.Status, time.Since(begun))
			}
		})
	}
	waiting.Wait()
}

// A provider that takes connections and never speaks keeps none of them.
func TestConnections_toASilentProviderAreClosed(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	taken := make(chan net.Conn, 8)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			taken <- conn
		}
	}()
	t.Cleanup(func() { _ = listener.Close() })
	s := apitest.Start(t, dbtest.SQLite(t), apitest.AllowLoopback, func(c *config.Config) {
		c.OAuthProviders = []config.OAuthProvider{{Name: "corporate", Kind: "oidc", ClientID: "x", Issuer: "https://" +
			listener.Addr().String()}}
	})
	s.Expect(http.StatusGatewayTimeout, s.Browser().Visit(apitest.AuthorizePath))
	conn := <-taken
	if err := conn.SetReadDeadline(time.Now().Add(6 * time.Second)); err != nil {
		t.Fatal(err)
	}
	for buffer := make([]byte, 4096); err == nil; {
		_, err = conn.Read(buffer)
	}
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() { //nolint:errorlint // the error of a connection
		t.Error("it is still open")
	}
}
