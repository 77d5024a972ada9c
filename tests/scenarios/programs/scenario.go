// Scenario steps through the Go module, on goroutines where several are at once. See ../README.md.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	pay88 "github.com/pay88/pay88/go"
)

type events struct {
	mutex sync.Mutex
	// Not nil, because no events are an empty list.
	all []map[string]any
}

func (e *events) receive(event pay88.Event) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	level := map[string]string{"WARN": "warning", "INFO": "info"}[event.Level.String()]
	e.all = append(e.all, map[string]any{
		"name": event.Name, "level": level, "time": event.Time.UnixMilli(), "manager_id": event.ManagerID, "fields": event.Fields,
	})
}

type program struct {
	events   events
	managers []*pay88.Manager
}

// The fields of a step, in their order.
type step struct {
	fields [][2]string
}

func parse(line string) (step, error) {
	var fields [][2]string
	for _, pair := range strings.Split(line, "&") {
		name, value, _ := strings.Cut(pair, "=")
		var both [2]string
		for index, text := range []string{name, value} {
			plain, err := url.QueryUnescape(text)
			if err != nil {
				return step{}, err
			}
			both[index] = plain
		}
		fields = append(fields, both)
	}
	return step{fields}, nil
}

func (s step) get(name string) (string, bool) {
	for _, field := range s.fields {
		if field[0] == name {
			return field[1], true
		}
	}
	return "", false
}

func (s step) text(name string) string {
	text, _ := s.get(name)
	return text
}

// What is named below a prefix: "option.timeout".
func (s step) below(prefix string) map[string][]string {
	found := map[string][]string{}
	for _, field := range s.fields {
		if name, below := strings.CutPrefix(field[0], prefix); below {
			found[name] = append(found[name], field[1])
		}
	}
	return found
}

func (s step) timeout() time.Duration {
	seconds, _ := strconv.ParseFloat(s.text("timeout"), 64)
	return time.Duration(seconds * float64(time.Second))
}

func (s step) request() *pay88.Request {
	request := &pay88.Request{
		Method: s.text("method"), Endpoint: s.text("endpoint"), Header: http.Header(s.below("header.")),
		Params: url.Values(s.below("param.")), Timeout: s.timeout(), SafeToRepeat: s.text("safe_to_repeat") == "true",
	}
	if body, given := s.get("body"); given {
		request.Body = []byte(body)
	}
	return request
}

func pair(token *pay88.Token) any {
	if token == nil {
		return nil
	}
	return map[string]any{
		"access_token": token.AccessToken(), "session_id": token.SessionID(),
		"expires_in": token.ExpiresIn().Seconds(), "valid_for": token.ValidFor().Seconds(),
	}
}

func answer(response *pay88.Response) any {
	headers := map[string]string{}
	for name, values := range response.Header {
		headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	return map[string]any{"status": response.StatusCode, "headers": headers, "body": string(response.Body)}
}

func known[T comparable](value T) any {
	if value == *new(T) {
		return nil
	}
	return value
}

func told(err error) any {
	var failure *pay88.Error
	if !errors.As(err, &failure) {
		panic(err)
	}
	return map[string]any{
		"code": failure.Code, "message": failure.Message, "hint": failure.Hint, "outcome": failure.Outcome,
		"http_status": known(failure.HTTPStatus), "retry_after": known(failure.RetryAfter.Seconds()),
		"retryable": failure.Retryable, "attempt": known(failure.Attempt),
	}
}

func (p *program) build(step step) (any, error) {
	options := map[string]string{}
	for name, values := range step.below("option.") {
		options[name] = values[0]
	}
	manager, err := pay88.New(pay88.Config{Options: options})
	if err != nil {
		return nil, err
	}
	p.managers = append(p.managers, manager)
	return manager.ID(), nil
}

func (p *program) do(step step) (any, error) {
	switch step.text("do") {
	case "new":
		return p.build(step)
	case "events":
		p.events.mutex.Lock()
		defer p.events.mutex.Unlock()
		return append([]map[string]any{}, p.events.all...), nil
	}
	number, err := strconv.Atoi(step.text("manager"))
	if err != nil {
		return nil, err
	}
	manager := p.managers[number]
	switch step.text("do") {
	case "get_token":
		ctx := context.Background()
		if timeout := step.timeout(); timeout > 0 {
			limited, cancel := context.WithTimeout(ctx, timeout)
			defer cancel()
			ctx = limited
		}
		token, err := manager.Token(ctx)
		return pair(token), err
	case "peek_token":
		token, err := manager.Peek()
		return pair(token), err
	case "request":
		response, err := manager.Do(context.Background(), step.request())
		if err != nil {
			return nil, err
		}
		return answer(response), nil
	case "invalidate":
		return manager.Invalidate(nil)
	case "rotate":
		return nil, manager.Rotate(step.text("api_key"), step.text("keep_old") == "true")
	case "close":
		return nil, manager.Close()
	case "stats":
		return manager.Stats()
	}
	return nil, fmt.Errorf("no such step: %s", step.text("do"))
}

func (p *program) results(step step) []any {
	times, err := strconv.Atoi(step.text("at_once"))
	if err != nil {
		panic(err)
	}
	results := make([]any, times)
	start := make(chan struct{})
	var group sync.WaitGroup
	for index := range results {
		group.Add(1)
		go func() {
			defer group.Done()
			<-start
			if result, err := p.do(step); err != nil {
				results[index] = map[string]any{"error": told(err)}
			} else {
				results[index] = map[string]any{"ok": result}
			}
		}()
	}
	close(start)
	group.Wait()
	return results
}

func main() {
	var program program
	stop, err := pay88.Subscribe(program.events.receive)
	if err != nil {
		panic(err)
	}
	defer stop()
	lines := bufio.NewReader(os.Stdin)
	output := json.NewEncoder(os.Stdout)
	output.SetEscapeHTML(false)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		step, err := parse(strings.TrimSuffix(line, "\n"))
		if err != nil {
			panic(err)
		}
		if err := output.Encode(program.results(step)); err != nil {
			panic(err)
		}
	}
}
