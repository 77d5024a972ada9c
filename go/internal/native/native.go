// Package native calls libpay88: the functions of include/pay88.h, one for one, and what Go needs to call them safely.
//
// It promises that all memory which the library reads and writes stays where it is during a call, and that everything the library
// gives is released once. It knows no context, and it decides nothing.
package native

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"
)

// Soname is the name by which the dynamic loader knows the library.
const Soname = "libpay88.so.0"

// Ok is the status of success.
const Ok = 0

// The version of the ABI that this package was written for: the major version in the upper 16 bits.
const abiVersion = 1 << 16

// A function of the library: where its address is.
type function int

// The names of the functions that are called.
var names []string

func named(name string) function {
	names = append(names, name)
	return function(len(names) - 1)
}

var (
	fnABIVersion                  = named("pay88_abi_version")
	fnCallCancel                  = named("pay88_call_cancel")
	fnCallRelease                 = named("pay88_call_release")
	fnCompletionsFd               = named("pay88_completions_fd")
	fnCompletionsNext             = named("pay88_completions_next")
	fnCompletionsOpen             = named("pay88_completions_open")
	fnCompletionsRelease          = named("pay88_completions_release")
	fnConfigNewWithoutEnvironment = named("pay88_config_new_without_environment")
	fnConfigRelease               = named("pay88_config_release")
	fnConfigSet                   = named("pay88_config_set")
	fnConfigSetVariable           = named("pay88_config_set_variable")
	fnErrorJSON                   = named("pay88_error_json")
	fnErrorRelease                = named("pay88_error_release")
	fnEventJSON                   = named("pay88_event_json")
	fnEventKindCount              = named("pay88_event_kind_count")
	fnEventKindName               = named("pay88_event_kind_name")
	fnEventRelease                = named("pay88_event_release")
	fnEventsFd                    = named("pay88_events_fd")
	fnEventsNext                  = named("pay88_events_next")
	fnEventsOpen                  = named("pay88_events_open")
	fnEventsRelease               = named("pay88_events_release")
	fnInterruptFlag               = named("pay88_interrupt_flag")
	fnManagerBaseURL              = named("pay88_manager_base_url")
	fnManagerClose                = named("pay88_manager_close")
	fnManagerCountUses            = named("pay88_manager_count_uses")
	fnManagerCurrentUntil         = named("pay88_manager_current_until")
	fnManagerGenerationWord       = named("pay88_manager_generation_word")
	fnManagerGetToken             = named("pay88_manager_get_token")
	fnManagerGetTokenQueued       = named("pay88_manager_get_token_queued")
	fnManagerID                   = named("pay88_manager_id")
	fnManagerInvalidate           = named("pay88_manager_invalidate")
	fnManagerMerchantID           = named("pay88_manager_merchant_id")
	fnManagerNew                  = named("pay88_manager_new")
	fnManagerPeekToken            = named("pay88_manager_peek_token")
	fnManagerRelease              = named("pay88_manager_release")
	fnManagerRotate               = named("pay88_manager_rotate")
	fnManagerSend                 = named("pay88_manager_send")
	fnManagerSendQueued           = named("pay88_manager_send_queued")
	fnManagerStats                = named("pay88_manager_stats")
	fnManagerTimeoutMs            = named("pay88_manager_timeout_ms")
	fnOptionCount                 = named("pay88_option_count")
	fnOptionKind                  = named("pay88_option_kind")
	fnOptionName                  = named("pay88_option_name")
	fnOutcomeName                 = named("pay88_outcome_name")
	fnRequestAddHeader            = named("pay88_request_add_header")
	fnRequestAddParam             = named("pay88_request_add_param")
	fnRequestNew                  = named("pay88_request_new")
	fnRequestRelease              = named("pay88_request_release")
	fnRequestSetBody              = named("pay88_request_set_body")
	fnRequestSetSafeToRepeat      = named("pay88_request_set_safe_to_repeat")
	fnRequestSetTimeoutMs         = named("pay88_request_set_timeout_ms")
	fnResponseBody                = named("pay88_response_body")
	fnResponseErrorForStatus      = named("pay88_response_error_for_status")
	fnResponseHeaderCount         = named("pay88_response_header_count")
	fnResponseHeaderName          = named("pay88_response_header_name")
	fnResponseHeaderValue         = named("pay88_response_header_value")
	fnResponseRelease             = named("pay88_response_release")
	fnResponseStatus              = named("pay88_response_status")
	fnStatsJSON                   = named("pay88_stats_json")
	fnStatsRelease                = named("pay88_stats_release")
	fnStatusAt                    = named("pay88_status_at")
	fnStatusCount                 = named("pay88_status_count")
	fnStatusName                  = named("pay88_status_name")
	fnTokenAccessToken            = named("pay88_token_access_token")
	fnTokenExpiresIn              = named("pay88_token_expires_in")
	fnTokenGeneration             = named("pay88_token_generation")
	fnTokenRelease                = named("pay88_token_release")
	fnTokenSessionID              = named("pay88_token_session_id")
	fnTokenValidForMs             = named("pay88_token_valid_for_ms")
	fnVersion                     = named("pay88_version")
)

