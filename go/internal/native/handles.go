package native

import (
	"runtime"
	"sync/atomic"
	"unicode/utf8"
	"unsafe"
)

// Manager is a handle of a manager, which is released when nothing refers to it any more.
type Manager struct {
	handle uintptr
	word   *uint64
}

// NewManager builds a manager from an environment, as os.Environ gives it, and from options: names and values in turn.
func NewManager(environment []string, options []string) (*Manager, *Failure) {
	config, _ := value(fnConfigNewWithoutEnvironment)
	defer value(fnConfigRelease, uint64(config))
	for _, variable := range environment {
		name, content := split(variable)
		// The name of no option, but any other program's.
		if !utf8.ValidString(name) {
			continue
		}
		if _, failure := begin(fnConfigSetVariable).handle(config).text(name).text(content).try(); failure != nil {
			return nil, failure
		}
	}
	for index := 0; index+1 < len(options); index += 2 {
		set := begin(fnConfigSet).handle(config).text(options[index]).text(options[index+1])
		if _, failure := set.try(); failure != nil {
			return nil, failure
		}
	}
	handle, failure := begin(fnManagerNew).handle(config).result().try()
	if failure != nil {
		return nil, failure
	}
	word, _ := value(fnManagerGenerationWord, uint64(handle))
	manager := &Manager{handle: handle, word: (*uint64)(pointer(word))}
	runtime.AddCleanup(manager, func(handle uintptr) { value(fnManagerRelease, uint64(handle)) }, handle)
	return manager, nil
}

func split(variable string) (name, content string) {
	// A name may begin with '='.
	for index := 1; index < len(variable); index++ {
		if variable[index] == '=' {
			return variable[:index], variable[index+1:]
		}
	}
	return variable, ""
}

// ID is the number of the manager behind the handle.
func (m *Manager) ID() uint64 {
	defer runtime.KeepAlive(m)
	id, _ := value(fnManagerID, uint64(m.handle))
	return uint64(id)
}

// BaseURL is the base URL, normalised.
func (m *Manager) BaseURL() string {
	defer runtime.KeepAlive(m)
	return textOf(fnManagerBaseURL, uint64(m.handle))
}

// MerchantID is the merchant ID.
func (m *Manager) MerchantID() string {
	defer runtime.KeepAlive(m)
	return textOf(fnManagerMerchantID, uint64(m.handle))
}

// TimeoutMs is the option timeout.
func (m *Manager) TimeoutMs() uint64 {
	defer runtime.KeepAlive(m)
	timeout, _ := value(fnManagerTimeoutMs, uint64(m.handle))
	return uint64(timeout)
}

// Close closes the handle, which stays valid.
func (m *Manager) Close() {
	defer runtime.KeepAlive(m)
	value(fnManagerClose, uint64(m.handle))
}

// Word is the generation word.
func (m *Manager) Word() uint64 {
	word := atomic.LoadUint64(m.word)
	runtime.KeepAlive(m)
	return word
}

// Current is pay88_current.
type Current struct {
	Generation     uint64
	Word           uint64
	MonotonicUntil uint64
	RealtimeUntil  uint64
}

// CurrentUntil says which token is to be used, and for how long without a call.
func (m *Manager) CurrentUntil() Current {
	defer runtime.KeepAlive(m)
	c := begin(fnManagerCurrentUntil).handle(m.handle)
	c.pointer(unsafe.Pointer(&c.current)).invoke()
	current := c.current
	end(c)
	return current
}

// CountUses tells the library of uses without a call.
func (m *Manager) CountUses(uses uint64) {
	defer runtime.KeepAlive(m)
	value(fnManagerCountUses, uint64(m.handle), uses)
}

// Peek gives the token in the cache, or nil.
func (m *Manager) Peek() (*Token, *Failure) {
	defer runtime.KeepAlive(m)
	handle, failure := begin(fnManagerPeekToken).handle(m.handle).result().try()
	return newToken(handle), failure
}

// Flag ends a blocking call soon after it was raised.
type Flag struct{ raised int32 }

// Raise may be called at any time, also after the call has ended.
func (f *Flag) Raise() { atomic.StoreInt32(&f.raised, 1) }

func (c *call) interrupt(flag *Flag) *call {
	if flag == nil {
		return c.number(0).number(0)
	}
	return c.handle((*addresses.Load())[fnInterruptFlag]).pointer(unsafe.Pointer(&flag.raised))
}

// GetToken waits for a token on this thread. The flag may be nil.
func (m *Manager) GetToken(timeoutMs uint64, flag *Flag) (*Token, *Failure) {
	defer runtime.KeepAlive(m)
	handle, failure := begin(fnManagerGetToken).handle(m.handle).number(timeoutMs).interrupt(flag).result().try()
	return newToken(handle), failure
}

// Send makes a call on this thread. The flag may be nil.
func (m *Manager) Send(request *Request, flag *Flag) (*Response, *Failure) {
	defer runtime.KeepAlive(m)
	defer runtime.KeepAlive(request)
	handle, failure := begin(fnManagerSend).handle(m.handle).handle(request.handle).interrupt(flag).result().try()
	if failure != nil {
		return nil, failure
	}
	return takenResponse(handle), nil
}

