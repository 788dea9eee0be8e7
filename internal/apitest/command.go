package apitest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"tenantry/internal/cli"
	"tenantry/internal/config"
	"tenantry/internal/database"
)

// PasswordFromStdin is the flag that makes a command read a password from standard input.
const PasswordFromStdin = "--password-stdin"

// RunCommand runs a command line on the database of a configuration, with a text as its standard
// input. It returns the output of the command, even with an error.
func RunCommand(ctx context.Context, cfg config.Config, log io.Writer, in string, args ...string) (printed string,
	err error) {
	var out bytes.Buffer
	err = cli.Run(ctx, cli.Process{
		Args: args, In: strings.NewReader(in), Out: &out, Err: log,
		Environ: []string{
			"TENANTRY_DATABASE_URL=" + cfg.DatabaseURL, "TENANTRY_DATA_DIR=" + cfg.DataDir, "TENANTRY_SECRET=" +
				cfg.Secret,
			"TENANTRY_PUBLIC_URL=" + cfg.PublicURL, "TENANTRY_DEFAULT_TENANT=" + cfg.DefaultTenant,
			"TENANTRY_DB_POOL_SIZE=4", "TENANTRY_DB_MAX_OVERFLOW=4", "TENANTRY_PASSWORD_HASH_CONCURRENCY=2",
		},
	})
	if err != nil && cli.ExitStatus(err) != 1 {
		err = errors.Join(errUsage, err)
	}
	return out.String(), err
}

// errUsage marks usage errors, which no test expects.
var errUsage = errors.New("the command line is invalid")

// Command returns a function that runs commands on a database, with a text as standard input. It
// fails the test on a usage error.
func Command(t testing.TB, opts database.Options) func(in string, args ...string) (printed string, err error) {
	return func(in string, args ...string) (string, error) {
		t.Helper()
		printed, err := RunCommand(t.Context(), Config(opts), io.Discard, in, args...)
		if errors.Is(err, errUsage) {
			t.Error(err)
		}
		return printed, err
	}
}
