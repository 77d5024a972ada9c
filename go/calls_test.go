package pay88

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pay88/pay88/go/internal/native"
)

func TestAChargeIsMade(t *testing.T) {
	bothWays(t, func(t *testing.T) {
		answer, err := makeCharge(t.Context(), fresh(t))
		if err != nil {
			t.Fatal(err)
		}
		var told struct {
			Data struct {
				Reference string
				Amount    float64
			}
		}
		if err := answer.JSON(&told); err != nil || answer.Err() != nil || !answer.OK() {
			t.Error(err, answer.Err())
		}
		if answer.StatusCode != 200 || told.Data.Amount != 50000 || len(told.Data.Reference) != 36 {
			t.Errorf("%d %s", answer.StatusCode, answer.Body)
		}
		if answer.Header.Get("content-type") != "application/json" {
			t.Error(answer.Header)
		}
	})
}

func TestHeadersParametersAndBodiesAreSent(t *testing.T) {
	answer, err := fresh(t).Do(t.Context(), &Request{
		Method: "PUT", Endpoint: "/api/echo?first=1", Header: http.Header{"X-Own": {"a", "b"}, "Content-Type": {"application/json; charset=utf-8"}},
		Params: url.Values{"name": {"señor & co", "twice"}}, Body: []byte("any\x00bytes"), Timeout: patience,
	})
	if err != nil {
		t.Fatal(err)
	}
	var echo struct {
		Data struct {
			Method, Target, Body string
			Headers              map[string]string
		}
	}
	if err := answer.JSON(&echo); err != nil {
		t.Fatal(err, string(answer.Body))
	}
	got := echo.Data
	if answer.StatusCode != 200 || got.Method != "PUT" || got.Target != "/api/echo?first=1&name=se%C3%B1or+%26+co&name=twice" || got.Body != "any\x00bytes" {
		t.Errorf("%+v", got)
	}
	if got.Headers["content-type"] != "application/json; charset=utf-8" || got.Headers["x-own"] == "" || got.Headers["authorization"] == "" {
		t.Errorf("%+v", got)
	}
}

func TestAnAnswerOf400AndAboveIsAnErrorOnlyIfAsked(t *testing.T) {
	answer, err := fresh(t).Do(t.Context(), &Request{Method: "POST", Endpoint: charges, JSON: map[string]any{"flow": "NONE"}})
	if err != nil {
		t.Fatal(err)
	}
	var told *Error
	err = answer.Err()
	if !errors.As(err, &told) || !errors.Is(err, ErrHTTP) || told.Outcome != Answered || told.HTTPStatus != 400 || told.Response != answer {
		t.Errorf("%v %+v", err, told)
	}
	var number int
	if err := answer.JSON(&number); !errors.Is(err, ErrBadResponse) {
		t.Error(err)
	}
	if err := (&Response{StatusCode: 503}).Err(); !errors.Is(err, ErrHTTP) {
		t.Error(err)
	}
}

