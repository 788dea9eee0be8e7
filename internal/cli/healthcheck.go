package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"tenantry/internal/config"
)

// healthcheckCommand is for container images, which have no shell and no curl.
func (env environment) healthcheckCommand() *cobra.Command {
	var ready bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use: "healthcheck", Short: "Check the health of the server on this machine; exit status 0 or 1",
		Args: cobra.NoArgs,
		Long: "Send GET /healthz, or with --ready GET /readyz, to the listen address of the server on this\n" +
			"machine.\n\n" +
			"The exit status is 0 if the response is 200, else 1. /healthz checks that the process responds;\n" +
			"/readyz also checks that the database accepts writes. Restart a container only if /healthz fails:\n" +
			"a restart does not repair a database.",
	}
	config.AddFlags(cmd.Flags(), config.Listener)
	cmd.Flags().BoolVar(&ready, "ready", false, "check /readyz")
	cmd.Flags().DurationVar(&timeout, "timeout", 3*time.Second, "how long to wait for the response")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		listen, err := config.LoadListen(cmd.Flags(), env)
		if err != nil {
			return err
		}
		return healthcheck(cmd.Context(), listen, ready, timeout)
	}
	return cmd
}

// healthcheck sends GET /healthz or GET /readyz to the server that listens on an address of this
// machine. It returns an error unless the response is 200.
func healthcheck(ctx context.Context, listen string, ready bool, timeout time.Duration) error {
	if _, port, err := net.SplitHostPort(listen); err != nil || port == "0" {
		return fmt.Errorf("the listen address %q has no fixed port", listen)
	}
	path := "/healthz"
	if ready {
		path = "/readyz"
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost"+path, nil)
	if err != nil {
		return err
	}
	client := http.Client{
		// No proxy. Dial the listen address, not the host of the URL: an unspecified address
		// connects to this machine.
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network,
			_ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, listen)
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(r)
	if err != nil {
		// Without the URL of the error, which does not have the listen address.
		return fmt.Errorf("get %s%s: %w", listen, path, errors.Unwrap(err))
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10)); err != nil {
		return fmt.Errorf("get %s%s: %w", listen, path, err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s%s responded %s", listen, path, response.Status)
	}
	return nil
}
