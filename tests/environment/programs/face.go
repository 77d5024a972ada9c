// The steps of ../README.md in Go: `face_go IN OUT`, two descriptors, so that the standard streams may be closed.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"strings"
	"time"

	pay88 "github.com/pay88/pay88/go"
)

var charge = map[string]any{
	"flow": "PAYIN", "method_code": "CARDS", "method_category": "CARD", "amount": 50000, "currency": "COP", "country": "COL",
	"description": "Order 1001", "customer_id": "customer-1", "notification_url": "https://example.com/notify",
	"return_url": "https://example.com/return",
}

var managers []*pay88.Manager

// Why what is shared cannot be had, as the first event of it says.
var reasons = make(chan any, 1)

func receive(event pay88.Event) {
	if event.Name == "share_degraded" {
		select {
		case reasons <- event.Fields["reason"]:
		default:
		}
	}
}

func done(words []string) (any, error) {
	switch words[0] {
	case "new":
		config := pay88.Config{Options: map[string]string{}}
		for _, word := range words[1:] {
			name, value, _ := strings.Cut(word, "=")
			config.Options[name] = value
		}
		manager, err := pay88.New(config)
		if err != nil {
			return nil, err
		}
		managers = append(managers, manager)
		return manager.ID(), nil
	case "listen":
		_, err := pay88.Subscribe(receive)
		return nil, err
	case "degraded":
		select {
		case reason := <-reasons:
			return reason, nil
		case <-time.After(10 * time.Second):
			return nil, nil
		}
	case "open":
		file, err := os.Open("/dev/null")
		if err != nil {
			return nil, err
		}
		return nil, file.Close()
	}
	number, err := strconv.Atoi(words[1])
	if err != nil {
		return nil, err
	}
	if words[0] == "token" {
		token, err := managers[number].Token(context.Background())
		if err != nil {
			return nil, err
		}
		return token.ExpiresIn() / time.Second, nil
	}
	answer, err := managers[number].Do(context.Background(), &pay88.Request{Method: "POST", Endpoint: "/api/transactions/charges", JSON: charge})
	if err != nil {
		return nil, err
	}
	return answer.StatusCode, nil
}

func descriptor(argument string) *os.File {
	number, err := strconv.Atoi(argument)
	if err != nil {
		panic(err)
	}
	return os.NewFile(uintptr(number), argument)
}

func main() {
	steps, answers := bufio.NewScanner(descriptor(os.Args[1])), json.NewEncoder(descriptor(os.Args[2]))
	for steps.Scan() {
		result, err := done(strings.Fields(steps.Text()))
		told := any(map[string]any{"ok": result})
		var failure *pay88.Error
		switch {
		case errors.As(err, &failure):
			told = map[string]any{"code": failure.Code, "outcome": failure.Outcome, "message": failure.Message, "hint": failure.Hint}
		case err != nil:
			told = map[string]any{"code": "of_the_system", "message": err.Error()}
		}
		if err := answers.Encode(told); err != nil {
			panic(err)
		}
	}
}
