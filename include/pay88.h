/*
 * pay88: the client for the payment provider 88Pay.
 *
 * It holds 88Pay's short-lived token and makes authenticated calls. All processes of a user on a host share one token. The
 * library renews the token before it ends, and stays within 88Pay's limits of 10 tokens a minute and 100 an hour. It never
 * makes a charge twice on its own.
 *
 * Rules for all functions
 *   Names         Functions are named pay88_<type>_<verb>. Types are opaque handles.
 *   Ownership     You own what a function gives you through an out parameter, returns as a handle, or passes to a callback.
 *                 Release it with pay88_<type>_release(), which takes NULL, never blocks and does no I/O. Do not use a
 *                 handle after its release. Handles do not depend on each other: you may release them in any order.
 *   Errors        A function that can fail returns a pay88_status, which is 0 on success. Its last parameter error may be
 *                 NULL. If it is not, and the function fails, *error gets an error that you own. Out parameters are written
 *                 only when they have something to say: results on success, the error on failure.
 *                 For NULL, all other functions return a neutral value: 0, false, empty, NULL, or what their text says.
 *   Text in       You pass a pointer to UTF-8 and its length in bytes. NULL with length 0 is the empty text. No NUL is
 *                 needed. The library copies what it keeps. A length above the limit that is given at a function is
 *                 PAY88_CONFIG_INVALID.
 *   Text out      You get a pay88_str or pay88_bytes, which belongs to its handle and is valid until that is released.
 *   Times         Times are in milliseconds, at most 3600000 (an hour). What 0 means is said at each function.
 *   Threads       Any thread may call any function. Many threads may use a handle at once, with two exceptions: while a
 *                 thread changes a pay88_config or pay88_request, or releases a handle, no other thread may use it.
 *   Stack         A thread that calls the library needs 256 KiB of stack for it. (A call that makes a TLS connection, in a
 *                 build without optimisation, was measured to use up to 149 KiB.) An interrupt callback needs its own stack
 *                 in addition. Callbacks of asynchronous calls run on a stack of 512 KiB and may use 256 KiB of it.
 *   Cancellation  A thread may be canceled by pthread_cancel() while it is in the library. The library turns cancellation
 *                 off meanwhile, also while an interrupt callback runs. The call ends as usual, and the thread ends at its
 *                 next cancellation point after it. To end the call itself, let the interrupt callback say so. The
 *                 cancellation type of the thread must be PTHREAD_CANCEL_DEFERRED, the default.
 *   Signals       The library installs no signal handler, raises no SIGPIPE and continues after EINTR. Its threads block
 *                 all signals.
 *   fork          Parent and child both go on, whatever other threads are doing. The child may use the handles that it
 *                 inherited, on connections and threads of its own. The exceptions are pay88_call, pay88_events and
 *                 pay88_completions, which belong to the parent: asynchronous calls that were begun before the fork end in
 *                 the parent only. Their completions come there only, and their callbacks and destroy functions run there
 *                 only. Managers that the child builds are not the ones that it inherited; unless you change the option
 *                 share, both have the same token.
 *                 Your own code may fork where the library runs it. If the interrupt callback of a blocking call forks, the
 *                 call goes on in the parent; in the child it ends with PAY88_FORKED. A callback or destroy function may
 *                 fork too; the child should then call exec or _exit. If the child returns from it, its thread waits for
 *                 ever, and nothing of the parent's calls is repeated.
 *   Exit          The program may exit at any moment, also with pending calls. The library cannot be unloaded.
 *   Output        The library prints nothing. Errors, events and statistics have no secret.
 *
 * An example
 *   pay88_config *config = pay88_config_new();               // from EIGHTY_EIGHT_PAY_API_KEY, ..._MERCHANT_ID, ..._BASE_URL
 *   pay88_manager *manager = NULL;
 *   pay88_error *error = NULL;
 *   if (pay88_manager_new(config, &manager, &error) != PAY88_OK)
 *       fprintf(stderr, "%s\n%s\n", pay88_error_message(error).data, pay88_error_hint(error).data);
 */

#ifndef PAY88_H
#define PAY88_H

/* Made from the sources of pay88-c by `cargo run -p pay88-header`; not to be edited. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Prints a pay88_str: printf("%.*s", PAY88_STR(text)). The macro evaluates text twice. */
#define PAY88_STR(text) (int)(text).len, (text).data

// The version of this header: the major version in the upper 16 bits, the minor in the lower. Compare it with
// pay88_abi_version(). A new minor version only adds to the one before. A new major version has another soname.
#define PAY88_ABI_VERSION 65536

