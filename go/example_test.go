package pay88_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	pay88 "github.com/pay88/pay88/go"
)

func Example() {
	manager, err := pay88.New(pay88.Config{}) // the credentials come from the environment
	if err != nil {
		panic(err)
	}
	defer manager.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	charge := map[string]any{"flow": "PAYIN", "method_code": "CARDS", "amount": 50000, "currency": "COP", "country": "COL"}
	answer, err := manager.Do(ctx, &pay88.Request{Method: "POST", Endpoint: "/api/transactions/charges", JSON: charge})
	if err != nil {
		panic(err)
	}
	var payment struct{ Data struct{ Amount int } }
	fmt.Println(answer.StatusCode, answer.JSON(&payment), payment.Data.Amount)
	// Output: 200 <nil> 50000
}

func ExampleError() {
	manager, err := pay88.New(pay88.Config{})
	if err != nil {
		panic(err)
	}
	defer manager.Close()
	_, err = manager.Do(context.Background(), &pay88.Request{Method: "POST", Endpoint: "https://evil.example/"})
	var failure *pay88.Error
	if errors.Is(err, pay88.ErrRefused) && errors.As(err, &failure) {
		fmt.Println(failure.Code, failure.Outcome, failure.Retryable)
	}
	// Output: refused not_sent false
}

func ExampleManager_Transport() {
	manager, err := pay88.New(pay88.Config{})
	if err != nil {
		panic(err)
	}
	defer manager.Close()
	client := &http.Client{Transport: manager.Transport(nil)}
	_ = client // its requests for manager.BaseURL() have the token and the session ID
}

func ExampleLogEvents() {
	stop, err := pay88.LogEvents(slog.New(slog.NewJSONHandler(os.Stderr, nil)))
	if err != nil {
		panic(err)
	}
	defer stop()
}

func ExampleManager_Token() {
	manager, err := pay88.New(pay88.Config{})
	if err != nil {
		panic(err)
	}
	defer manager.Close()
	token, err := manager.Token(context.Background())
	if err != nil {
		panic(err)
	}
	fmt.Println(token.AccessToken() != "", token.SessionID() != "", token.ExpiresIn())
	// Output: true true 1m0s
}
