package cli

import "github.com/spf13/cobra"

// inTenant adds the flag for the tenant.
func inTenant(cmd *cobra.Command, slug *string) {
	cmd.Flags().StringVar(slug, "tenant", "", "slug of the tenant (default: the default tenant)")
}

// asLines adds the flag for lists in JSON.
func asLines(cmd *cobra.Command, asJSON *bool) {
	cmd.Flags().BoolVar(asJSON, "json", false, "print JSON, one object a line")
}

// withPassword adds the flag that reads the password from standard input.
func withPassword(cmd *cobra.Command, stdin *bool) {
	cmd.Flags().BoolVar(stdin, "password-stdin", false,
		"read the password from standard input (default: generate one)")
}
