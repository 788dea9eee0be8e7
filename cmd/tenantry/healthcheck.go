package main

import (
	"os"
	"time"

	"github.com/spf13/cobra"

	"tenantry/internal/config"
	"tenantry/internal/server"
)

// healthcheckCommand is for images, which have no shell and no curl.
func healthcheckCommand() *cobra.Command {
	var ready bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use: "healthcheck", Short: "Ask the server on this machine whether it is well; exit status 0 or 1", Args: cobra.NoArgs,
		Long: "Send GET /healthz, or with --ready GET /readyz, to the listen address of the server on this machine.\n\n" +
			"The exit status is 0 if the answer is 200, else 1. /healthz asks whether the process answers; /readyz asks also whether\n" +
			"the database accepts writes. Restart a container for the first only: a restart does not mend a database.",
	}
	config.AddFlags(cmd.Flags(), config.Listener)
	cmd.Flags().BoolVar(&ready, "ready", false, "ask /readyz")
	cmd.Flags().DurationVar(&timeout, "timeout", 3*time.Second, "how long to wait for the answer")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		listen, err := config.LoadListen(cmd.Flags(), os.Environ())
		if err != nil {
			return err
		}
		return server.Healthcheck(cmd.Context(), listen, ready, timeout)
	}
	return cmd
}
