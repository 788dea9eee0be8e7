// Package config is every setting of the server in one struct: its name, default, help and
// validation. A setting comes from a flag, else from its TENANTRY_* variable, else, for what should
// not stand in an environment, from the file that the variable with _FILE names. Every mistake is
// reported at once.
//
// Values are passed down from here; nothing else reads the environment.
package config
