package oauth2_test

import (
	"context"
	"errors"
	"testing"
	"time"

	pay88 "github.com/pay88/pay88/go"
	"github.com/pay88/pay88/go/oauth2"
)

func TestTheSourceGivesTheManagersToken(t *testing.T) {
	manager, err := pay88.New(pay88.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	own, err := manager.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	source := oauth2.TokenSource(ctx, manager)
	token, err := source.Token()
	if err != nil {
		t.Fatal(err)
	}
	if token.AccessToken != own.AccessToken() || token.Extra(oauth2.SessionID) != own.SessionID() || token.Type() != "Bearer" {
		t.Error("not the manager's token")
	}
	if left := time.Until(token.Expiry); left <= 0 || left > time.Minute || !token.Valid() {
		t.Errorf("valid for %s", left)
	}
	// The wait for another one ends with the context.
	if _, err := manager.Invalidate(own); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := source.Token(); !errors.Is(err, pay88.ErrCanceled) || !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