// Invalidate drops the cached token, or the given one if it is the cached one.
func (m *Manager) Invalidate(token *Token) (bool, *Failure) {
	defer runtime.KeepAlive(m)
	defer runtime.KeepAlive(token)
	var handle uintptr
	if token != nil {
		handle = token.handle
	}
	c := begin(fnManagerInvalidate).handle(m.handle).handle(handle)
	status, _ := c.pointer(unsafe.Pointer(&c.flag)).pointer(unsafe.Pointer(&c.failure)).invoke()
	dropped, failure := c.flag, c.failure
	end(c)
	if int32(status) != Ok {
		return false, taken(failure)
	}
	return dropped, nil
}

// Rotate replaces the API key.
func (m *Manager) Rotate(key string, keepOld bool) *Failure {
	defer runtime.KeepAlive(m)
	var keep uint64
	if keepOld {
		keep = 1
	}
	_, failure := begin(fnManagerRotate).handle(m.handle).text(key).number(keep).try()
	return failure
}

// Stats is a snapshot of the statistics, as JSON.
func (m *Manager) Stats() (string, *Failure) {
	defer runtime.KeepAlive(m)
	handle, failure := begin(fnManagerStats).handle(m.handle).result().try()
	if failure != nil {
		return "", failure
	}
	json := textOf(fnStatsJSON, uint64(handle))
	value(fnStatsRelease, uint64(handle))
	return json, nil
}

// Token is a handle of a token, which is released when nothing refers to it any more.
type Token struct {
	handle     uintptr
	Generation uint64
}

func newToken(handle uintptr) *Token {
	if handle == 0 {
		return nil
	}
	generation, _ := value(fnTokenGeneration, uint64(handle))
	token := &Token{handle: handle, Generation: uint64(generation)}
	runtime.AddCleanup(token, func(handle uintptr) { value(fnTokenRelease, uint64(handle)) }, handle)
	return token
}

// Pair gives copies of the access token and of the session ID, for how many seconds 88Pay granted them, and for how many
// milliseconds the library still hands them out.
func (t *Token) Pair() (access, session string, expiresIn, validForMs uint64) {
	defer runtime.KeepAlive(t)
	handle := uint64(t.handle)
	seconds, _ := value(fnTokenExpiresIn, handle)
	left, _ := value(fnTokenValidForMs, handle)
	return textOf(fnTokenAccessToken, handle), textOf(fnTokenSessionID, handle), uint64(seconds), uint64(left)
}

// Request is a request of the library. Release must be called.
type Request struct{ handle uintptr }

// NewRequest creates a request.
func NewRequest(method, endpoint string) (*Request, *Failure) {
	handle, failure := begin(fnRequestNew).text(method).text(endpoint).result().try()
	if failure != nil {
		return nil, failure
	}
	return &Request{handle}, nil
}

// AddHeader adds a header.
func (r *Request) AddHeader(name, content string) *Failure {
	_, failure := begin(fnRequestAddHeader).handle(r.handle).text(name).text(content).try()
	return failure
}

// AddParam adds a parameter to the query.
func (r *Request) AddParam(name, content string) *Failure {
	_, failure := begin(fnRequestAddParam).handle(r.handle).text(name).text(content).try()
	return failure
}

// SetBody sets the body, which is copied.
func (r *Request) SetBody(body []byte) *Failure {
	_, failure := begin(fnRequestSetBody).handle(r.handle).bytes(body).try()
	return failure
}

// SetTimeoutMs sets the time limit; 0 is that of the manager.
func (r *Request) SetTimeoutMs(timeoutMs uint64) *Failure {
	_, failure := begin(fnRequestSetTimeoutMs).handle(r.handle).number(timeoutMs).try()
	return failure
}

// SetSafeToRepeat marks the request as one that does no harm when it is sent twice.
func (r *Request) SetSafeToRepeat() *Failure {
	_, failure := begin(fnRequestSetSafeToRepeat).handle(r.handle).number(1).try()
	return failure
}

// Release releases the request.
func (r *Request) Release() { value(fnRequestRelease, uint64(r.handle)) }

// Response is a copy of an answer.
type Response struct {
	Status int
	// Names, which are in lower case, and values in turn.
	Header []string
	Body   []byte
	// What the library says of a status of 400 or above.
	Failure *Failure
}

// Takes an answer over, and releases it.
func takenResponse(handle uintptr) *Response {
	status, _ := value(fnResponseStatus, uint64(handle))
	count, _ := value(fnResponseHeaderCount, uint64(handle))
	response := &Response{Status: int(status & 0xffff), Header: make([]string, 0, 2*count)}
	for index := uint64(0); index < uint64(count); index++ {
		name := textOf(fnResponseHeaderName, uint64(handle), index)
		response.Header = append(response.Header, name, textOf(fnResponseHeaderValue, uint64(handle), index))
	}
	data, length := value(fnResponseBody, uint64(handle))
	response.Body = make([]byte, length)
	if length > 0 {
		copy(response.Body, unsafe.Slice((*byte)(pointer(data)), int(length)))
	}
	if response.Status >= 400 {
		_, response.Failure = begin(fnResponseErrorForStatus).handle(handle).try()
	}
	value(fnResponseRelease, uint64(handle))
	return response
}