func TestWhatCannotBeMeantIsRefusedAndNothingIsSent(t *testing.T) {
	manager := fresh(t)
	before := counter(t, "connections_accepted")
	for name, request := range map[string]*Request{
		"no request":         nil,
		"no path":            {Method: "GET", Endpoint: "https://evil.example/"},
		"a header of ours":   {Method: "GET", Endpoint: "/api/echo", Header: http.Header{"Authorization": {"Bearer x"}}},
		"text that is none":  {Method: "GET", Endpoint: "/api/echo", Header: http.Header{"X": {"\xff"}}},
		"a method with more": {Method: "GET /x", Endpoint: "/api/echo"},
		"no method":          {Endpoint: "/api/echo"},
		"two bodies":         {Method: "GET", Endpoint: "/api/echo", JSON: 1, Body: []byte("1")},
		"no JSON":            {Method: "GET", Endpoint: "/api/echo", JSON: math.Inf(1)},
		"a negative time":    {Method: "GET", Endpoint: "/api/echo", Timeout: -1},
		"two hours":          {Method: "GET", Endpoint: "/api/echo", Timeout: 2 * time.Hour},
	} {
		_, err := manager.Do(t.Context(), request)
		var told *Error
		if !errors.As(err, &told) || told.Code != ErrConfigInvalid && told.Code != ErrRefused || told.Outcome != NotSent || told.Hint == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if sent := counter(t, "connections_accepted") - before; sent != 0 {
		t.Errorf("%v connections", sent)
	}
}

func TestTextsThatAreNotUTF8AreRefusedWhereverTheyAreGiven(t *testing.T) {
	const text = "secret\xff"
	manager := fresh(t)
	before := counter(t, "connections_accepted")
	given := map[string]error{"Rotate": manager.Rotate(text, false)}
	for index, field := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		if field.Type.Kind() == reflect.String {
			config := Config{}
			reflect.ValueOf(&config).Elem().Field(index).SetString(text)
			_, given[field.Name] = New(config)
		}
	}
	_, given["Options"] = New(Config{Options: map[string]string{"proxy": text}})
	_, given["the name of an option"] = New(Config{Options: map[string]string{text: "1"}})
	for name, request := range map[string]*Request{
		"Method":                  {Method: text, Endpoint: "/api/echo"},
		"Endpoint":                {Method: "GET", Endpoint: "/" + text},
		"Header":                  {Method: "GET", Endpoint: "/api/echo", Header: http.Header{"X": {text}}},
		"the name of a header":    {Method: "GET", Endpoint: "/api/echo", Header: http.Header{text: {"1"}}},
		"Params":                  {Method: "GET", Endpoint: "/api/echo", Params: url.Values{"x": {text}}},
		"the name of a parameter": {Method: "GET", Endpoint: "/api/echo", Params: url.Values{text: {"1"}}},
	} {
		_, given[name] = manager.Do(t.Context(), request)
	}
	for name, err := range given {
		var told *Error
		if !errors.As(err, &told) || told.Code != ErrConfigInvalid && told.Code != ErrRefused || told.Outcome != NotSent {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s is shown", name)
		}
	}
	if len(given) < 15 {
		t.Error(given)
	}
	if sent := counter(t, "connections_accepted") - before; sent != 0 {
		t.Errorf("%v connections", sent)
	}
}

func TestOptionsThatCannotBeUsedAreNamed(t *testing.T) {
	for name, config := range map[string]Config{
		"timeout":           {Timeout: -time.Second},
		"tokens_per_minute": {TokensPerMinute: -1},
		"no_such_option":    {Options: map[string]string{"no_such_option": "1"}},
		"share":             {Share: "everybody"},
		"base_url":          {BaseURL: "http://api.88pay.io", Options: map[string]string{"base_url": "http://api.88pay.io"}},
		"api_key":           {Env: []string{}},
	} {
		_, err := New(config)
		if !errors.Is(err, ErrConfigInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if config := (Config{IdleTimeout: NoIdle, Timeout: 1500 * time.Millisecond}); build(t, config).Timeout() != 1500*time.Millisecond {
		t.Error("the time is another one")
	}
}

func TestACallEndsWithItsContextAndTellsWhatBecameOfIt(t *testing.T) {
	bothWays(t, func(t *testing.T) {
		manager := fresh(t)
		token(t, manager)
		because := errors.New("the customer left")
		var told *Error

		fault(t, "calls", nil, "stall")
		ctx, cancel := context.WithCancelCause(t.Context())
		err := underWay(t, "calls", func() error {
			_, err := makeCharge(ctx, manager)
			return err
		}, func() { cancel(because) })
		if !errors.Is(err, ErrCanceled) || !errors.Is(err, because) || !errors.As(err, &told) || told.Outcome != Unknown || told.Retryable {
			t.Error(err)
		}

		// Long enough for the request to be sent.
		ctx, end := context.WithTimeout(t.Context(), 3*time.Second)
		defer end()
		_, err = makeCharge(ctx, manager)
		if !errors.Is(err, ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &told) || told.Outcome != Unknown {
			t.Error(err)
		}

		_, err = manager.Do(t.Context(), &Request{Method: "POST", Endpoint: charges, JSON: charge, Timeout: 300 * time.Millisecond})
		if !errors.Is(err, ErrTimeout) || errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}

		done, stop := context.WithCancel(t.Context())
		stop()
		_, err = makeCharge(done, manager)
		if !errors.Is(err, context.Canceled) || !errors.As(err, &told) || told.Outcome != NotSent {
			t.Error(err)
		}
	})
}

func TestClosingEndsPendingCalls(t *testing.T) {
	bothWays(t, func(t *testing.T) {
		manager := fresh(t)
		token(t, manager)
		fault(t, "calls", nil, "stall")
		err := underWay(t, "calls", func() error {
			_, err := makeCharge(t.Context(), manager)
			return err
		}, func() { _ = manager.Close() })
		var told *Error
		if !errors.Is(err, ErrCanceled) || !errors.As(err, &told) || told.Outcome != Unknown {
			t.Error(err)
		}
	})
}

func TestProgramsAreStartedDuringCalls(t *testing.T) {
	manager := fresh(t)
	stop := make(chan struct{})
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if answer, err := manager.Do(t.Context(), &Request{Method: "GET", Endpoint: "/api/echo"}); err != nil || !answer.OK() {
					t.Error(answer, err)
					return
				}
			}
		})
	}
	for range 30 {
		if err := exec.Command("true").Run(); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	group.Wait()
}

