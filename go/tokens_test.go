package pay88

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestACachedTokenIsTheSameValueAndCostsNoAllocation(t *testing.T) {
	manager := fresh(t)
	first := token(t, manager)
	if first.AccessToken() == "" || first.SessionID() == "" || first.ExpiresIn() != time.Minute || first.ValidFor() <= 0 {
		t.Error(first)
	}
	// It is kept from the next call on.
	token(t, manager)
	ctx := t.Context()
	allocated := testing.AllocsPerRun(1000, func() {
		if again, err := manager.Token(ctx); again != first || err != nil {
			t.Error(again, err)
		}
	})
	if allocated != 0 {
		t.Errorf("%v allocations", allocated)
	}
	if peeked, err := manager.Peek(); peeked != first || err != nil {
		t.Error(peeked, err)
	}
	stats, err := manager.Stats()
	if err != nil || stats.Hits < 1000 || stats.TokensIssued != 1 {
		t.Errorf("%+v %v", stats, err)
	}
}

func TestATokenThatWasDroppedIsNotGivenAnyMore(t *testing.T) {
	manager, other := fresh(t), (*Manager)(nil)
	if peeked, err := manager.Peek(); peeked != nil || err != nil {
		t.Error(peeked, err)
	}
	first := token(t, manager)
	token(t, manager)
	dropped, err := manager.Invalidate(first)
	if !dropped || err != nil {
		t.Error(dropped, err)
	}
	// The next drop is too early, so it must not be for this one.
	if dropped, err := manager.Invalidate(first); dropped || err != nil {
		t.Error(dropped, err)
	}
	second := token(t, manager)
	if second == first || second.Generation() == first.Generation() || second.AccessToken() == first.AccessToken() {
		t.Error(first, second)
	}
	if other.LogValue().Any() != nil {
		t.Error("a manager that is nil")
	}
}

func TestATokenThatNoManagerGaveIsEmptyAndHasEnded(t *testing.T) {
	for _, none := range []*Token{nil, {}} {
		if none.AccessToken() != "" || none.SessionID() != "" || none.ExpiresIn() != 0 || none.Generation() != 0 || none.ValidFor() != 0 {
			t.Errorf("%q %q %s %d %s", none.AccessToken(), none.SessionID(), none.ExpiresIn(), none.Generation(), none.ValidFor())
		}
		if encoded, err := none.MarshalJSON(); err != nil || string(encoded) != `{"generation":0,"valid_for":0.000}` {
			t.Error(string(encoded), err)
		}
		for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
			if printed := fmt.Sprintf(format, none); strings.Contains(printed, "PANIC") || !strings.HasPrefix(printed, "pay88.Token") {
				t.Error(printed)
			}
		}
		var logged bytes.Buffer
		slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "token", none)
		if strings.Contains(logged.String(), "panic") {
			t.Error(logged.String())
		}
	}
	if _, err := fresh(t).Invalidate(&Token{}); !errors.Is(err, ErrConfigInvalid) {
		t.Error(err)
	}
}

