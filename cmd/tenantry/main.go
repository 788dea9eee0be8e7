// Command tenantry is the whole of Tenantry: the server and what an operator needs beside it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/server"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// After the first signal the next one ends the process at once.
	context.AfterFunc(ctx, stop)
	if err := execute(ctx, root()); err != nil {
		fmt.Fprintln(os.Stderr, "tenantry:", err)
		os.Exit(status(err))
	}
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use: "tenantry", Short: "Self-hosted, multi-tenant identity API", Version: server.Version(), SilenceUsage: true, SilenceErrors: true,
		SuggestionsMinimumDistance: 2,
	}
	cmd.SetVersionTemplate("{{.Version}}\n") // as the command does
	cmd.AddCommand(migrateCommand(), tenantCommand(), userCommand(), roleCommand(), keysCommand(), demoCommand(), loadCommand(), healthcheckCommand(),
		configured(config.LoadServer, "serve", "Serve the API", func(cmd *cobra.Command, c server.Commands) error {
			return server.Run(cmd.Context(), c.Config, c.Out, c.Log)
		}),
		&cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs, Run: func(cmd *cobra.Command, _ []string) {
			fmt.Fprintln(cmd.OutOrStdout(), server.Version())
		}})
	return cmd
}

// configured is a command that reads the configuration. Its flags are the settings of the groups, or every setting.
func configured(load config.Loader, use, short string, run func(*cobra.Command, server.Commands) error, groups ...config.Group) *cobra.Command {
	long := short + "."
	if secrets := config.Secrets(groups...); secrets != "" {
		long += "\n\n" + secrets
	}
	cmd := &cobra.Command{Use: use, Short: short, Long: long, Args: cobra.NoArgs}
	config.AddFlags(cmd.Flags(), groups...)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := database.DropVariables(); err != nil {
			return err
		}
		cfg, err := load(cmd.Flags(), os.Environ())
		if err != nil {
			return err
		}
		log, flush := server.NewLogger(cfg, cmd.ErrOrStderr())
		defer flush()
		for _, unknown := range config.Unknown(os.Environ()) {
			log.WarnContext(cmd.Context(), unknown)
		}
		return run(cmd, server.Commands{Config: cfg, Out: cmd.OutOrStdout(), Log: log})
	}
	return cmd
}
