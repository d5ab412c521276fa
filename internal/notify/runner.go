package notify

import (
	"context"
	"time"
)

// DeployScheme begins the addresses of Runners: "deploy:VARIABLE". A plan
// cannot name one as a channel.
const DeployScheme = "deploy:"

// A Runner carries out what a change asks for, where a Notifier tells of it: a
// deploy hook. It may take long, and only the newest state matters, so that
// one run stands for every notice of its address that waits. Run is called by
// one goroutine at a time per address.
type Runner interface {
	// Run carries out the notices of one address, oldest first, at least one;
	// try counts the runs for the last of them from 1. A nil error means that
	// all are done. An error for which Temporary is true may be tried again.
	// When ctx ends, Run ends what it began and returns an error; what became
	// of it is not known then, and the next process runs it again.
	Run(ctx context.Context, waiting []Notice, try int) error
	// Limit is the longest that a Run may take before its ctx ends, above 0.
	Limit() time.Duration
}
