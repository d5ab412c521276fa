package notify

import "context"

// A Digester is a Notifier that tells at most so much in an hour. What it
// holds back stays in the outbox and goes out as one message.
type Digester interface {
	Notifier
	// Held reports whether address has had its share and notices wait for a digest.
	Held(address string) bool
	// Digest tells of all of waiting, oldest first, at least two, in one
	// message; errors are as of Deliver, and none of them was told then.
	Digest(ctx context.Context, waiting []Notice) error
}
