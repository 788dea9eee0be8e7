package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"tenantry/internal/config"
	"tenantry/internal/load"
)

// passwordVariable is the variable with the password of the user whose sessions send the requests.
// There is no flag: every user of the machine can read command lines.
const passwordVariable = "TENANTRY_LOAD_PASSWORD" //nolint:gosec // the name of the variable

func (env environment) loadCommand() *cobra.Command {
	var opts load.Options
	var asJSON bool
	cmd := &cobra.Command{
		Use: "load", Short: "Send requests to a running server and measure its responses", Args: cobra.NoArgs,
		Long: "Send requests to a running server and measure its responses.\n\nThe password is read from " +
			passwordVariable + ". Without --rate each client waits for the response before\n" +
			"it sends the next request (closed loop). With --rate requests are sent at that rate for --duration\n" +
			"(open loop), and their time is measured from when they were due.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			opts.URL, opts.Password = strings.TrimSuffix(opts.URL, "/"), config.Trim(env.value(passwordVariable))
			if cmd.Flags().Changed("duration") && opts.Rate == 0 {
				return errors.New("--duration requires --rate: without it, --requests is the number of requests")
			}
			if opts.Password == "" {
				return errors.New("set " + passwordVariable + " to the password of the user")
			}
			if err := opts.Check(); err != nil {
				return err
			}
			bar := progressbar.NewOptions(opts.Requests, progressbar.OptionSetWriter(os.Stderr),
				progressbar.OptionShowCount(), progressbar.OptionShowIts(),
				progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(),
				progressbar.OptionSetVisibility(term.IsTerminal(int(os.Stderr.Fd()))))
			opts.Progress = func() { _ = bar.Add(1) }
			report, err := load.Run(cmd.Context(), opts)
			if err := errors.Join(err, bar.Exit()); err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(report)
			}
			report.Print(cmd.OutOrStdout())
			if report.Failed > 0 {
				return fmt.Errorf("%d of %d requests failed", report.Failed, report.Total)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&opts.URL, "url", "http://127.0.0.1:8080", "URL of the server")
	cmd.Flags().StringVar(&opts.Tenant, "tenant", "", "slug of the tenant (default: the server's)")
	cmd.Flags().StringVar(&opts.Email, "email", "admin@tenantry.internal",
		"e-mail address of the user whose sessions send the requests")
	cmd.Flags().StringVar(&opts.Scenario, "scenario", "me", strings.Join(load.Scenarios(), ", "))
	cmd.Flags().IntVar(&opts.Requests, "requests", 1000, "number of requests")
	cmd.Flags().IntVar(&opts.Concurrency, "concurrency", 10, "number of clients, each with its own session")
	cmd.Flags().IntVar(&opts.Rate, "rate", 0, "requests per second, sent without waiting for responses")
	cmd.Flags().DurationVar(&opts.Duration, "duration", 10*time.Second, "how long requests are sent at the rate")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	cmd.MarkFlagsMutuallyExclusive("requests", "rate")
	return cmd
}