// The addresses of the functions, once the library is loaded.
var addresses atomic.Pointer[[]uintptr]

var loading sync.Mutex

// Load finds or loads the library. After a failure the next call tries again.
func Load() error {
	if addresses.Load() != nil {
		return nil
	}
	loading.Lock()
	defer loading.Unlock()
	if addresses.Load() != nil {
		return nil
	}
	object, err := open()
	if err != nil {
		return err
	}
	found := make([]uintptr, len(names))
	// The version comes first: it says whether the library can have the others.
	for index, name := range names {
		address, err := symbol(object, name)
		if err != nil {
			return fmt.Errorf("the loaded %s has no function %s; install the same release of pay88 for all languages of the process",
				Soname, name)
		}
		found[index] = address
		if function(index) == fnABIVersion {
			version, _ := invoke(address, nil)
			if err := checkVersion(uint32(version)); err != nil {
				return err
			}
		}
	}
	addresses.Store(&found)
	return nil
}

func checkVersion(version uint32) error {
	major, minor := version>>16, version&0xffff
	if major == abiVersion>>16 && minor >= abiVersion&0xffff {
		return nil
	}
	return fmt.Errorf("the %s of this process has ABI version %d.%d, but %d.%d or a later %d.x is needed; "+
		"install the same release of pay88 for all languages of the process",
		Soname, major, minor, abiVersion>>16, abiVersion&0xffff, abiVersion>>16)
}

// Version is the version of the loaded library, such as "0.1.0".
func Version() string {
	c := begin(fnVersion)
	data, _ := c.invoke()
	end(c)
	if data == 0 {
		return ""
	}
	// It is followed by a NUL.
	first := pointer(data)
	var length uintptr
	for *(*byte)(unsafe.Add(first, length)) != 0 {
		length++
	}
	return text(data, length)
}

// A call of the library that is being prepared, and then made. It lives on the heap, and keeps there all that the library reads and
// writes: a pointer that passes through a uintptr is not moved when the stack is, and whatever is stored in held is on the heap.
type call struct {
	function function
	count    int
	args     [9]uintptr
	held     [9]unsafe.Pointer
	out      uintptr
	failure  uintptr
	size     uintptr
	flag     bool
	current  Current
}

var calls = sync.Pool{New: func() any { return new(call) }}

func begin(function function) *call {
	c := calls.Get().(*call)
	c.function = function
	return c
}

// Nothing of a call, which may have had secrets, is kept for the next one.
func end(c *call) {
	*c = call{}
	calls.Put(c)
}

func (c *call) number(value uint64) *call {
	c.args[c.count] = uintptr(value)
	c.count++
	return c
}

func (c *call) handle(value uintptr) *call {
	return c.number(uint64(value))
}

func (c *call) pointer(to unsafe.Pointer) *call {
	c.held[c.count] = to
	c.args[c.count] = uintptr(c.held[c.count])
	c.count++
	return c
}

