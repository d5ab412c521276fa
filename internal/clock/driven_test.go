package clock_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/clock"
)

var noon = time.Date(2026, time.March, 2, 12, 0, 0, 0, time.UTC)

func TestDrivenFiresOneTimerAtATime(t *testing.T) {
	d := clock.NewDriven(noon)
	late, _ := d.After(2 * time.Minute)
	first, _ := d.After(time.Minute)
	second, _ := d.After(time.Minute)
	_, stop := d.After(time.Second)
	stop()
	stop()
	var order []string
	look := func() {
		for name, c := range map[string]<-chan time.Time{"late": late, "first": first, "second": second} {
			select {
			case at := <-c:
				order = append(order, name+" "+at.Format(time.TimeOnly))
			default:
			}
		}
	}
	for d.Advance(noon.Add(90 * time.Second)) {
		look()
	}
	if diff := cmp.Diff([]string{"first 12:01:00", "second 12:01:00"}, order); diff != "" {
		t.Errorf("fired (-want +got):\n%s", diff)
	}
	if got := d.Now(); !got.Equal(noon.Add(90*time.Second)) || d.Mono() != 90*time.Second {
		t.Errorf("the clock stands at %v, mono %v", got, d.Mono())
	}
	if d.Advance(noon) || d.Mono() != 90*time.Second {
		t.Errorf("a time in the past moved the clock to %v", d.Mono())
	}
	if age := d.Age(noon); age != 90*time.Second {
		t.Errorf("age %v, want 1m30s", age)
	}
}

func TestDrivenFiresAtOnceWhatIsDue(t *testing.T) {
	d := clock.NewDriven(noon)
	c, stop := d.After(0)
	defer stop()
	select {
	case <-c:
	default:
		t.Error("a wait of nothing has not ended")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := d.AwaitArmed(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it counts as armed: %v", err)
	}
}

// TestDrivenWaitsForLoops: a tick is over when its loop has armed the next.
func TestDrivenWaitsForLoops(t *testing.T) {
	d := clock.NewDriven(noon)
	ctx, cancel := context.WithCancel(t.Context())
	ticks, ended := 0, make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, stop := d.After(time.Minute)
			select {
			case <-c:
				ticks++
			case <-ctx.Done():
				stop()
				return
			}
		}
	}()
	for m := range 100 {
		if err := d.AwaitArmed(ctx, 1); err != nil {
			t.Fatal(err)
		}
		if ticks != m { // the race detector sees whether it is really over
			t.Fatalf("%d ticks after %d minutes", ticks, m)
		}
		d.Advance(noon.Add(time.Duration(m+1) * time.Minute))
	}
	cancel()
	<-ended
}