// The result of a function. Numbers are never reused. They are in groups: 1xx is the caller's input, 2xx the token
// endpoint, 3xx the connection to 88Pay, 4xx an answer, 9xx the library. Later releases may add some.
typedef enum pay88_status {
  // Success.
  PAY88_OK = 0,
  // An option, credential or argument cannot be used; nothing was sent.
  PAY88_CONFIG_INVALID = 101,
  // An endpoint or header would endanger the token; nothing was sent.
  PAY88_REFUSED = 102,
  // The token endpoint answered 401: wrong API key or merchant ID.
  PAY88_CREDENTIALS_REJECTED = 201,
  // The token endpoint answered 403: account or address not allowed.
  PAY88_ACCESS_DENIED = 202,
  // No new token is allowed now: the token endpoint answered 429, or the limits that are counted here are used up.
  PAY88_RATE_LIMITED = 203,
  // The time limit passed before there was a result.
  PAY88_TIMEOUT = 301,
  // The caller gave up, or the manager was closed while the call was pending.
  PAY88_CANCELED = 302,
  // No connection could be made, or it was cut.
  PAY88_CONNECTION_FAILED = 303,
  // The TLS handshake failed, or the certificate was not accepted.
  PAY88_TLS_FAILED = 304,
  // The answer is not as 88Pay documents it, was cut, or is too large.
  PAY88_BAD_RESPONSE = 401,
  // The answer has an HTTP status of 400 or above, and the caller asked for an error.
  PAY88_HTTP_ERROR = 402,
  // The library has a fault (please report it), or the system gave no thread, descriptor or memory. The hint says which.
  PAY88_INTERNAL = 901,
  // The call was begun before a fork, in the parent process.
  PAY88_FORKED = 902,
} pay88_status;

// Whether the request of a failed call can have reached 88Pay.
typedef enum pay88_outcome {
  // Nothing of the request was written to the network. It is safe to repeat.
  PAY88_OUTCOME_NOT_SENT = 0,
  // Bytes were written and no complete answer came, or the parent process goes on with the call (PAY88_FORKED).
  // Look the transaction up, do not repeat it.
  PAY88_OUTCOME_UNKNOWN = 1,
  // A complete answer came.
  PAY88_OUTCOME_ANSWERED = 2,
} pay88_outcome;

// A handle of an asynchronous call, to cancel it with. Any number of threads may use it at once.
typedef struct pay88_call pay88_call;

// A queue into which calls give their results, for programs that have a loop of their own. Any number of threads may use
// it at once; each completion goes to one of them.
typedef struct pay88_completions pay88_completions;

// A set of options. Only one thread may use it at a time.
typedef struct pay88_config pay88_config;

// Why something failed. It never changes. Any thread may read and release it.
typedef struct pay88_error pay88_error;

// Something that happened. It never changes. Any thread may read and release it.
typedef struct pay88_event pay88_event;

// A queue of the events of all managers of this process. Several threads may use it at once; each event goes to one
// of them.
typedef struct pay88_events pay88_events;

// A handle of the manager that holds the token of one set of credentials. Handles that were built from the same
// credentials share one manager in the process, and so one token. Any number of threads may use a handle at once.
typedef struct pay88_manager pay88_manager;

// A call of 88Pay's API, to be sent. You may send it several times, and from several threads at once, as long as no
// thread changes it.
typedef struct pay88_request pay88_request;

// An answer of any HTTP status. It never changes. Any thread may read and release it.
typedef struct pay88_response pay88_response;

// What a manager had done at one moment. It never changes. Any thread may read and release it.
typedef struct pay88_stats pay88_stats;

// An access token and its session ID, which belong together. It never changes. Any thread may read and release it,
// also after the token has ended. Its memory is zeroed when its last handle is released and the manager has a newer
// token.
typedef struct pay88_token pay88_token;

// Receives the result of pay88_manager_get_token_async(). With PAY88_OK it gets the token, otherwise the error; the
// other one is NULL. The callback owns what it gets, and has to release it.
//
// The library calls it exactly once, also if the call was canceled, the manager was closed, or the library failed.
// It calls it after *call was written, on a thread of its own with all signals blocked. The callback may call any
// function of this library; it may also cancel and release its own call. It should be quick, because one thread
// serves all calls. It must return: no longjmp, no C++ exception, no pthread_exit.
//
// The callback may fork. The child should call exec or _exit. It may use this library before that, as any child may.
// If the child returns from the callback, it runs nothing of its parent's calls: no destroy, no other callback, and
// nothing is sent. The one thread that it has then waits for ever, with all signals blocked. The same holds for
// pay88_destroy.
typedef void (*pay88_token_callback)(void *user_data,
                                     enum pay88_status status,
                                     struct pay88_token *token,
                                     struct pay88_error *error);

// Called once with the user_data, when the library will not use the user_data any more. That is after the callback,
// on the same thread. If the call could not be started, it is before the function returns. May be NULL.
typedef void (*pay88_destroy)(void *user_data);

// Receives the result of pay88_manager_send_async(). With PAY88_OK it gets the response, otherwise the error.
// Everything else is as for pay88_token_callback.
typedef void (*pay88_response_callback)(void *user_data,
                                        enum pay88_status status,
                                        struct pay88_response *response,
                                        struct pay88_error *error);

// How a call ended. Exactly one of the three handles is not NULL: `error` if the status is not PAY88_OK, otherwise
// `token` or `response`, by the function that made the call. You own it and release it with its own function.
//
// The structure never changes: what later releases add is read by functions of the handles.
typedef struct pay88_completion {
  // What you passed to the call.
  uint64_t tag;
  // The result of the call.
  enum pay88_status status;
  // What pay88_manager_get_token_queued() got.
  struct pay88_token *token;
  // What pay88_manager_send_queued() got.
  struct pay88_response *response;
  // Why the call failed.
  struct pay88_error *error;
} pay88_completion;

