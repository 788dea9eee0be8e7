// Package settings holds the typed JSON that a tenant stores about itself.
package settings
