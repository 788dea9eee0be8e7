// Package ent is the generated client of the schemas in ent/schema. Only this file is written by
// hand.
package ent

//go:generate go tool -modfile=../internal/tools/ent.mod ent generate --feature privacy,intercept,sql/versioned-migration,sql/lock,sql/modifier,sql/execquery ./schema
