package pay88

import (
	"io"
	"net/http"
	"net/url"
	"strings"
)

const (
	authorizationHeader = "Authorization"
	sessionHeader       = "X-Session-Id"
)

// How much of an answer is read that is not given to the caller, so that its connection can be used again.
const mostDiscarded = 1 << 20

// Transport gives the token and the session ID to requests for the manager's origin (scheme, host and port), for programs that keep
// their own http.Client. Other requests go to base unchanged, and without the pair. nil is http.DefaultTransport, which knows nothing of
// the options CABundle, Proxy and MaxConnections.
//
// If a request is answered 401, the token is dropped, and the request is sent once more with a new one. That happens only where its body
// can be sent again: where there is none, or GetBody gives it anew. A redirect is followed by http.Client, not here; the pair is on a
// copy of the request, so it goes nowhere else. Otherwise base decides what is sent, and how often.
func (m *Manager) Transport(base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	// The library has checked it.
	origin, err := url.Parse(m.BaseURL())
	if err != nil {
		origin = &url.URL{}
	}
	return &transport{m, base, origin}
}

type transport struct {
	manager *Manager
	base    http.RoundTripper
	origin  *url.URL
}

// RoundTrip is called by http.Client.
func (t *transport) RoundTrip(request *http.Request) (*http.Response, error) {
	if t.manager.none() {
		closeBody(request)
		return nil, noManager()
	}
	if request.URL == nil {
		closeBody(request)
		return nil, invalid("The request has no URL.", "Make it with http.NewRequest.")
	}
	if !sameOrigin(t.origin, request.URL) {
		return t.base.RoundTrip(request)
	}
	token, err := t.manager.Token(request.Context())
	if err != nil {
		closeBody(request)
		return nil, err
	}
	response, err := t.base.RoundTrip(withPair(request, token, request.Body))
	if err != nil || response.StatusCode != http.StatusUnauthorized {
		return response, err
	}
	body, again := rewound(request)
	if !again {
		return response, nil
	}
	next, err := t.renewed(request, token)
	if err != nil {
		// The 401 is the answer.
		if body != nil {
			_ = body.Close()
		}
		return response, nil
	}
	_, _ = io.CopyN(io.Discard, response.Body, mostDiscarded)
	_ = response.Body.Close()
	return t.base.RoundTrip(withPair(request, next, body))
}

// The token after the rejected one.
func (t *transport) renewed(request *http.Request, rejected *Token) (*Token, error) {
	// Does nothing if another request has dropped it already.
	if _, err := t.manager.Invalidate(rejected); err != nil {
		return nil, err
	}
	return t.manager.Token(request.Context())
}

// A copy of the request with the pair.
func withPair(request *http.Request, token *Token, body io.ReadCloser) *http.Request {
	own := request.Clone(request.Context())
	own.Body = body
	if own.Header == nil {
		own.Header = http.Header{}
	}
	own.Header.Set(authorizationHeader, "Bearer "+token.AccessToken())
	own.Header.Set(sessionHeader, token.SessionID())
	return own
}

// The body anew, and whether the request may be sent again.
func rewound(request *http.Request) (io.ReadCloser, bool) {
	if request.Body == nil || request.Body == http.NoBody {
		return request.Body, true
	}
	if request.GetBody == nil {
		return nil, false
	}
	body, err := request.GetBody()
	return body, err == nil
}

// A RoundTripper closes the body, also where it sends nothing.
func closeBody(request *http.Request) {
	if request.Body != nil {
		_ = request.Body.Close()
	}
}

func sameOrigin(one, other *url.URL) bool {
	return strings.EqualFold(one.Scheme, other.Scheme) && strings.EqualFold(one.Hostname(), other.Hostname()) && port(one) == port(other)
}

func port(of *url.URL) string {
	if of.Port() != "" {
		return of.Port()
	}
	return map[string]string{"https": "443", "http": "80"}[strings.ToLower(of.Scheme)]
}
