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

// passwordVariable holds the password of the user who makes the load. There is no flag: every user
// of the machine could read it.
const passwordVariable = "TENANTRY_LOAD_PASSWORD" //nolint:gosec // the name of it

func (env environment) loadCommand() *cobra.Command {
	var opts load.Options
	var asJSON bool
	cmd := &cobra.Command{
		Use: "load", Short: "Put a running server under load and measure how it answers", Args: cobra.NoArgs,
		Long: "Put a running server under load and measure how it answers.\n\nThe password is in " + passwordVariable +
			". Without --rate each client waits for its answer (closed loop);\n" +
			"with it requests arrive at that rate for --duration, answered or not (open loop), and their time is " +
			"counted from when they were due.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			opts.URL, opts.Password = strings.TrimSuffix(opts.URL, "/"), config.Trim(env.value(passwordVariable))
			if cmd.Flags().Changed("duration") && opts.Rate == 0 {
				return errors.New("--duration is for --rate: without it as many requests are made as --requests says")
			}
			if opts.Password == "" {
				return errors.New("put the password of the user into " + passwordVariable)
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
		"e-mail address of the user who makes the load")
	cmd.Flags().StringVar(&opts.Scenario, "scenario", "me", strings.Join(load.Scenarios(), ", "))
	cmd.Flags().IntVar(&opts.Requests, "requests", 1000, "how many requests")
	cmd.Flags().IntVar(&opts.Concurrency, "concurrency", 10, "how many clients, each with a session of its own")
	cmd.Flags().IntVar(&opts.Rate, "rate", 0, "requests a second, whether or not those before are answered")
	cmd.Flags().DurationVar(&opts.Duration, "duration", 10*time.Second, "for how long requests arrive at the rate")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	cmd.MarkFlagsMutuallyExclusive("requests", "rate")
	return cmd
}