// Text in UTF-8 that you may read but do not own. It is valid as long as the handle that it came from. A text that
// belongs to no handle is valid for ever. `data` is never NULL. A NUL follows the text only where a function says
// so; `len` does not count it. Print it with `printf("%.*s", PAY88_STR(text))`.
typedef struct pay88_str {
  // The first byte.
  const char *data;
  // The number of bytes.
  size_t len;
} pay88_str;

// Called on the caller's thread at least every 50 ms while a call waits, with nothing locked. If it returns anything
// but 0, the call ends with PAY88_CANCELED, and the interrupt is not called again. It may call this library. It must
// return: no longjmp, no C++ exception, no pthread_exit. While it runs, cancellation of the thread is off.
//
// It may fork. The call goes on in the parent. In the child it ends with PAY88_FORKED as soon as the interrupt has
// returned.
typedef int (*pay88_interrupt)(void *interrupt_data);

// For how long a program that keeps the token may use it without a call: as long as the generation word of the manager
// is `word`, CLOCK_MONOTONIC is before `monotonic_until`, and CLOCK_REALTIME is before `realtime_until`. The clocks
// with _COARSE in their names will do. See pay88_manager_generation_word().
typedef struct pay88_current {
  // The number of the token, as pay88_token_generation() returns it; 0 if there is none.
  uint64_t generation;
  // What the generation word was before the token was looked for; 0, which it never is, if it was about to change.
  uint64_t word;
  // When the token ends or its renewal is due, on CLOCK_MONOTONIC in nanoseconds; 0 if there is none.
  uint64_t monotonic_until;
  // When the token ends, on CLOCK_REALTIME in nanoseconds; 0 if there is none.
  uint64_t realtime_until;
} pay88_current;

// Bytes that you may read but do not own. They are valid as long as the handle that they came from. `data` is never
// NULL. Only where a function says so does a NUL follow, which `len` does not count.
typedef struct pay88_bytes {
  // The first byte.
  const uint8_t *data;
  // The number of bytes.
  size_t len;
} pay88_bytes;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The version of the library's ABI: the major version in the upper 16 bits, the minor in the lower. A program that
// was built with this header works with a library of the same major version whose minor version is equal or higher.
uint32_t pay88_abi_version(void);

// The version of the library, such as "0.1.0". Followed by a NUL, valid for ever.
const char *pay88_version(void);

// As pay88_manager_get_token(), but returns at once. The result goes to the callback. *call gets a handle to cancel
// the call with, which you release with pay88_call_release(). call may be NULL.
//
// Errors: PAY88_CONFIG_INVALID for a closed handle, a time out of range, NULL; PAY88_INTERNAL if the system gives no
// thread. After an error the callback is not called, but destroy is.
enum pay88_status pay88_manager_get_token_async(const struct pay88_manager *manager,
                                                uint64_t timeout_ms,
                                                pay88_token_callback callback,
                                                void *user_data,
                                                pay88_destroy destroy,
                                                struct pay88_call **call,
                                                struct pay88_error **error);

// As pay88_manager_send(), but returns at once. The result goes to the callback. The request stays yours, and you
// may change or release it at once. *call gets a handle to cancel the call with, which you release with
// pay88_call_release(). call may be NULL.
//
// Errors: those that are found before anything is sent, and PAY88_INTERNAL if the system gives no thread. After an error the
// callback is not called, but destroy is.
enum pay88_status pay88_manager_send_async(const struct pay88_manager *manager,
                                           const struct pay88_request *request,
                                           pay88_response_callback callback,
                                           void *user_data,
                                           pay88_destroy destroy,
                                           struct pay88_call **call,
                                           struct pay88_error **error);

// Cancels the call, which soon ends with PAY88_CANCELED, unless its result is there already. Never waits. You may
// call it at any time, also several times and in the callback. In a forked child it does nothing: the call goes on in the
// process that began it. NULL is allowed.
void pay88_call_cancel(const struct pay88_call *call);

// Releases the handle. The call itself goes on. May be called in the callback. NULL is allowed.
void pay88_call_release(struct pay88_call *call);

// Opens a queue. It belongs to this process: a child that is forked later opens its own. Release it with
// pay88_completions_release().
//
// Its memory is that of the completions which nobody has taken, of which each call gives one.
//
// Errors: PAY88_INTERNAL if the system gives no descriptor, PAY88_CONFIG_INVALID for NULL.
enum pay88_status pay88_completions_open(struct pay88_completions **completions,
                                         struct pay88_error **error);

// A descriptor that is readable exactly while there is a completion to take, for poll(2), epoll(7) and the loops that use
// them. It is close-on-exec, does not block, and is 3 or higher. It stays the same, and the queue's: only wait for it. Do
// not read, write or close it.
//
// It becomes readable when a completion comes into an empty queue, and not again for those that follow. With a loop that
// tells this once (EPOLLET), call pay88_completions_next() until it gives fewer completions than the array has room for.
//
// -1 for NULL and in a forked child.
int pay88_completions_fd(const struct pay88_completions *completions);

