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

// healthcheckCommand is for images, which have no shell and no curl.
func (env environment) healthcheckCommand() *cobra.Command {
	var ready bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use: "healthcheck", Short: "Ask the server on this machine whether it is well; exit status 0 or 1",
		Args: cobra.NoArgs,
		Long: "Send GET /healthz, or with --ready GET /readyz, to the listen address of the server on this machine.\n\n" +
			"The exit status is 0 if the answer is 200, else 1. /healthz asks whether the process answers; /readyz " +
			"asks also whether\n" +
			"the database accepts writes. Restart a container for the first only: a restart does not mend a database.",
	}
	config.AddFlags(cmd.Flags(), config.Listener)
	cmd.Flags().BoolVar(&ready, "ready", false, "ask /readyz")
	cmd.Flags().DurationVar(&timeout, "timeout", 3*time.Second, "how long to wait for the answer")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		listen, err := config.LoadListen(cmd.Flags(), env)
		if err != nil {
			return err
		}
		return healthcheck(cmd.Context(), listen, ready, timeout)
	}
	return cmd
}

// healthcheck asks the server that listens on an address of this machine whether it is alive, or
// whether it is ready. It returns an error unless the answer is 200.
func healthcheck(ctx context.Context, listen string, ready bool, timeout time.Duration) error {
	if _, port, err := net.SplitHostPort(listen); err != nil || port == "0" {
		return fmt.Errorf("the listen address %q has no port to ask", listen)
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
		// No proxy, and the listen address whatever the URL says: an unspecified one leads to this
		// machine.
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network,
			_ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, listen)
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	answer, err := client.Do(r)
	if err != nil {
		return fmt.Errorf("ask %s%s: %w", listen, path,
			errors.Unwrap(err)) // without the URL, which is not what was called
	}
	defer func() { _ = answer.Body.Close() }()
	if _, err := io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10)); err != nil {
		return fmt.Errorf("ask %s%s: %w", listen, path, err)
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s%s answered %s", listen, path, answer.Status)
	}
	return nil
}
