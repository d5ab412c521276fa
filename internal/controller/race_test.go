//go:build race

package controller_test

// raced says that the race detector is on, which makes a test take ten times as long.
const raced = true