// Takes the completions that are there, the oldest first, but at most capacity of them. *count says how many were written
// to the array taken, and is 0 if there was none. Never waits. You own what each of them holds.
//
// Limits: capacity 1 to 1000000.
// Errors: PAY88_FORKED in a child of the process that opened the queue; PAY88_CONFIG_INVALID for another capacity and NULL.
enum pay88_status pay88_completions_next(const struct pay88_completions *completions,
                                         struct pay88_completion *taken,
                                         size_t capacity,
                                         size_t *count,
                                         struct pay88_error **error);

// Releases the queue and the completions in it that nobody took, and closes the descriptor; remove that from your loop
// before. Calls that have not ended go on, and their results are released unseen. To know how they end, close their
// managers and take their completions before.
//
// In a forked child it closes the child's copy of the descriptor, and nothing changes for the parent. NULL is allowed.
void pay88_completions_release(struct pay88_completions *completions);

// As pay88_manager_get_token(), but returns at once. The result goes to the queue, with the tag, which may be any number:
// exactly one completion, also if the call was canceled, the manager was closed, or the library failed. *call gets a handle
// to cancel the call with, which you release with pay88_call_release(). call may be NULL.
//
// The completion may be there before this function returns. Another thread may then release or reuse whatever you passed,
// and *call, which is written before.
//
// Errors: PAY88_CONFIG_INVALID for a closed handle, a time out of range, NULL; PAY88_FORKED if the queue was opened before a
// fork, by the parent; PAY88_INTERNAL if the system gives no thread. After an error no completion comes.
enum pay88_status pay88_manager_get_token_queued(const struct pay88_manager *manager,
                                                 uint64_t timeout_ms,
                                                 const struct pay88_completions *completions,
                                                 uint64_t tag,
                                                 struct pay88_call **call,
                                                 struct pay88_error **error);

// As pay88_manager_send(), but returns at once. The result goes to the queue, with the tag, as in
// pay88_manager_get_token_queued(). The call may take timeout_ms in all; with 0 it is the request's own time. The request
// stays yours, and you may change or release it at once. call may be NULL.
//
// Errors: those that are found before anything is sent; PAY88_FORKED if the queue was opened before a fork, by the parent;
// PAY88_INTERNAL if the system gives no thread. After an error no completion comes.
enum pay88_status pay88_manager_send_queued(const struct pay88_manager *manager,
                                            const struct pay88_request *request,
                                            uint64_t timeout_ms,
                                            const struct pay88_completions *completions,
                                            uint64_t tag,
                                            struct pay88_call **call,
                                            struct pay88_error **error);

// Creates a configuration in which no option is set. An option that is not set comes from its environment variable:
// EIGHTY_EIGHT_PAY_ and the name of the option in capitals. Without the variable the option has its default. The
// environment is read when a manager is built. Release the configuration with pay88_config_release().
struct pay88_config *pay88_config_new(void);

// As pay88_config_new(), but the environment is not read: not for options, and not for HTTPS_PROXY, ALL_PROXY,
// NO_PROXY, SSL_CERT_FILE, SSL_CERT_DIR and XDG_RUNTIME_DIR.
struct pay88_config *pay88_config_new_without_environment(void);

// Sets an option. pay88_option_name() lists the names. The value is text, as in the environment variable ("2.5" for
// seconds). The library copies it, and checks it when a manager is built.
//
// Limits: name 256 bytes, value 64 KiB.
// Errors: PAY88_CONFIG_INVALID for an unknown name, text that is not UTF-8, NULL.
enum pay88_status pay88_config_set(struct pay88_config *config,
                                   const char *name,
                                   size_t name_len,
                                   const char *value,
                                   size_t value_len,
                                   struct pay88_error **error);

// Passes one environment variable, to be read in place of the one of the process. Use it if a part of your program
// has an environment of its own, such as a worker or a test. Start with pay88_config_new_without_environment(), so
// that a variable that you do not pass counts as not set. Both texts are copied. The value may be any bytes, as in the
// environment: if an option is read from it, pay88_manager_new() refuses it by the variable's name.
//
// You can pass a whole environment, because names that the library does not read are ignored. In a program that runs
// with more rights than its user has (setuid, setgid, capabilities) all variables are ignored.
//
// Limits: name 1 MiB, value 1 MiB, which is more than an environment can hold.
// Errors: PAY88_CONFIG_INVALID for text that is too long, a name that is not UTF-8, NULL.
enum pay88_status pay88_config_set_variable(struct pay88_config *config,
                                            const char *name,
                                            size_t name_len,
                                            const char *value,
                                            size_t value_len,
                                            struct pay88_error **error);

// Releases the configuration. Managers that were built from it are not affected. NULL is allowed.
void pay88_config_release(struct pay88_config *config);

// The status of the error, for programs. PAY88_OK for NULL.
enum pay88_status pay88_error_status(const struct pay88_error *error);

// The name of the status, such as "rate_limited". Followed by a NUL.
struct pay88_str pay88_error_name(const struct pay88_error *error);

// What happened, in words for people. Followed by a NUL. Has no secret.
struct pay88_str pay88_error_message(const struct pay88_error *error);

// What to do about it, in words for people. Followed by a NUL.
struct pay88_str pay88_error_hint(const struct pay88_error *error);

