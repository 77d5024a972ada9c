package pay88

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Config has the options of a manager. An option that is zero comes from its environment variable, EIGHTY_EIGHT_PAY_ and the
// name in capitals with underscores, such as EIGHTY_EIGHT_PAY_API_KEY; otherwise it has its default.
//
// A Config that is printed, logged or encoded as JSON shows no secret. Its fields are plain text all the same, and
// fmt asks no method of what is in an unexported field: do not keep a Config in a structure that you print.
type Config struct {
	// API key from the dashboard, sk_test_… or sk_live_….
	APIKey string
	// Merchant ID, MCH-{COUNTRY}-{ID}.
	MerchantID string
	// Address of 88Pay. The default is its sandbox; production is https://api.88pay.io.
	BaseURL string
	// The key before the present one. It is used for up to 24 hours while 88Pay does not accept the new one.
	PreviousAPIKey string
	// How long a call may take in all, including the wait for a token, if its context has no deadline; at most an hour. The default
	// is 30 s.
	Timeout time.Duration
	// How long it may take to make a connection; at most an hour. The default is 5 s.
	ConnectTimeout time.Duration
	// PEM file of the certificate authorities to trust for 88Pay, in place of the system's.
	CABundle string
	// HTTP proxy, http://[user:password@]host:port, used for https by CONNECT; "none" for no proxy.
	Proxy string
	// Who shares the token: "host" (the default), "host:<dir>", "process", or the URLs of stores.
	Share string
	// How long before its end a token is no longer handed out. The default is 10 s.
	SafetyMargin time.Duration
	// How many tokens may be asked for in any minute. The default is 10.
	TokensPerMinute int
	// How many tokens may be asked for in any hour. The default is 100.
	TokensPerHour int
	// The largest answer that a call reads. The default is 16 MiB.
	MaxResponseBytes int
	// How long a connection is kept that is not in use. The default is 45 s. NoIdle keeps none.
	IdleTimeout time.Duration
	// How many connections to 88Pay calls may have open at once; further calls wait in turn. The default is 64.
	MaxConnections int
	// Text that is added to the User-Agent, for example "my-shop/1.2".
	UserAgentSuffix string

	// Options by their names in the table of all languages, such as "idle_timeout", as text as in the environment variable. It is
	// for programs that read them from somewhere. None may have a field that is set too.
	Options map[string]string

	// The environment that options are read from, as in os/exec.Cmd: nil is os.Environ(), an empty list is none.
	Env []string
}

// NoIdle is the IdleTimeout with which no connection is kept.
const NoIdle time.Duration = -1

type option struct {
	name   string
	secret bool
	// What it is set to, as text; empty if it is not set.
	text func(*Config) string
}

// The rows of the table of options, in its order.
var options = []option{
	{"api_key", true, func(c *Config) string { return c.APIKey }},
	{"merchant_id", false, func(c *Config) string { return c.MerchantID }},
	{"base_url", false, func(c *Config) string { return c.BaseURL }},
	{"previous_api_key", true, func(c *Config) string { return c.PreviousAPIKey }},
	{"timeout", false, func(c *Config) string { return seconds(c.Timeout) }},
	{"connect_timeout", false, func(c *Config) string { return seconds(c.ConnectTimeout) }},
	{"ca_bundle", false, func(c *Config) string { return c.CABundle }},
	{"proxy", true, func(c *Config) string { return c.Proxy }},
	{"share", true, func(c *Config) string { return c.Share }},
	{"safety_margin", false, func(c *Config) string { return seconds(c.SafetyMargin) }},
	{"tokens_per_minute", false, func(c *Config) string { return count(c.TokensPerMinute) }},
	{"tokens_per_hour", false, func(c *Config) string { return count(c.TokensPerHour) }},
	{"max_response_bytes", false, func(c *Config) string { return count(c.MaxResponseBytes) }},
	{"idle_timeout", false, func(c *Config) string {
		if c.IdleTimeout == NoIdle {
			return "0"
		}
		return seconds(c.IdleTimeout)
	}},
	{"max_connections", false, func(c *Config) string { return count(c.MaxConnections) }},
	{"user_agent_suffix", false, func(c *Config) string { return c.UserAgentSuffix }},
}

func seconds(duration time.Duration) string {
	if duration == 0 {
		return ""
	}
	return strconv.FormatFloat(duration.Seconds(), 'f', -1, 64)
}

func count(number int) string {
	if number == 0 {
		return ""
	}
	return strconv.Itoa(number)
}

// Names and values in turn of the options that are set.
func (c *Config) set() ([]string, *Error) {
	var set []string
	for _, option := range options {
		if text := option.text(c); text != "" {
			if _, twice := c.Options[option.name]; twice {
				return nil, invalid("The option "+option.name+" is set twice.", "Set its field or its text in Options, not both.")
			}
			set = append(set, option.name, text)
		}
	}
	for _, name := range sortedKeys(c.Options) {
		set = append(set, name, c.Options[name])
	}
	return set, nil
}

func (c *Config) environment() []string {
	if c.Env != nil {
		return c.Env
	}
	return os.Environ()
}

func sortedKeys[V any](of map[string]V) []string {
	keys := make([]string, 0, len(of))
	for key := range of {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}

const hidden = "<hidden>"

// What may be shown of a text that the user typed: nothing if it has a password, or a key in the wrong place.
func shown(text string) string {
	for _, mark := range []string{"sk_test_", "sk_live_", "@"} {
		if strings.Contains(text, mark) {
			return hidden
		}
	}
	return text
}

// What is set, without secrets.
func (c *Config) shown() map[string]string {
	all := map[string]string{}
	for _, option := range options {
		if text := option.text(c); text != "" {
			all[option.name] = shown(text)
			if option.secret {
				all[option.name] = hidden
			}
		}
	}
	for name, text := range c.Options {
		all[shown(name)] = hidden
		if at := slices.IndexFunc(options, func(one option) bool { return one.name == name }); at >= 0 && !options[at].secret {
			all[name] = shown(text)
		}
	}
	return all
}

// Format prints what is set, without secrets.
func (c Config) Format(state fmt.State, _ rune) {
	fmt.Fprintf(state, "pay88.Config%s", strings.TrimPrefix(fmt.Sprint(c.shown()), "map"))
}

// LogValue is what is set, without secrets.
func (c Config) LogValue() slog.Value {
	shown := c.shown()
	var attributes []slog.Attr
	for _, name := range sortedKeys(shown) {
		attributes = append(attributes, slog.String(name, shown[name]))
	}
	return slog.GroupValue(attributes...)
}

// MarshalJSON is what is set, without secrets.
func (c Config) MarshalJSON() ([]byte, error) { return json.Marshal(c.shown()) }
