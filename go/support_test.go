package pay88

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"os"
	"testing"
	"time"
)

// No wait of a test is without end, and none is short: the machine may be busy.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	if child := os.Getenv("PAY88_TEST_CHILD"); child != "" {
		children[child]()
		return
	}
	os.Exit(m.Run())
}

// What a test does in a process of its own.
var children = map[string]func(){}

// Asks the sandbox's control port.
func control(t testing.TB, method, path string, body any, into any) {
	t.Helper()
	address := os.Getenv("PAY88_SANDBOX_CONTROL")
	if address == "" {
		t.Fatal("run the tests by pay88 sandbox --exec -- go test, as go/test.sh does")
	}
	encoded, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequest(method, address+path, bytes.NewReader(encoded))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := (&http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("the control port answers %d to %s %s", answer.StatusCode, method, path)
	}
	if into != nil {
		if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
			t.Fatal(err)
		}
	}
}

func fault(t testing.TB, on string, times any, action any) {
	t.Helper()
	control(t, "POST", "/faults", map[string]any{"on": on, "times": times, "action": action}, nil)
	t.Cleanup(func() { control(t, "DELETE", "/faults", nil, nil) })
}

func counter(t testing.TB, name string) float64 {
	t.Helper()
	var counters map[string]any
	control(t, "GET", "/counters", nil, &counters)
	number, ok := counters[name].(float64)
	if !ok {
		t.Fatalf("no counter %s in %v", name, counters)
	}
	return number
}

// A key that the sandbox knows, and that no other test uses.
func freshKey(t testing.TB) string {
	t.Helper()
	random := make([]byte, 8)
	_, _ = rand.Read(random)
	key := "sk_test_sandbox_" + hex.EncodeToString(random)
	merchant := os.Getenv("EIGHTY_EIGHT_PAY_MERCHANT_ID")
	control(t, "POST", "/keys", map[string]string{"merchant_id": merchant, "key": key}, nil)
	return key
}

// A manager with a token and limits of its own.
func fresh(t testing.TB) *Manager {
	t.Helper()
	return build(t, Config{APIKey: freshKey(t), Share: "process"})
}

func build(t testing.TB, config Config) *Manager {
	t.Helper()
	manager, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = manager.Close() })
	return manager
}

func token(t testing.TB, manager *Manager) *Token {
	t.Helper()
	token, err := manager.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return token
}

const charges = "/api/transactions/charges"

var charge = map[string]any{"flow": "PAYIN", "method_code": "CARDS", "amount": 50000, "currency": "COP", "country": "COL"}

func makeCharge(ctx context.Context, manager *Manager) (*Response, error) {
	return manager.Do(ctx, &Request{Method: "POST", Endpoint: charges, JSON: charge})
}

// Waits until something holds that will.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %s", what, patience)
		}
	}
}

// Makes a call in another goroutine, does what ends it once the sandbox has counted it, and gives its error.
func underWay(t testing.TB, counted string, call func() error, end func()) error {
	t.Helper()
	before := counter(t, counted)
	ended := make(chan error, 1)
	go func() { ended <- call() }()
	eventually(t, "the call", func() bool { return counter(t, counted) > before })
	end()
	return <-ended
}

// A context of somebody else's making: it may have any deadline, and it says that it is exceeded when the inner context ends.
type custom struct {
	context.Context
	deadline time.Time
}

func (c custom) Deadline() (time.Time, bool) { return c.deadline, !c.deadline.IsZero() }

func (c custom) Err() error {
	if c.Context.Err() != nil {
		return context.DeadlineExceeded
	}
	return nil
}

// Lets the calls of a test wait in Go, as those beyond the first 32 do, or in the library.
func bothWays(t *testing.T, test func(t *testing.T)) {
	t.Run("blocking", test)
	t.Run("queued", func(t *testing.T) {
		results.blocking.Add(mostBlocking)
		defer results.blocking.Add(-mostBlocking)
		test(t)
	})
}
