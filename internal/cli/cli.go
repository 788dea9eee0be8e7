package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"tenantry/internal/config"
	"tenantry/internal/database"
	"tenantry/internal/server"
)

// Process is the arguments, environment and streams of the process.
type Process struct {
	// Args are the arguments without the name of the program.
	Args []string
	// Environ is the environment, KEY=value.
	Environ  []string
	In       io.Reader
	Out, Err io.Writer
}

// Run runs the command that the arguments name. ExitStatus returns the exit status for its error.
func Run(ctx context.Context, p Process) error {
	cmd := environment(p.Environ).root()
	cmd.SetArgs(p.Args)
	cmd.SetIn(p.In)
	cmd.SetOut(p.Out)
	cmd.SetErr(p.Err)
	return execute(ctx, cmd)
}

// environment is the environment of the process, from which commands read settings.
type environment []string

// value returns the value of a variable, or "".
func (env environment) value(name string) string {
	for _, variable := range env {
		if key, value, _ := strings.Cut(variable, "="); key == name {
			return value
		}
	}
	return ""
}

func (env environment) root() *cobra.Command {
	cmd := &cobra.Command{
		Use: "tenantry", Short: "Self-hosted, multi-tenant identity API", Version: server.Version(), SilenceUsage: true,
		SilenceErrors:              true,
		SuggestionsMinimumDistance: 2,
	}
	cmd.SetVersionTemplate("{{.Version}}\n") // as the command version prints it
	cmd.AddCommand(env.migrateCommand(), env.tenantCommand(), env.userCommand(), env.roleCommand(), env.keysCommand(),
		env.demoCommand(),
		env.loadCommand(), env.healthcheckCommand(), env.serveCommand(), versionCommand())
	return cmd
}

func (env environment) serveCommand() *cobra.Command {
	return env.configured(config.LoadServer, "serve", "Serve the API", func(ctx context.Context, i *invocation) error {
		return server.Run(ctx, i.config, i.out, i.log)
	})
}

func versionCommand() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			fmt.Fprintln(cmd.OutOrStdout(), server.Version())
		}}
}

// invocation is one run of a configured command.
type invocation struct {
	config config.Config
	args   []string
	in     io.Reader
	out    io.Writer
	log    *slog.Logger
}

// configured returns a command that loads the configuration. Its flags are the settings of the
// groups, or every setting.
func (env environment) configured(load config.Loader, use, short string, run func(context.Context, *invocation) error,
	groups ...config.Group) *cobra.Command {
	long := short + "."
	if secrets := config.Secrets(groups...); secrets != "" {
		long += "\n\n" + secrets
	}
	cmd := &cobra.Command{Use: use, Short: short, Long: long, Args: cobra.NoArgs}
	config.AddFlags(cmd.Flags(), groups...)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := database.DropVariables(); err != nil {
			return err
		}
		cfg, err := load(cmd.Flags(), env)
		if err != nil {
			return err
		}
		log, flush := server.NewLogger(cfg, cmd.ErrOrStderr())
		defer flush()
		for _, warning := range config.Unknown(env) {
			log.WarnContext(cmd.Context(), warning)
		}
		return run(cmd.Context(), &invocation{config: cfg, args: args, in: cmd.InOrStdin(), out: cmd.OutOrStdout(),
			log: log})
	}
	return cmd
}