func (c *call) text(value string) *call {
	return c.pointer(unsafe.Pointer(unsafe.StringData(value))).number(uint64(len(value)))
}

func (c *call) bytes(value []byte) *call {
	return c.pointer(unsafe.Pointer(unsafe.SliceData(value))).number(uint64(len(value)))
}

func (c *call) result() *call {
	return c.pointer(unsafe.Pointer(&c.out))
}

func (c *call) invoke() (uintptr, uintptr) {
	first, second := invoke((*addresses.Load())[c.function], c.args[:c.count])
	runtime.KeepAlive(c)
	return first, second
}

// The value of a function that takes nothing but handles and numbers.
func value(function function, args ...uint64) (uintptr, uintptr) {
	c := begin(function)
	for _, arg := range args {
		c.number(arg)
	}
	first, second := c.invoke()
	end(c)
	return first, second
}

// Makes a call whose last parameter is the error. It gives what the function wrote to its result, if it has one.
func (c *call) try() (uintptr, *Failure) {
	status, _ := c.pointer(unsafe.Pointer(&c.failure)).invoke()
	out, failure := c.out, c.failure
	end(c)
	if int32(status) != Ok {
		return 0, taken(failure)
	}
	return out, nil
}

// What the library gave as an address, which is none of Go's.
func pointer(address uintptr) unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Pointer(&address))
}

// A copy of text of the library.
func text(data, length uintptr) string {
	if length == 0 {
		return ""
	}
	return string(unsafe.Slice((*byte)(pointer(data)), int(length)))
}

func textOf(function function, args ...uint64) string {
	return text(value(function, args...))
}

// Failure is an error of the library, as pay88_error_json tells it.
type Failure struct {
	Name         string  `json:"name"`
	Message      string  `json:"message"`
	Hint         string  `json:"hint"`
	HTTPStatus   *int    `json:"http_status"`
	RetryAfterMs *int64  `json:"retry_after_ms"`
	Retryable    bool    `json:"retryable"`
	Outcome      string  `json:"outcome"`
	Attempt      *uint64 `json:"attempt"`
}

// Takes an error over, and releases it.
func taken(handle uintptr) *Failure {
	failure := Failure{Name: "internal", Message: "The library gave no error.", Hint: "Please report it.", Outcome: "unknown"}
	if handle == 0 {
		return &failure
	}
	if err := json.Unmarshal([]byte(textOf(fnErrorJSON, uint64(handle))), &failure); err != nil {
		failure.Message = "The library gave an error that cannot be read."
	}
	value(fnErrorRelease, uint64(handle))
	return &failure
}

// Row is a row of the table of options.
type Row struct{ Name, Kind string }

// Options are the rows of the table of options.
func Options() []Row {
	count, _ := value(fnOptionCount)
	rows := make([]Row, count)
	for index := range rows {
		rows[index] = Row{textOf(fnOptionName, uint64(index)), textOf(fnOptionKind, uint64(index))}
	}
	return rows
}

// Codes are the names of all statuses but that of success.
func Codes() []string {
	count, _ := value(fnStatusCount)
	codes := make([]string, count)
	for index := range codes {
		status, _ := value(fnStatusAt, uint64(index))
		codes[index] = textOf(fnStatusName, uint64(uint32(status)))
	}
	return codes
}

// Outcomes are the names of all outcomes.
func Outcomes() []string {
	var outcomes []string
	for number := uint64(0); ; number++ {
		name := textOf(fnOutcomeName, number)
		if name == "" {
			return outcomes
		}
		outcomes = append(outcomes, name)
	}
}

// EventKinds are the names of all kinds of events.
func EventKinds() []string {
	count, _ := value(fnEventKindCount)
	kinds := make([]string, count)
	for index := range kinds {
		kinds[index] = textOf(fnEventKindName, uint64(index))
	}
	return kinds
}

// ErrExcluded is why there is no library in a build with the tag pay88_none, or for a system that it does not exist for.
var ErrExcluded = errors.New("this program was built without the native part of pay88 (the tag pay88_none, or a system other than " +
	"Linux on amd64 or arm64): build it for Linux with glibc and without that tag")