func TestAContextThatHasEndedGetsTheTokenInTheCacheAndNoOther(t *testing.T) {
	manager := fresh(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := manager.Token(ctx); !errors.Is(err, ErrCanceled) {
		t.Error(err)
	}
	first := token(t, manager)
	// Once from the library, and once from what is kept here.
	for range 2 {
		if again, err := manager.Token(ctx); again != first || err != nil {
			t.Error(again, err)
		}
	}
}

func TestAClosedManagerRefuses(t *testing.T) {
	manager := fresh(t)
	token(t, manager)
	token(t, manager)
	for range 2 {
		if err := manager.Close(); err != nil {
			t.Error(err)
		}
	}
	_, err := manager.Token(t.Context())
	_, peek := manager.Peek()
	_, call := makeCharge(t.Context(), manager)
	for _, err := range []error{err, peek, call} {
		if !errors.Is(err, ErrConfigInvalid) {
			t.Error(err)
		}
	}
	if _, err := manager.Stats(); err != nil {
		t.Error(err)
	}
}

func TestAKeyIsRotatedForAllManagersOfIt(t *testing.T) {
	config := Config{APIKey: freshKey(t), Share: "process"}
	one, other := build(t, config), build(t, config)
	if one.ID() != other.ID() {
		t.Error("two managers of one key")
	}
	if err := one.Rotate(freshKey(t), true); err != nil {
		t.Fatal(err)
	}
	token(t, other)
	if err := one.Rotate("pk_no_key", true); !errors.Is(err, ErrConfigInvalid) {
		t.Error(err)
	}
}

func TestAWaitForATokenEndsWithItsContext(t *testing.T) {
	bothWays(t, func(t *testing.T) {
		manager := fresh(t)
		fault(t, "token", nil, "stall")
		because := errors.New("the customer left")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(50*time.Millisecond, func() { cancel(because) })
		_, err := manager.Token(ctx)
		var told *Error
		if !errors.Is(err, ErrCanceled) || !errors.Is(err, because) || !errors.As(err, &told) || told.Outcome != NotSent {
			t.Error(err)
		}
		// Shorter than what the library counts in.
		for _, limit := range []time.Duration{time.Nanosecond, 300 * time.Microsecond, 30 * time.Millisecond} {
			begun := time.Now()
			ctx, cancel := context.WithTimeoutCause(t.Context(), limit, because)
			_, err := manager.Token(ctx)
			cancel()
			if !errors.Is(err, ErrTimeout) || !errors.Is(err, because) || !errors.As(err, &told) || !told.Timeout() {
				t.Error(limit, err)
			}
			if took := time.Since(begun); took > patience/2 {
				t.Errorf("%s took %s", limit, took)
			}
		}
		control(t, "DELETE", "/faults", nil, nil)
	})
}

func TestGoroutinesThatReadATokenThroughItsReplacementsGetOneThatIsWhole(t *testing.T) {
	// Each is used for three seconds, as the limits allow it.
	var usual map[string]any
	control(t, "GET", "/switches", nil, &usual)
	defer control(t, "POST", "/switches", map[string]any{"expires_in": usual["expires_in"]}, nil)
	control(t, "POST", "/switches", map[string]any{"expires_in": 13}, nil)
	manager := build(t, Config{APIKey: freshKey(t), Share: "process", TokensPerHour: 3600})
	first := token(t, manager).Generation()
	stop := make(chan struct{})
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			var last uint64
			for {
				select {
				case <-stop:
					return
				default:
				}
				token, err := manager.Token(t.Context())
				if err != nil || token.AccessToken() == "" || token.SessionID() == "" {
					t.Error(token, err)
					return
				}
				if token.Generation() < last {
					t.Errorf("generation %d after %d", token.Generation(), last)
					return
				}
				last = token.Generation()
			}
		})
	}
	defer group.Wait()
	defer close(stop)
	eventually(t, "three replacements", func() bool { return t.Failed() || token(t, manager).Generation() >= first+3 })
}

func TestTimesAreRoundedUpSinceZeroIsTheDefault(t *testing.T) {
	for duration, wanted := range map[time.Duration]uint64{
		0: 0, 1: 1, time.Microsecond: 1, time.Millisecond: 1, time.Millisecond + 1: 2, time.Hour: 3_600_000,
	} {
		if got := milliseconds(duration); got != wanted {
			t.Errorf("%s: %d", duration, got)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Hour)
	defer cancel()
	// It does not end with the context.
	if limit, err := newWait(ctx, 0); err != nil || limit != (wait{timeoutMs: 3_600_000}) {
		t.Error(limit, err)
	}
	if limit, err := newWait(ctx, time.Second); err != nil || limit != (wait{timeoutMs: 1000}) {
		t.Error(limit, err)
	}
	ctx, end := context.WithTimeout(t.Context(), time.Hour)
	defer end()
	if limit, err := newWait(ctx, 0); err != nil || limit.deadline.IsZero() {
		t.Error(limit, err)
	}
}
