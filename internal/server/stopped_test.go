package server

import (
	"context"
	"testing"
)

// TestStoppedWhileStarting: a server that is told to stop while it recovers
// ends without an error, at whatever moment.
func TestStoppedWhileStarting(t *testing.T) {
	for range 12 {
		s, err := New(t.Context(), Options{Data: t.TempDir(), Listen: "127.0.0.1:0"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
		go func() {
			<-s.control.Running() // what comes next reads the store
			stop()
		}()
		if err := s.Run(ctx); err != nil {
			t.Fatal(err)
		}
		stop()
	}
}
