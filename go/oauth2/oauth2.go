// Package oauth2 gives pay88's token to programs that take an oauth2.TokenSource. It is a module of its own, so that only they need
// golang.org/x/oauth2.
//
// 88Pay wants the session ID on each call too: Token.Extra(SessionID) has it. oauth2.Transport and oauth2.NewClient do not send it, so
// use Manager.Transport where requests are made.
package oauth2

import (
	"context"
	"time"

	pay88 "github.com/pay88/pay88/go"
	"golang.org/x/oauth2"
)

// SessionID is the name by which Extra of a token gives its session ID.
const SessionID = "session_id"

// TokenSource gives the manager's token. The context ends each wait for a token; it is that of the source's user, as in the constructors
// of golang.org/x/oauth2. Do not wrap the source into oauth2.ReuseTokenSource: the manager knows when its token is to be replaced.
//
// The token holds both secrets as plain text, as every oauth2.Token does. Its Expiry is until when the manager hands it out;
// golang.org/x/oauth2 calls a token invalid 10 s before that.
func TokenSource(ctx context.Context, manager *pay88.Manager) oauth2.TokenSource {
	return &source{ctx, manager}
}

type source struct {
	ctx     context.Context
	manager *pay88.Manager
}

// Token gives the token that is to be used now.
func (s *source) Token() (*oauth2.Token, error) {
	token, err := s.manager.Token(s.ctx)
	if err != nil {
		return nil, err
	}
	given := &oauth2.Token{
		AccessToken: token.AccessToken(),
		TokenType:   "Bearer",
		Expiry:      time.Now().Add(token.ValidFor()),
		ExpiresIn:   int64(token.ExpiresIn() / time.Second),
	}
	return given.WithExtra(map[string]any{SessionID: token.SessionID()}), nil
}
