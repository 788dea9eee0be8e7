// Package names normalises and compares the names of roles, tenants, users and providers, and their
// descriptions.
//
//	Text       what is stored of any name: trimmed, NFC, nothing invisible
//	Label      what is stored of a name that stands for rights: Text, not empty, one alphabet a word
//	Key        what two labels of one tenant must differ in
//	Resembles  whether a reader may take one label for another
//
// Go computes every form, since lower() and collations differ between databases. The package knows
// neither database nor feature: ent/schema applies it to every write, and features apply it first
// to answer 422.
package names
