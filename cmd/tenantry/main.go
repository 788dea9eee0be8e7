// Command tenantry is the server, with the commands for its operators.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"tenantry/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal starts draining; the next one ends the process at once.
	context.AfterFunc(ctx, stop)
	if err := cli.Run(ctx, cli.Process{Args: os.Args[1:], Environ: os.Environ(), In: os.Stdin, Out: os.Stdout,
		Err: os.Stderr}); err != nil {
		fmt.Fprintln(os.Stderr, "tenantry:", err)
		os.Exit(cli.ExitStatus(err))
	}
}