// The HTTP status of the answer that caused the error; 0 if no answer did.
uint16_t pay88_error_http_status(const struct pay88_error *error);

// How many milliseconds to wait before another try makes sense, rounded up; -1 if that is not known.
int64_t pay88_error_retry_after_ms(const struct pay88_error *error);

// Whether you may try the same call again later and it can then succeed. Never true with PAY88_OUTCOME_UNKNOWN,
// unless the request was marked as safe to repeat.
bool pay88_error_retryable(const struct pay88_error *error);

// Whether the request can have reached 88Pay. PAY88_OUTCOME_UNKNOWN for NULL.
enum pay88_outcome pay88_error_outcome(const struct pay88_error *error);

// The number of the token request that failed, counted from 1 in each manager; 0 if the error is not about one. All
// callers that waited for the same token request get the same number.
uint64_t pay88_error_attempt(const struct pay88_error *error);

// All of the above as one JSON object, for programs that would rather make one call than eight. Followed by a NUL. Has no
// secret.
//
//   "status"           the number of the status
//   "name"             the name of the status
//   "message", "hint"  the texts for people
//   "http_status"      null if no answer caused the error
//   "retry_after_ms"   null if that is not known
//   "retryable"        true or false
//   "outcome"          the name of the outcome
//   "attempt"          null if the error is not about a token request
struct pay88_str pay88_error_json(const struct pay88_error *error);

// Releases the error. NULL is allowed.
void pay88_error_release(struct pay88_error *error);

// The number of kinds of events.
size_t pay88_event_kind_count(void);

// The name of the kind of event at an index below pay88_event_kind_count(); empty for a higher index. Valid for
// ever.
struct pay88_str pay88_event_kind_name(size_t index);

// When an event of the kind at an index happens, and which fields it has; empty for an index that is too high. Valid
// for ever.
struct pay88_str pay88_event_kind_summary(size_t index);

// Subscribes to all events from now on. At most capacity events wait in the queue. Events that come while it is full
// are dropped, and an event "events_dropped" says how many were. Release the queue with pay88_events_release().
//
// Limits: capacity 1 to 1000000.
// Errors: PAY88_CONFIG_INVALID for another capacity and NULL.
enum pay88_status pay88_events_open(size_t capacity,
                                    struct pay88_events **events,
                                    struct pay88_error **error);

// A descriptor that is readable exactly while there is an event to take, for poll(2), epoll(7) and the loops that use them.
// It is close-on-exec, does not block, and is 3 or higher. It is the queue's: only wait for it. Do not read, write or close
// it. The first call opens it. pay88_events_release() closes it; remove it from your loop before.
//
// It becomes readable when an event comes into an empty queue, and not again for those that follow. With a loop that tells
// this once (EPOLLET), call pay88_events_next() until it gives no event.
//
// -1 for NULL, in a forked child, and if the system gives no descriptor; a later call then tries again.
int pay88_events_fd(const struct pay88_events *events);

// Takes the next event, and waits for it at most timeout_ms (0: not at all; at most 3600000). If no event came, the
// result is PAY88_OK and *event is NULL. Release the event with pay88_event_release().
//
// Errors: PAY88_CONFIG_INVALID for a time out of range and NULL.
enum pay88_status pay88_events_next(const struct pay88_events *events,
                                    uint64_t timeout_ms,
                                    struct pay88_event **event,
                                    struct pay88_error **error);

// Ends the subscription and releases the queue. NULL is allowed.
void pay88_events_release(struct pay88_events *events);

// The name of the event, such as "token_issued". Valid for ever.
struct pay88_str pay88_event_name(const struct pay88_event *event);

// When the event happened, in milliseconds since 1970.
uint64_t pay88_event_time(const struct pay88_event *event);

// The manager in which the event happened, as pay88_manager_id() numbers it. 0 for events of the queue itself.
uint64_t pay88_event_manager_id(const struct pay88_event *event);

// The whole event as JSON: {"name":...,"level":"info" or "warning","time":...,"manager_id":...,"fields":{...}}.
// Followed by a NUL. Has no secret.
struct pay88_str pay88_event_json(const struct pay88_event *event);

// Releases the event. NULL is allowed.
void pay88_event_release(struct pay88_event *event);

// An interrupt that reads a number which the caller owns: pass this function as the interrupt, and as interrupt_data the
// address of an int that is 0. The call ends with PAY88_CANCELED soon after any thread has stored another value there,
// atomically (an atomic_int in C). The int must live until the call has returned. It is for programs that cannot give a
// callback. NULL never interrupts.
int pay88_interrupt_flag(void *interrupt_data);

// Builds a manager. If the process has one of these credentials already, it gives another handle of that one. Sends
// nothing. The configuration stays yours. Release the manager with pay88_manager_release().
//
// Errors: PAY88_CONFIG_INVALID with the option that cannot be used, and for NULL.
enum pay88_status pay88_manager_new(const struct pay88_config *config,
                                    struct pay88_manager **manager,
                                    struct pay88_error **error);

// Closes this handle. Its pending calls end with PAY88_CANCELED, later ones with PAY88_CONFIG_INVALID. Other handles
// of the same manager are not affected. After the last handle was closed or released, you may build a manager of these
// credentials with other options. Never waits. You may call it while other threads use the handle, and several
// times.
void pay88_manager_close(const struct pay88_manager *manager);

