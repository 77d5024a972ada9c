package pay88

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pay88/pay88/go/internal/native"
)

// How many events wait if they come faster than they are taken.
const eventCapacity = 1000

// Event is something that happened in a manager of this process. It has no secret. docs/monitoring.md describes each kind.
type Event struct {
	// The kind of event, such as "token_issued".
	Name string
	// slog.LevelWarn if something went wrong, or if somebody should look at it; otherwise slog.LevelInfo.
	Level slog.Level
	// When it happened.
	Time time.Time
	// The manager in which it happened, as Manager.ID numbers it; 0 for events of the queue itself.
	ManagerID uint64
	// The fields that belong to this kind of event.
	Fields map[string]any
}

// Subscribe calls receive for each event of this process from now on, on one goroutine, one after the other. Events that come while
// too many wait are dropped, and an event "events_dropped" says how many were. stop ends the subscription: it returns when receive has
// got what had happened before. receive must not call stop.
func Subscribe(receive func(Event)) (stop func(), err error) {
	if err := load(); err != nil {
		return nil, err
	}
	events, failure := native.OpenEvents(eventCapacity)
	if failure != nil {
		return nil, failed(failure)
	}
	readable, failing := native.NewReadable(events.Fd())
	if failing != nil {
		events.Release()
		return nil, failed(noDescriptor(failing))
	}
	var ending atomic.Bool
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer events.Release()
		for !ending.Load() && readable.Take(func() bool { return deliver(events, receive) }) == nil {
		}
		// What had happened before the subscription ended, and not what happens meanwhile: all that can have waited, and how many
		// were dropped.
		for range eventCapacity + 1 {
			if !deliver(events, receive) {
				break
			}
		}
	}()
	var once sync.Once
	return func() {
		once.Do(func() {
			ending.Store(true)
			readable.Close()
		})
		<-ended
	}, nil
}

// Delivers the next event, and says whether there was one.
func deliver(events *native.Events, receive func(Event)) bool {
	text, failure := events.Next()
	if failure != nil || text == "" {
		return false
	}
	if event, err := newEvent(text); err == nil {
		receive(event)
	}
	return true
}

func newEvent(text string) (Event, error) {
	var told struct {
		Name      string         `json:"name"`
		Level     string         `json:"level"`
		Time      int64          `json:"time"`
		ManagerID uint64         `json:"manager_id"`
		Fields    map[string]any `json:"fields"`
	}
	err := json.Unmarshal([]byte(text), &told)
	event := Event{Name: told.Name, Time: time.UnixMilli(told.Time), ManagerID: told.ManagerID, Fields: told.Fields}
	if told.Level == "warning" {
		event.Level = slog.LevelWarn
	}
	return event, err
}

// LogEvents writes each event of this process from now on to a logger: the name is the message, the fields are attributes. nil is
// slog.Default(). stop ends it.
func LogEvents(logger *slog.Logger) (stop func(), err error) {
	if logger == nil {
		logger = slog.Default()
	}
	return Subscribe(func(event Event) {
		if !logger.Enabled(context.Background(), event.Level) {
			return
		}
		record := slog.NewRecord(event.Time, event.Level, event.Name, 0)
		record.AddAttrs(slog.Uint64("manager_id", event.ManagerID))
		for _, name := range sortedKeys(event.Fields) {
			record.AddAttrs(slog.Any(name, event.Fields[name]))
		}
		// What a handler cannot write is nobody's to know here.
		_ = logger.Handler().Handle(context.Background(), record)
	})
}
