package pay88

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
)

// A client that keeps its own connections.
func client(t testing.TB, manager *Manager) *http.Client {
	t.Helper()
	authority, err := os.ReadFile(os.Getenv("EIGHTY_EIGHT_PAY_CA_BUNDLE"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	base := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(base.CloseIdleConnections)
	return &http.Client{Transport: manager.Transport(base), Timeout: patience}
}

const chargeText = `{"flow":"PAYIN","method_code":"CARDS","amount":50000,"currency":"COP","country":"COL"}`

func TestAClientOfItsOwnGetsThePairAndANewOneAfterA401(t *testing.T) {
	manager := fresh(t)
	client := client(t, manager)
	for round := range 2 {
		answer, err := client.Post(manager.BaseURL()+charges, "application/json", strings.NewReader(chargeText))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if err != nil || answer.StatusCode != 200 || !strings.Contains(string(body), "reference") {
			t.Errorf("round %d: %d %s %v", round, answer.StatusCode, body, err)
		}
		if answer.Request.Header.Get(authorizationHeader) == "" {
			t.Error("the answer is of a request without the pair")
		}
		control(t, "POST", "/revoke", nil, nil)
	}
}

func TestABodyThatCannotBeSentAgainIsSentOnce(t *testing.T) {
	manager := fresh(t)
	token(t, manager)
	control(t, "POST", "/revoke", nil, nil)
	before := counter(t, "calls")
	// A reader that http.NewRequest does not know, so there is no GetBody.
	request, err := http.NewRequest("POST", manager.BaseURL()+charges, io.MultiReader(strings.NewReader(chargeText)))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := client(t, manager).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if sent := counter(t, "calls") - before; answer.StatusCode != 401 || sent != 1 {
		t.Errorf("%d after %v calls", answer.StatusCode, sent)
	}
	if request.Header.Get(authorizationHeader) != "" || request.Header.Get(sessionHeader) != "" {
		t.Error("the caller's request has the pair")
	}
}

func TestAnotherHostGetsNoPairAlsoAfterARedirect(t *testing.T) {
	manager := fresh(t)
	var seen []http.Header
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) {
		seen = append(seen, request.Header)
	}))
	defer other.Close()
	client := client(t, manager)
	fault(t, "calls", 1, map[string]any{"answer": map[string]any{"status": 302, "headers": [][]string{{"Location", other.URL}}}})
	for _, address := range []string{other.URL, manager.BaseURL() + "/api/echo"} {
		answer, err := client.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
	}
	if len(seen) != 2 {
		t.Fatalf("%d requests", len(seen))
	}
	for _, header := range seen {
		if header.Get(authorizationHeader) != "" || header.Get(sessionHeader) != "" {
			t.Error("the other host has the pair")
		}
	}
}

func TestARequestWithoutATokenIsNotSent(t *testing.T) {
	manager := fresh(t)
	_ = manager.Close()
	before := counter(t, "calls")
	if _, err := client(t, manager).Get(manager.BaseURL() + "/api/echo"); err == nil {
		t.Error("no error")
	}
	if sent := counter(t, "calls") - before; sent != 0 {
		t.Error(sent)
	}
}

// A body that knows whether it was closed.
type body struct {
	io.Reader
	closed bool
}

func (b *body) Close() error {
	b.closed = true
	return nil
}

func TestRequestsThatNewRequestDidNotMake(t *testing.T) {
	manager := fresh(t)
	address, err := url.Parse(manager.BaseURL() + "/api/echo")
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client(t, manager).Transport.RoundTrip(&http.Request{Method: "GET", URL: address})
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != 200 {
		t.Error(answer.StatusCode)
	}
	sent := &body{Reader: strings.NewReader("x")}
	if _, err := manager.Transport(nil).RoundTrip(&http.Request{Method: "POST", Body: sent}); !errors.Is(err, ErrConfigInvalid) || !sent.closed {
		t.Error(err, sent.closed)
	}
}