func TestAnAmountIsSentAsItIs(t *testing.T) {
	encoded, err := encode(map[string]any{"amount": json.Number("10.00"), "return_url": "https://shop.example/?a=1&b=<2>"})
	if err != nil || string(encoded) != `{"amount":10.00,"return_url":"https://shop.example/?a=1&b=<2>"}` {
		t.Error(string(encoded), err)
	}
}

func TestTheCauseOfJSONThatCannotBeEncodedIsKept(t *testing.T) {
	var cause *json.UnsupportedValueError
	if _, err := encode(math.Inf(1)); err == nil || !errors.As(err, &cause) {
		t.Error(err)
	}
}

func TestCallsAreToldIfTheirResultsCannotBeWaitedForAnyMore(t *testing.T) {
	results.blocking.Add(mostBlocking)
	defer results.blocking.Add(-mostBlocking)
	manager := fresh(t)
	failing := func() {
		results.mutex.Lock()
		defer results.mutex.Unlock()
		results.reader.readable.Close()
	}
	var told *Error

	fault(t, "token", nil, "stall")
	err := underWay(t, "tokens_requested", func() error {
		_, err := manager.Token(t.Context())
		return err
	}, failing)
	if !errors.As(err, &told) || told.Code != ErrInternal || told.Outcome != NotSent || !strings.Contains(told.Hint, "token") {
		t.Error(err)
	}

	manager = fresh(t)
	control(t, "DELETE", "/faults", nil, nil)
	token(t, manager)
	fault(t, "calls", nil, "stall")
	err = underWay(t, "calls", func() error {
		_, err := makeCharge(t.Context(), manager)
		return err
	}, failing)
	if !errors.As(err, &told) || told.Code != ErrInternal || told.Outcome != Unknown || told.Retryable {
		t.Error(err)
	}
	control(t, "DELETE", "/faults", nil, nil)
	if answer, err := makeCharge(t.Context(), manager); err != nil || !answer.OK() {
		t.Error(answer, err)
	}
}

func TestADeadlineThatIsOverBeginsNothingAlsoIfItsContextIsNotDone(t *testing.T) {
	manager := fresh(t)
	token(t, manager)
	before := counter(t, "calls")
	ctx := custom{context.Background(), time.Now().Add(-time.Millisecond)}
	_, err := makeCharge(ctx, manager)
	var told *Error
	if !errors.Is(err, ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &told) || told.Outcome != NotSent {
		t.Error(err)
	}
	if limit, err := newWait(ctx, time.Second); err == nil {
		t.Error(limit)
	}
	if sent := counter(t, "calls") - before; sent != 0 {
		t.Errorf("%v calls", sent)
	}
}

func TestTheCauseOfAContextWhoseTimerIsLateIsWaitedFor(t *testing.T) {
	because := errors.New("the customer left")
	inner, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(500*time.Millisecond, func() { cancel(because) })
	if _, err := newWait(custom{inner, time.Now().Add(-time.Millisecond)}, 0); err == nil || !errors.Is(err, because) {
		t.Error(err)
	}
}