// Whether the handle was closed. True for NULL.
bool pay88_manager_is_closed(const struct pay88_manager *manager);

// Releases the handle. No thread may be using it. Pending asynchronous calls go on; to end them, close the handle
// first. The library keeps the manager for 10 minutes, in case you build one of the same credentials again. NULL is
// allowed.
void pay88_manager_release(struct pay88_manager *manager);

// The number of the manager behind the handle, counted from 1. Equal numbers mean the same manager of this process.
// 0 for NULL.
uint64_t pay88_manager_id(const struct pay88_manager *manager);

// The base URL, normalised. Not followed by a NUL.
struct pay88_str pay88_manager_base_url(const struct pay88_manager *manager);

// The merchant ID. Not followed by a NUL.
struct pay88_str pay88_manager_merchant_id(const struct pay88_manager *manager);

// How many milliseconds a call of this handle may take if the call itself sets no time: the option "timeout",
// rounded up. 0 for NULL.
uint64_t pay88_manager_timeout_ms(const struct pay88_manager *manager);

// Gives the token. If there is a valid one in the cache, it returns at once. Otherwise it waits for a new one, at
// most timeout_ms (0: the option "timeout"; at most 3600000). However many threads wait, the library asks for one
// token only. interrupt may be NULL. Release the token with pay88_token_release().
//
// Errors: PAY88_CREDENTIALS_REJECTED, PAY88_ACCESS_DENIED, PAY88_RATE_LIMITED, PAY88_TIMEOUT, PAY88_CANCELED,
// PAY88_CONNECTION_FAILED, PAY88_TLS_FAILED, PAY88_BAD_RESPONSE, PAY88_CONFIG_INVALID, PAY88_INTERNAL; PAY88_FORKED in a
// child that the interrupt forked. The outcome is always PAY88_OUTCOME_NOT_SENT.
enum pay88_status pay88_manager_get_token(const struct pay88_manager *manager,
                                          uint64_t timeout_ms,
                                          pay88_interrupt interrupt,
                                          void *interrupt_data,
                                          struct pay88_token **token,
                                          struct pay88_error **error);

// The number of the token that pay88_manager_get_token() would give at once, as pay88_token_generation() returns it.
// 0 if that function would have to wait, or would fail. It counts as use of the token, so the token is renewed
// before it ends. It is for programs that keep the token: while the number is the same, the token is the same.
uint64_t pay88_manager_current(const struct pay88_manager *manager);

// As pay88_manager_current(), which see. *current also says for how long no further call is needed; all of it is 0 if the
// result is. 0 for NULL.
uint64_t pay88_manager_current_until(const struct pay88_manager *manager,
                                     struct pay88_current *current);

// The generation word: a number that changes with every change of which token is to be used. A token came or was dropped,
// its renewal could not be made and is due again, or a handle was closed. It may also change without one. A program that
// keeps the token reads the word instead of calling pay88_manager_get_token():
//
//   if (token && kept.generation == number && kept.word == __atomic_load_n(word, __ATOMIC_ACQUIRE)
//       && monotonic < kept.monotonic_until && realtime < kept.realtime_until)
//       use the token that you keep, whose number that is;
//   else if (pay88_manager_current_until(manager, &kept) == number && token)
//       use it;
//   else if (kept.generation)
//       get the token with pay88_manager_peek_token(), which does not count it a second time;
//   if you have none now, or it was NULL,
//       get the token with pay88_manager_get_token();
//
// Begin with a pay88_current of zeros and no token. All of this is of one manager: tokens of others have the same numbers.
// With a handle of another one (pay88_manager_id()) begin anew. Threads that share what is kept lock it.
//
// Read the word atomically, from any thread, and never write it. A change that a thread has made, or has learned of, is in the
// word when that thread reads it. That a token ends or its renewal is due changes no word: compare the clocks at each use.
//
// The address is valid until the handle is released, and is the same for all handles of a manager. The child of a fork
// has a word of its own, at the same address, which begins with what its parent's was. Uses without a call are not in the
// statistic "hits" unless you pass their number to pay88_manager_count_uses(). NULL for NULL.
const uint64_t *pay88_manager_generation_word(const struct pay88_manager *manager);

// Adds uses of a kept token that were made without a call to the statistic "hits". Call it with many at a time, since all
// threads count in one place. NULL is allowed.
void pay88_manager_count_uses(const struct pay88_manager *manager,
                              uint64_t uses);

// Gives the token in the cache. *token is NULL if there is no valid one. Never waits and never asks 88Pay. Release
// the token with pay88_token_release().
//
// Errors: PAY88_CONFIG_INVALID for a closed handle and NULL.
enum pay88_status pay88_manager_peek_token(const struct pay88_manager *manager,
                                           struct pay88_token **token,
                                           struct pay88_error **error);

// Makes an authenticated call on this thread. If 88Pay answers, the result is PAY88_OK, whatever the HTTP status.
// interrupt may be NULL. The request stays yours. Release the response with pay88_response_release().
//
// Errors: any. pay88_error_outcome() says whether the request can have reached 88Pay.
enum pay88_status pay88_manager_send(const struct pay88_manager *manager,
                                     const struct pay88_request *request,
                                     pay88_interrupt interrupt,
                                     void *interrupt_data,
                                     struct pay88_response **response,
                                     struct pay88_error **error);

