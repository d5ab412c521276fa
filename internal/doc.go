// Package internal only holds the test of the import directions; see
// ARCHITECTURE.md for what lies below it.
package internal
