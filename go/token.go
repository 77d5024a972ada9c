package pay88

import (
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/pay88/pay88/go/internal/native"
)

// Token is an access token and its session ID, which belong together. It never changes. A Token that is printed, logged or
// encoded as JSON shows neither.
type Token struct {
	// A function, because whoever prints a structure with a Token in it may follow pointers without asking a method of Token.
	pair func() *pair
}

type pair struct {
	native     *native.Token
	access     string
	session    string
	expiresIn  time.Duration
	validUntil time.Time
}

func newToken(token *native.Token) *Token {
	now := time.Now()
	access, session, expiresIn, validForMs := token.Pair()
	own := &pair{
		native:     token,
		access:     access,
		session:    session,
		expiresIn:  time.Duration(expiresIn) * time.Second,
		validUntil: now.Add(time.Duration(validForMs) * time.Millisecond),
	}
	return &Token{func() *pair { return own }}
}

// AccessToken is the access token, for "Authorization: Bearer …". A secret.
func (t *Token) AccessToken() string { return t.pair().access }

// SessionID is the session ID, for "x-session-id". A secret.
func (t *Token) SessionID() string { return t.pair().session }

// ExpiresIn is the life of the token as 88Pay granted it, counted from when 88Pay issued it.
func (t *Token) ExpiresIn() time.Duration { return t.pair().expiresIn }

// Generation is the number of the token. The tokens of a manager are counted from 1.
func (t *Token) Generation() uint64 { return t.pair().native.Generation }

// ValidFor is for how long the library will still hand the token out; 0 when that time is over. It is over as soon as the wall clock
// or the one that cannot be set says so.
func (t *Token) ValidFor() time.Duration {
	now := time.Now()
	left := t.pair().validUntil.Sub(now)
	if wall := t.pair().validUntil.Round(0).Sub(now.Round(0)); wall < left {
		left = wall
	}
	return max(0, left)
}

// Format prints the token's number, and for how long it is valid.
func (t *Token) Format(state fmt.State, _ rune) {
	if t == nil {
		fmt.Fprint(state, "pay88.Token(nil)")
		return
	}
	fmt.Fprintf(state, "pay88.Token{generation %d, valid for %s}", t.Generation(), t.ValidFor().Round(time.Millisecond))
}

// LogValue is the token's number, and for how many seconds it is valid.
func (t *Token) LogValue() slog.Value {
	if t == nil {
		return slog.AnyValue(nil)
	}
	return slog.GroupValue(slog.Uint64("generation", t.Generation()), slog.Float64("valid_for", t.ValidFor().Seconds()))
}

// MarshalJSON is the token's number, and for how many seconds it is valid.
func (t *Token) MarshalJSON() ([]byte, error) {
	left := strconv.FormatFloat(t.ValidFor().Seconds(), 'f', 3, 64)
	return fmt.Appendf(nil, `{"generation":%d,"valid_for":%s}`, t.Generation(), left), nil
}
