// Package migrations embeds the versioned migrations of both databases. Atlas writes them (task
// migrate -- name); they are applied by the binary or by the Atlas CLI, in any mixture.
package migrations
