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
//
// Manager.Token and Manager.Peek give it. A zero Token, and one that is nil, have empty texts, the generation 0, and have ended.
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

var noPair = pair{native: &native.Token{}}

// What a manager gave; nothing, if none did.
func (t *Token) own() *pair {
	if t == nil || t.pair == nil {
		return &noPair
	}
	return t.pair()
}

// AccessToken is the access token, for "Authorization: Bearer …". A secret.
func (t *Token) AccessToken() string { return t.own().access }

// SessionID is the session ID, for "x-session-id". A secret.
func (t *Token) SessionID() string { return t.own().session }

// ExpiresIn is the life of the token as 88Pay granted it, counted from when 88Pay issued it.
func (t *Token) ExpiresIn() time.Duration { return t.own().expiresIn }

// Generation is the number of the token. The tokens of a manager are counted from 1.
func (t *Token) Generation() uint64 { return t.own().native.Generation }

// ValidFor is for how long the library will still hand the token out; 0 when that time is over. It is over as soon as the wall clock
// or the one that cannot be set says so.
func (t *Token) ValidFor() time.Duration {
	now := time.Now()
	until := t.own().validUntil
	left := until.Sub(now)
	if wall := until.Round(0).Sub(now.Round(0)); wall < left {
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
