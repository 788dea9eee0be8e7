// Package names normalises and compares the names of roles, tenants, users and providers, and their
// descriptions.
//
//	Text       the stored form of any name: trimmed, NFC, no invisible characters
//	Label      the stored form of a name that grants rights: Text, not empty, one alphabet per word
//	Key        the form in which two labels of one tenant must differ
//	Resembles  whether a reader may mistake one label for another
//
// Go computes every form, since lower() and collations differ between databases. The package knows
// neither database nor feature: ent/schema applies it to every write, and features apply it first
// to answer 422.
package names
