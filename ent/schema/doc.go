// Package schema declares the data: one entity per file, each with its mixins, fields, edges,
// indexes and policy, in that order. The client, the tenant filter, the indexes and the migrations
// are generated from it.
//
// A rule that applies to every caller is a field option, a hook or a policy of this package. A rule
// that depends on the operation belongs to the feature package. Go types of fields are in packages
// below this one, because the generated code imports them.
package schema
