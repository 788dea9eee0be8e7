package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// exitUsage is the exit status of an invalid command line, as in shells.
const exitUsage = 2

// errUsage marks errors of the command line: no command was started.
var errUsage = errors.New("usage")

// usageError is an error of the command line.
type usageError struct{ error }

func (usageError) Is(target error) bool { return target == errUsage }

// ExitStatus returns the exit status of an error of Run.
func ExitStatus(err error) int {
	if errors.Is(err, errUsage) {
		return exitUsage
	}
	return 1
}

// execute runs the command that the arguments name. An error before the command starts is a usage
// error.
func execute(ctx context.Context, root *cobra.Command) error {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd("") // its arguments are irrelevant here
	template := root.UsageTemplate()
	started := false
	each(root, func(cmd *cobra.Command) {
		cmd.SuggestionsMinimumDistance = root.SuggestionsMinimumDistance
		switch run := cmd.RunE; {
		case cmd.Name() == "help":
			cmd.Args = func(_ *cobra.Command, args []string) error {
				return checkCommands(root, args)
			}
		case cmd != root && cmd.HasSubCommands():
			requireSubcommand(cmd, template)
		case run != nil:
			cmd.RunE = func(cmd *cobra.Command, args []string) error {
				started = true
				return run(cmd, args)
			}
		}
	})
	root.SetFlagErrorFunc(flagError)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil || started {
		return err
	}
	return usageError{fmt.Errorf("%w\n\nSee `%s --help`", trimmed(err), cmd.CommandPath())}
}

func each(cmd *cobra.Command, do func(*cobra.Command)) {
	for _, sub := range cmd.Commands() {
		each(sub, do)
	}
	do(cmd)
}

// group returns a command that only has subcommands.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short}
	cmd.AddCommand(commands...)
	return cmd
}

// requireSubcommand makes a command fail without a subcommand. Cobra prints the help and succeeds,
// which hides a misspelt command in a job.
func requireSubcommand(cmd *cobra.Command, template string) {
	cmd.FParseErrWhitelist.UnknownFlags = true // they belong to the misspelt subcommand
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknown(cmd, args[0])
		}
		return fmt.Errorf("%q requires a command: %s", cmd.CommandPath(), strings.Join(names(cmd), ", "))
	}
	cmd.RunE = func(*cobra.Command, []string) error { return errUsage } // never: no arguments are accepted
	// Its usage omits the line of the command without a subcommand.
	for _, sub := range cmd.Commands() {
		sub.SetUsageTemplate(template)
	}
	cmd.SetUsageTemplate(strings.Replace(template, "{{if .Runnable}}", "{{if false}}", 1))
}

// checkCommands refuses arguments that are not the names of nested commands.
func checkCommands(cmd *cobra.Command, args []string) error {
	for _, arg := range args {
		i := slices.IndexFunc(cmd.Commands(), func(sub *cobra.Command) bool { return sub.Name() == arg })
		if i < 0 {
			return unknown(cmd, arg)
		}
		cmd = cmd.Commands()[i]
	}
	return nil
}

// unknown returns the error of an unknown command, with similar names.
func unknown(cmd *cobra.Command, name string) error {
	text := fmt.Sprintf("unknown command %q for %q", name, cmd.CommandPath())
	if suggestions := cmd.SuggestionsFor(name); len(suggestions) > 0 {
		text += "\n\nDid you mean this?\n\t" + strings.Join(suggestions, "\n\t")
	}
	return errors.New(text)
}

func names(cmd *cobra.Command) []string {
	var names []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	return names
}

// flagError returns the error of a flag without Go's terms.
func flagError(cmd *cobra.Command, err error) error {
	if invalid, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return fmt.Errorf("--%s: %q is not %s", invalid.GetFlag().Name, invalid.GetValue(),
			expected(invalid.GetFlag().Value.Type()))
	}
	if missing, ok := errors.AsType[*pflag.NotExistError](err); ok {
		if near := nearest(cmd.Flags(), missing.GetSpecifiedName()); near != "" {
			return fmt.Errorf("%w\n\nDid you mean this?\n\t--%s", err, near)
		}
	}
	return err
}

// expected returns the form of a flag's type.
func expected(flagType string) string {
	switch flagType {
	case "bool":
		return "true or false"
	case "duration":
		return "a duration such as 90s or 15m"
	case "string":
		return "a text"
	}
	return "a whole number in range"
}

// nearest returns the flag with the most similar name, or "".
func nearest(flags *pflag.FlagSet, name string) string {
	near, least := "", 2+len(name)/4
	flags.VisitAll(func(f *pflag.Flag) {
		if d := levenshtein.Distance(name, f.Name, nil); d < least {
			near, least = f.Name, d
		}
	})
	return near
}

// trimmed returns an error without the newlines at the end of cobra's suggestions.
func trimmed(err error) error {
	if text := strings.TrimRight(err.Error(), "\n"); text != err.Error() {
		return errors.New(text)
	}
	return err
}