func TestACallEndsWithAContextThatHasAnotherDeadlineThanItSays(t *testing.T) {
	bothWays(t, func(t *testing.T) {
		manager := build(t, Config{APIKey: freshKey(t), Share: "process", Timeout: 2 * patience})
		token(t, manager)
		fault(t, "calls", nil, "stall")
		for _, deadline := range []time.Time{{}, time.Now().Add(3 * patience)} {
			inner, cancel := context.WithCancel(t.Context())
			begun := time.Now()
			err := underWay(t, "calls", func() error {
				_, err := makeCharge(custom{inner, deadline}, manager)
				return err
			}, cancel)
			var told *Error
			if !errors.Is(err, ErrTimeout) || !errors.As(err, &told) || told.Outcome != Unknown || told.Retryable {
				t.Error(err)
			}
			if took := time.Since(begun); took > patience {
				t.Fatalf("%s after %s", err, took)
			}
		}
	})
}

// JSON that does something when it is encoded.
type doing func()

func (d doing) MarshalJSON() ([]byte, error) {
	d()
	return []byte("{}"), nil
}

func TestTheTimeThatJSONNeedsCounts(t *testing.T) {
	manager := fresh(t)
	token(t, manager)
	before := counter(t, "calls")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := manager.Do(ctx, &Request{Method: "GET", Endpoint: "/api/echo", JSON: doing(func() { <-ctx.Done() })})
	var told *Error
	if !errors.Is(err, ErrTimeout) || !errors.As(err, &told) || told.Outcome != NotSent {
		t.Error(err)
	}
	if sent := counter(t, "calls") - before; sent != 0 {
		t.Errorf("%v calls", sent)
	}
}

func TestAPlaceToBeginIsGivenBackByWhatPanics(t *testing.T) {
	manager := fresh(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for range mostStarting + 1 {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			_, err := results.queued(ctx, wait{}, func(*native.Completions, uint64) (native.Call, *native.Failure) { panic("a fault") })
			t.Error(err)
		}()
	}
	results.mutex.Lock()
	pending := len(results.pending)
	results.mutex.Unlock()
	if pending != 0 {
		t.Errorf("%d results are waited for", pending)
	}
	if _, err := manager.Token(ctx); err != nil {
		t.Error(err)
	}
}

func TestAWaitForAPlaceToBeginEndsWithItsContext(t *testing.T) {
	results.blocking.Add(mostBlocking)
	defer results.blocking.Add(-mostBlocking)
	for range mostStarting {
		results.starting <- struct{}{}
		defer func() { <-results.starting }()
	}
	manager := fresh(t)
	because := errors.New("the customer left")
	for name, call := range map[string]func(context.Context) error{
		"Token": func(ctx context.Context) error {
			_, err := manager.Token(ctx)
			return err
		},
		"Do": func(ctx context.Context) error {
			_, err := makeCharge(ctx, manager)
			return err
		},
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(200*time.Millisecond, func() { cancel(because) })
		err := call(ctx)
		var told *Error
		if !errors.Is(err, ErrCanceled) || !errors.Is(err, because) || !errors.As(err, &told) || told.Outcome != NotSent {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAManagerThatNewDidNotMakeRefuses(t *testing.T) {
	for _, manager := range []*Manager{nil, {}} {
		_, token := manager.Token(t.Context())
		_, peek := manager.Peek()
		_, call := makeCharge(t.Context(), manager)
		_, invalidate := manager.Invalidate(nil)
		_, stats := manager.Stats()
		_, trip := manager.Transport(nil).RoundTrip(httptest.NewRequest("GET", "http://127.0.0.1:1/", nil))
		for _, err := range []error{token, peek, call, invalidate, stats, trip, manager.Rotate("sk_test_sandbox_other", false)} {
			if !errors.Is(err, ErrConfigInvalid) {
				t.Error(err)
			}
		}
		if manager.ID() != 0 || manager.BaseURL() != "" || manager.MerchantID() != "" || manager.Timeout() != 0 || manager.Close() != nil {
			t.Error(manager)
		}
		if printed := fmt.Sprint(manager); printed != "pay88.Manager(nil)" || manager.LogValue().Any() != nil {
			t.Error(printed)
		}
	}
}

func TestAVariableWhoseNameIsNoTextIsIgnored(t *testing.T) {
	build(t, Config{Env: append(os.Environ(), "\xff=1")})
}
