package pay88

import "encoding/json"

// Stats is what a manager has done so far, and its present state. The names in JSON are the same in all languages. Times are in
// seconds.
type Stats struct {
	// The number of the manager.
	ManagerID uint64 `json:"manager_id"`
	// Cached tokens that were handed out.
	Hits uint64 `json:"hits"`
	// Callers that had to wait for a token.
	Waits uint64 `json:"waits"`
	// Attempts to get a new token, and those that brought none.
	Refreshes       uint64 `json:"refreshes"`
	RefreshesFailed uint64 `json:"refreshes_failed"`
	// Tokens that 88Pay granted to this manager, and those that were taken over from other processes.
	TokensIssued uint64 `json:"tokens_issued"`
	TokensShared uint64 `json:"tokens_shared"`
	// Calls that were begun, how often one was sent again, and those that ended without an answer.
	Calls         uint64 `json:"calls"`
	CallsRepeated uint64 `json:"calls_repeated"`
	CallsFailed   uint64 `json:"calls_failed"`
	// Calls that ended with that status; 4xx is any of 400 to 499, 5xx is 500 and above.
	CallsAnswered401 uint64 `json:"calls_answered_401"`
	CallsAnswered403 uint64 `json:"calls_answered_403"`
	CallsAnswered404 uint64 `json:"calls_answered_404"`
	CallsAnswered422 uint64 `json:"calls_answered_422"`
	CallsAnswered429 uint64 `json:"calls_answered_429"`
	CallsAnswered4xx uint64 `json:"calls_answered_4xx"`
	CallsAnswered5xx uint64 `json:"calls_answered_5xx"`
	// The number of the cached token; 0 if there is none.
	Generation uint64 `json:"generation"`
	// How long ago the cached token was asked for, by whichever process; nil if there is none.
	TokenAge *float64 `json:"token_age"`
	// For how long the cached token will still be handed out.
	TokenValidFor float64 `json:"token_valid_for"`
	// Tokens that may still be asked for in this minute and in this hour.
	BudgetLeftMinute uint64 `json:"budget_left_minute"`
	BudgetLeftHour   uint64 `json:"budget_left_hour"`
	// Among how many hosts the budget is divided while no store can be used; otherwise 1.
	BudgetSplit uint64 `json:"budget_split"`
	// How many hosts share the token, as far as this one knows; 0 without a store.
	Hosts uint64 `json:"hosts"`
	// The failure of the token endpoint that is remembered, or nil.
	Hold *Hold `json:"hold"`
	// Who shares the token: "process", "host" or "fleet".
	Share string `json:"share"`
	// The file in which the processes of the host share it; why they cannot.
	SharePath     string `json:"share_path"`
	ShareDegraded string `json:"share_degraded"`
	// The fleet's store that was used last; why no store can be used.
	Store         string `json:"store"`
	StoreDegraded string `json:"store_degraded"`

	raw string
}

// Hold is a failure of the token endpoint that is remembered.
type Hold struct {
	// Its kind.
	Class string `json:"class"`
	// For how many seconds it still stops new token requests.
	Left float64 `json:"left"`
}

func newStats(raw string) (Stats, error) {
	stats := Stats{raw: raw}
	err := json.Unmarshal([]byte(raw), &stats)
	return stats, err
}

// MarshalJSON is the library's own JSON, which may have more than this structure.
func (s Stats) MarshalJSON() ([]byte, error) {
	if s.raw == "" {
		type plain Stats
		return json.Marshal(plain(s))
	}
	return []byte(s.raw), nil
}