// Drops the cached token, for example because another program has revoked it. If token is not NULL, the cached token
// is dropped only if it is that one. *dropped says whether a token was dropped; dropped may be NULL.
//
// Errors: PAY88_RATE_LIMITED if tokens were dropped too often lately (one per 10 s, 20 an hour); the token then stays.
// PAY88_CONFIG_INVALID for a closed handle and NULL.
enum pay88_status pay88_manager_invalidate(const struct pay88_manager *manager,
                                           const struct pay88_token *token,
                                           bool *dropped,
                                           struct pay88_error **error);

// Replaces the API key, for all handles of this manager. If keep_old is not 0, the old key is used for up to 24
// hours while 88Pay does not accept the new one. Tokens that were handed out stay valid.
//
// Limits: key 64 KiB.
// Errors: PAY88_CONFIG_INVALID if the key cannot be used, or if another manager of this process has it.
enum pay88_status pay88_manager_rotate(const struct pay88_manager *manager,
                                       const char *api_key,
                                       size_t api_key_len,
                                       int keep_old,
                                       struct pay88_error **error);

// Takes a snapshot of what the manager has done so far. Works on a closed handle too. Release it with
// pay88_stats_release().
//
// Errors: PAY88_CONFIG_INVALID for NULL.
enum pay88_status pay88_manager_stats(const struct pay88_manager *manager,
                                      struct pay88_stats **stats,
                                      struct pay88_error **error);

// The number of options.
size_t pay88_option_count(void);

// The name of the option at an index below pay88_option_count(), for pay88_config_set(); empty for a higher index.
// Valid for ever.
struct pay88_str pay88_option_name(size_t index);

// How the text of the option at an index is read: "text", "secret", "seconds", "count", "bytes" or "path". Later
// releases may add some. Valid for ever.
struct pay88_str pay88_option_kind(size_t index);

// The value of the option at an index if it is set nowhere. If that is no fixed value, it is described in words.
// Valid for ever.
struct pay88_str pay88_option_default(size_t index);

// What the option at an index does. Valid for ever.
struct pay88_str pay88_option_summary(size_t index);

// Creates a request of any method, for any path below the base URL, such as "/api/balance?id=MCH-COL-29ZTP4".
// Release it with pay88_request_release().
//
// Limits: method 256 bytes, endpoint 64 KiB. What 88Pay takes is checked when the request is sent.
// Errors: PAY88_CONFIG_INVALID for text that is not UTF-8 and NULL.
enum pay88_status pay88_request_new(const char *method,
                                    size_t method_len,
                                    const char *endpoint,
                                    size_t endpoint_len,
                                    struct pay88_request **request,
                                    struct pay88_error **error);

// Adds a header. The headers of the credential and of the connection belong to the library. A request that has one
// of them is refused when it is sent.
//
// Limits: name 256 bytes, value 64 KiB.
// Errors: PAY88_CONFIG_INVALID for text that is not UTF-8 and NULL.
enum pay88_status pay88_request_add_header(struct pay88_request *request,
                                           const char *name,
                                           size_t name_len,
                                           const char *value,
                                           size_t value_len,
                                           struct pay88_error **error);

// Adds a parameter to the query, percent-encoded.
//
// Limits: name 256 bytes, value 64 KiB.
// Errors: PAY88_CONFIG_INVALID for text that is not UTF-8 and NULL.
enum pay88_status pay88_request_add_param(struct pay88_request *request,
                                          const char *name,
                                          size_t name_len,
                                          const char *value,
                                          size_t value_len,
                                          struct pay88_error **error);

// Sets the body, which may be any bytes. They are copied. "Content-Type: application/json" is sent unless you add a
// header that says otherwise.
//
// Limits: 64 MiB.
// Errors: PAY88_CONFIG_INVALID for a longer body and NULL.
enum pay88_status pay88_request_set_body(struct pay88_request *request,
                                         const uint8_t *body,
                                         size_t body_len,
                                         struct pay88_error **error);

// Sets how long the whole call may take, including the wait for a token: 1 to 3600000 ms. With 0, or without a call
// of this function, it is the manager's option "timeout".
//
// Errors: PAY88_CONFIG_INVALID for a value out of range and NULL.
enum pay88_status pay88_request_set_timeout_ms(struct pay88_request *request,
                                               uint64_t timeout_ms,
                                               struct pay88_error **error);

// If safe is not 0, marks the request as one that does no harm when it is sent twice. The library then repeats it
// after a fault. GET, HEAD, OPTIONS and POST /api/balance need no mark. A charge must not have it.
//
// Errors: PAY88_CONFIG_INVALID for NULL.
enum pay88_status pay88_request_set_safe_to_repeat(struct pay88_request *request,
                                                   int safe,
                                                   struct pay88_error **error);

// Releases the request, also while calls with it are pending. NULL is allowed.
void pay88_request_release(struct pay88_request *request);

// The HTTP status; 0 for NULL.
uint16_t pay88_response_status(const struct pay88_response *response);

