package native

import (
	"runtime"
	"unsafe"
)

// How many completions are taken with one call.
const atATime = 64

// Completion is the result of a queued call.
type Completion struct {
	Tag      uint64
	Token    *Token
	Response *Response
	Failure  *Failure
}

// pay88_completion.
type rawCompletion struct {
	tag      uint64
	status   int32
	_        int32
	token    uintptr
	response uintptr
	failure  uintptr
}

// Completions is a queue of results. Release must be called.
type Completions struct{ handle uintptr }

// OpenCompletions opens a queue.
func OpenCompletions() (*Completions, *Failure) {
	handle, failure := begin(fnCompletionsOpen).result().try()
	if failure != nil {
		return nil, failure
	}
	return &Completions{handle}, nil
}

// Fd is readable exactly while there is something to take.
func (q *Completions) Fd() int {
	fd, _ := value(fnCompletionsFd, uint64(q.handle))
	return int(int32(fd))
}

// Next takes what is there, at most 64 of them.
func (q *Completions) Next() ([]Completion, *Failure) {
	raw := new([atATime]rawCompletion)
	c := begin(fnCompletionsNext).handle(q.handle).pointer(unsafe.Pointer(raw)).number(atATime)
	status, _ := c.pointer(unsafe.Pointer(&c.size)).pointer(unsafe.Pointer(&c.failure)).invoke()
	count, failed := c.size, c.failure
	end(c)
	runtime.KeepAlive(raw)
	if int32(status) != Ok {
		return nil, taken(failed)
	}
	taking := make([]Completion, count)
	for index := range taking {
		one := raw[index]
		taking[index].Tag = one.tag
		switch {
		case one.status != Ok:
			taking[index].Failure = taken(one.failure)
		case one.token != 0:
			taking[index].Token = newToken(one.token)
		default:
			taking[index].Response = takenResponse(one.response)
		}
	}
	return taking, nil
}

// Release releases the queue, and what is in it.
func (q *Completions) Release() { value(fnCompletionsRelease, uint64(q.handle)) }

// Call is a handle of a queued call. Release must be called.
type Call struct{ handle uintptr }

// Cancel cancels the call, which soon gives its one completion.
func (c Call) Cancel() { value(fnCallCancel, uint64(c.handle)) }

// Release releases the handle.
func (c Call) Release() { value(fnCallRelease, uint64(c.handle)) }

// GetTokenQueued begins a call whose token comes into the queue.
func (m *Manager) GetTokenQueued(timeoutMs uint64, queue *Completions, tag uint64) (Call, *Failure) {
	defer runtime.KeepAlive(m)
	c := begin(fnManagerGetTokenQueued).handle(m.handle).number(timeoutMs).handle(queue.handle).number(tag)
	handle, failure := c.result().try()
	return Call{handle}, failure
}

// SendQueued begins a call whose response comes into the queue.
func (m *Manager) SendQueued(request *Request, queue *Completions, tag uint64) (Call, *Failure) {
	defer runtime.KeepAlive(m)
	c := begin(fnManagerSendQueued).handle(m.handle).handle(request.handle).number(0).handle(queue.handle).number(tag)
	handle, failure := c.result().try()
	return Call{handle}, failure
}

// Events is a queue of events. Release must be called.
type Events struct{ handle uintptr }

// OpenEvents subscribes to all events from now on.
func OpenEvents(capacity uint64) (*Events, *Failure) {
	handle, failure := begin(fnEventsOpen).number(capacity).result().try()
	if failure != nil {
		return nil, failure
	}
	return &Events{handle}, nil
}

// Fd is readable exactly while there is an event to take.
func (e *Events) Fd() int {
	fd, _ := value(fnEventsFd, uint64(e.handle))
	return int(int32(fd))
}

// Next takes the next event as JSON, or "".
func (e *Events) Next() (string, *Failure) {
	handle, failure := begin(fnEventsNext).handle(e.handle).number(0).result().try()
	if failure != nil || handle == 0 {
		return "", failure
	}
	json := textOf(fnEventJSON, uint64(handle))
	value(fnEventRelease, uint64(handle))
	return json, nil
}

// Release ends the subscription.
func (e *Events) Release() { value(fnEventsRelease, uint64(e.handle)) }
