// Package server wires the house together and runs it: configuration to database to features to
// router to listener, and back down when it is told to stop. The commands of the operator live here
// too.
package server