// The body, as it is. A NUL follows, which `len` does not count, so that you can hand it to a parser of text.
struct pay88_bytes pay88_response_body(const struct pay88_response *response);

// The value of the first header of that name. Upper and lower case do not matter. Empty if there is no such header.
// Not followed by a NUL.
struct pay88_bytes pay88_response_header(const struct pay88_response *response,
                                         const char *name,
                                         size_t name_len);

// The number of headers.
size_t pay88_response_header_count(const struct pay88_response *response);

// The name of the header at an index below pay88_response_header_count(), in lower case; empty for a higher index.
// Headers of one name follow each other. Not followed by a NUL.
struct pay88_str pay88_response_header_name(const struct pay88_response *response,
                                            size_t index);

// The value of the header at an index below pay88_response_header_count(); empty for a higher index. Not followed by
// a NUL.
struct pay88_bytes pay88_response_header_value(const struct pay88_response *response,
                                               size_t index);

// Makes an error of an answer of HTTP status 400 or above: PAY88_HTTP_ERROR, with the status and the message of the
// answer. For a status below 400 the result is PAY88_OK.
enum pay88_status pay88_response_error_for_status(const struct pay88_response *response,
                                                  struct pay88_error **error);

// Releases the response. NULL is allowed.
void pay88_response_release(struct pay88_response *response);

// One number, by its name. NaN for an unknown name. Later releases may add some.
//
//   "manager_id"           the number of the manager
//   "hits"                 cached tokens that were handed out
//   "waits"                callers that had to wait for a token
//   "refreshes"            attempts to get a new token
//   "refreshes_failed"     attempts that brought no token
//   "tokens_issued"        tokens that 88Pay granted to this manager
//   "tokens_shared"        tokens that were taken over from other processes
//   "calls"                calls that were begun
//   "calls_repeated"       how often a call was sent again
//   "calls_failed"         calls that ended without an answer
//   "calls_answered_401"   calls that ended with status 401; also "..._403", "..._404", "..._422" and "..._429"
//   "calls_answered_4xx"   calls that ended with any status of 400 to 499
//   "calls_answered_5xx"   calls that ended with a status of 500 or above
//   "generation"           the number of the cached token; 0 if there is none
//   "token_age"            seconds since that token was asked for, by whichever process; NaN if there is none
//   "token_valid_for"      seconds for which that token will still be handed out
//   "budget_left_minute"   tokens that may still be asked for in this minute
//   "budget_left_hour"     tokens that may still be asked for in this hour
//   "budget_split"         among how many hosts the budget is divided while no store can be used; otherwise 1
//   "hosts"                how many hosts share the token, as far as this one knows; 0 without a store
double pay88_stats_value(const struct pay88_stats *stats,
                         const char *name,
                         size_t name_len);

// All numbers of pay88_stats_value() as one JSON object, and these. Each of the last four is a text or null.
// Followed by a NUL. Has no secret.
//
//   "hold"             the failure of the token endpoint that is remembered: null, or an object with its "class" and the
//                      seconds "left" for which it stops new token requests
//   "share"            who shares the token: "process", "host" or "fleet"
//   "share_path"       the file in which the processes of the host share it
//   "share_degraded"   why they cannot share
//   "store"            the fleet's store that was used last
//   "store_degraded"   why no store can be used
struct pay88_str pay88_stats_json(const struct pay88_stats *stats);

// Releases the snapshot. NULL is allowed.
void pay88_stats_release(struct pay88_stats *stats);

// The number of statuses, without PAY88_OK.
size_t pay88_status_count(void);

// The status at an index below pay88_status_count(), in the order of their numbers; 0 for a higher index.
enum pay88_status pay88_status_at(size_t index);

// The name of a status, which is the same in all languages, such as "rate_limited". "ok" for 0; empty for an unknown
// number. Valid for ever.
struct pay88_str pay88_status_name(int status);

// One sentence that says when a status is used; empty for an unknown number. Valid for ever.
struct pay88_str pay88_status_summary(int status);

// The name of an outcome: "not_sent", "unknown" or "answered"; empty for an unknown number. Valid for ever.
struct pay88_str pay88_outcome_name(int outcome);

// The access token, for "Authorization: Bearer ...". A secret. Not followed by a NUL.
struct pay88_str pay88_token_access_token(const struct pay88_token *token);

// The session ID, for "x-session-id". A secret. Not followed by a NUL.
struct pay88_str pay88_token_session_id(const struct pay88_token *token);

// The life of the token in seconds, as 88Pay granted it. 88Pay counts it from when it issued the token.
uint64_t pay88_token_expires_in(const struct pay88_token *token);

// For how many milliseconds the library will still hand the token out; 0 when that time is over.
uint64_t pay88_token_valid_for_ms(const struct pay88_token *token);

// The number of the token. The tokens of a manager are counted from 1.
uint64_t pay88_token_generation(const struct pay88_token *token);

// Gives another handle of the same token, which you release too. NULL for NULL.
struct pay88_token *pay88_token_retain(const struct pay88_token *token);

// Releases the handle of the token. NULL is allowed.
void pay88_token_release(struct pay88_token *token);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* PAY88_H */
