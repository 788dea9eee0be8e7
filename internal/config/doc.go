// Package config declares all settings of the server in one struct, with name, default, help and
// validation. A setting is read from its flag, else from its TENANTRY_* variable, else, for
// settings that may contain a credential, from the file that the variable with _FILE names. All
// invalid settings are reported together.
//
// No other package reads the environment.
package config
