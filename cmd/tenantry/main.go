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
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		// The first signal starts draining; the next one ends the process at once. Stop comes first:
		// a signal that arrives after draining has started must not be caught.
		signal.Stop(signals)
		cancel()
	}()
	if err := cli.Run(ctx, cli.Process{Args: os.Args[1:], Environ: os.Environ(), In: os.Stdin, Out: os.Stdout,
		Err: os.Stderr}); err != nil {
		fmt.Fprintln(os.Stderr, "tenantry:", err)
		os.Exit(cli.ExitStatus(err))
	}
}
