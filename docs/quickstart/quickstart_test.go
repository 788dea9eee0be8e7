// Package quickstart_test runs the code of the quick start against the product.
package quickstart_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"tenantry/internal/config"
	"tenantry/internal/server"
)

const (
	email    = "owner@acme.test"
	password = "correct horse battery staple"
)

// product runs Tenantry with the configuration of the quick start, and returns its URL.
func product(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	cfg, err := config.LoadServer(pflag.NewFlagSet("serve", pflag.ContinueOnError), []string{
		"TENANTRY_LISTEN=" + address, "TENANTRY_DATA_DIR=" + t.TempDir(), "TENANTRY_BOOTSTRAP_EMAIL=" + email,
		"TENANTRY_BOOTSTRAP_PASSWORD=" + password,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	read, write := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- server.Run(ctx, cfg, io.Discard, slog.New(slog.NewTextHandler(write, nil)))
		write.Close()
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	lines, serving := bufio.NewScanner(read), false
	for !serving && lines.Scan() {
		serving = strings.Contains(lines.Text(), "msg=serving")
	}
	go func() { _, _ = io.Copy(io.Discard, read) }()
	if !serving {
		t.Fatal("it does not serve")
	}
	return cfg.PublicURL
}

// need returns the path of a program. Without the program the test is skipped, unless CI=true.
func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		missing(t, err.Error())
	}
	return path
}

func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip("this part of the quick start is NOT tested: " + what)
}

// installed copies an example into a new folder and installs its packages.
func installed(t *testing.T, example string) string {
	t.Helper()
	npm, dir := need(t, "npm"), t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(example)); err != nil {
		t.Fatal(err)
	}
	// With the package cache a second run works without the registry.
	cmd := exec.CommandContext(t.Context(), npm, "install", "--no-package-lock", "--no-audit", "--no-fund",
		"--prefer-offline")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		missing(t, "npm install: "+string(out))
	}
	return dir
}

// service starts a service that accepts the tokens of an issuer, and returns its URL.
func service(t *testing.T, dir, issuer string, command ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Dir, cmd.Env, cmd.Stderr = dir, append(os.Environ(), "PORT=0", "ISSUER="+issuer), &testLog{t: t}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	url, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("%v does not listen: %v", command, err)
	}
	return strings.TrimSpace(url)
}

// testLog writes the output of a program to the test log, until the test ends.
type testLog struct {
	t  *testing.T
	mu sync.Mutex
}

func (l *testLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.t.Context().Err() == nil {
		l.t.Logf("%s", p)
	}
	return len(p), nil
}

// python returns an interpreter that has PyJWT and cryptography.
func python(t *testing.T) string {
	t.Helper()
	for _, path := range []string{"python3", "/usr/bin/python3"} {
		if exec.CommandContext(t.Context(), path, "-c", "import jwt, cryptography").Run() == nil {
			return path
		}
	}
	missing(t, "no python3 has jwt and cryptography (Debian: python3-jwt)")
	return ""
}

// goService builds the service in Go, and returns its path.
func goService(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "orders")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", path,
		"./go").CombinedOutput(); err != nil {
		t.Fatalf("build: %s", out)
	}
	return path
}

func TestServices_acceptNothingButAccessTokens(t *testing.T) {
	t.Parallel()
	for language, start := range map[string]func(t *testing.T, issuer string) string{
		"go": func(t *testing.T, issuer string) string {
			t.Helper()
			return service(t, ".", issuer, goService(t))
		},
		"node": func(t *testing.T, issuer string) string {
			t.Helper()
			return service(t, installed(t, "node"), issuer, need(t, "node"), "orders.mjs")
		},
		"python": func(t *testing.T, issuer string) string {
			t.Helper()
			return service(t, "python", issuer, python(t), "orders.py")
		},
	} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			issuer := product(t)
			refuse(t, start, issuer, signIn(t, issuer))
		})
	}
}

func TestBrowser_tabsShareASession(t *testing.T) {
	t.Parallel()
	node, dir := need(t, "node"), installed(t, "browser")
	tsc := exec.CommandContext(t.Context(), node, "node_modules/typescript/bin/tsc",
		"--strict", "--target", "es2022", "--module", "es2022", "--lib", "es2022,dom", "--outDir", "out", "session.ts")
	tsc.Dir = dir
	if out, err := tsc.CombinedOutput(); err != nil {
		t.Fatalf("tsc: %s", out)
	}
	session := filepath.Join(dir, "out", "session.mjs")
	if err := os.Rename(filepath.Join(dir, "out", "session.js"), session); err != nil {
		t.Fatal(err)
	}
	issuer := product(t)
	orders := service(t, ".", issuer, goService(t))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, node, "testdata/tabs.mjs", session, issuer, orders, "default", email,
		password).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// get sends a request with a value of Authorization to a service, and returns status and body.
func get(t *testing.T, url, authorization string) (int, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, body
}
