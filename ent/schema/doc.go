// Package schema declares the data: one entity a file, each with its mixins, fields, edges, indexes and policy, in
// that order. The generated client, the tenant filter, the indexes and the migrations follow from it.
//
// A rule that must hold for every caller is written here, as a field option, a hook or a policy; what depends on the
// operation belongs to the feature that performs it. Go types of fields live in packages below this one, since the
// generated code imports them.
package schema
