#!/usr/bin/env python3
"""Writes a C program that calls every function of pay88.h with every bad argument that can be told from a good one.

    arguments.py include/pay88.h > arguments.c

For each function all arguments are good but one: each pointer is NULL in turn, each text too long, not UTF-8, or missing
with a length, each time too long, each index and number one that does not exist. What has to come back follows from the
types, and from the tables below where the header promises something else.
"""
import re
import sys

# Texts that may be any bytes, as in an environment.
ANY_BYTES = {("pay88_config_set_variable", "value")}
# NULL here is a meaning, not a mistake.
OPTIONAL = {
    "error", "interrupt", "interrupt_data", "user_data", "destroy", "call",
    ("pay88_manager_invalidate", "token"), ("pay88_manager_invalidate", "dropped"),
}
# The neutral value, where it is not zero or empty.
NEUTRAL = {
    "pay88_error_outcome": "got == PAY88_OUTCOME_UNKNOWN",
    "pay88_error_retry_after_ms": "got == -1",
    "pay88_completions_fd": "got == -1",
    "pay88_events_fd": "got == -1",
    "pay88_manager_is_closed": "got",
    "pay88_stats_value": "got != got",
}
GOOD = {
    "timeout_ms": "5000", "index": "0", "status": "301", "outcome": "1", "capacity": "10", "safe": "1", "keep_old": "1",
    "user_data": "&tally", ("pay88_events_next", "timeout_ms"): "10", "interrupt_data": "&tally", "interrupt": "never", "destroy": "tally_destroy",
    "call": "&call", "error": "&error", "dropped": "&dropped", "tag": "7", "count": "&count", "current": "&current", "uses": "3",
}
TEXT = {
    ("pay88_config_set", "name"): "timeout", ("pay88_config_set", "value"): "7", "method": "GET", "endpoint": "/api/echo",
    "name": "x-test", "value": "1", "body": "{}", "api_key": "sk_test_sandbox_ffeeddccbbaa9988",
}
# Where the variable that holds a handle is not called as the parameter is.
HANDLES = {"pay88_response *": "answer", "pay88_token *": "cached", "pay88_error *": "failure", "pay88_call *": "pending"}
BAD_NUMBERS = {
    "index": ["SIZE_MAX", "100000"], "status": ["-1", "1", "302302", "INT_MAX", "INT_MIN"],
    "outcome": ["-1", "3", "INT_MAX", "INT_MIN"], "capacity": ["0", "1000001", "SIZE_MAX"],
    "timeout_ms": ["3600001", "UINT64_MAX"],
}
LIMIT = re.compile(r"(\w+) (\d+) (bytes|KiB|MiB)")

PROGRAM = """/* Made by arguments.py from pay88.h. */
#include "support.h"
#include <limits.h>

static struct tally tally;
static unsigned started, quiet_started, quiet_ended, queued, completed;
static int never(void *data) { CHECK(data == &tally || data == NULL); return 0; }
static void quiet(void) {
    pthread_mutex_lock(&tally.lock);
    quiet_ended++;
    pthread_mutex_unlock(&tally.lock);
}
static void quiet_token(void *data, pay88_status status, pay88_token *token, pay88_error *error) {
    (void)data, (void)status;
    pay88_token_release(token);
    pay88_error_release(error);
    quiet();
}
static void quiet_response(void *data, pay88_status status, pay88_response *response, pay88_error *error) {
    (void)data, (void)status;
    pay88_response_release(response);
    pay88_error_release(error);
    quiet();
}
static void complete(pay88_completion *taken, size_t count) {
    for (size_t i = 0; i < count; i++, completed++) {
        CHECK(taken[i].tag == 7 && taken[i].status == PAY88_OK);
        pay88_token_release(taken[i].token);
        pay88_response_release(taken[i].response);
    }
}
static int empty(pay88_str text) { return text.len == 0 && text.data != NULL; }
static int no_bytes(pay88_bytes bytes) { return bytes.len == 0 && bytes.data != NULL; }

static void invalid(const char *where, pay88_status status, pay88_error *error, const char *name, int has_error) {
    if (status != PAY88_CONFIG_INVALID || (has_error && (!error || !strstr(pay88_error_message(error).data, name)
                                                         || !pay88_error_hint(error).len))) {
        fprintf(stderr, "%s: status %d, and the error should name %s\\n", where, (int)status, name);
        fail(__FILE__, __LINE__, where, error);
    }
    pay88_error_release(error);
}

int main(void) {
    pay88_config *config = NULL;
    pay88_manager *manager = NULL, *idle = fresh_manager();
    pay88_request *request = NULL;
    pay88_response *answer = NULL;
    pay88_token *cached = NULL;
    pay88_stats *stats = NULL;
    pay88_events *events = NULL;
    pay88_event *event = NULL;
    pay88_error *failure = NULL;
    pay88_call *pending = NULL;
    pay88_completions *completions = NULL;
    pay88_completion taken[10];
    size_t count = 0;
    pay88_current current;
    char *long_text = malloc((64u << 20) + 2);
    unsigned calls = 0;
    CHECK(long_text != NULL);
    memset(long_text, 'x', (64u << 20) + 2);
    reset();
    tally_init(&tally);
    config = fresh_config();
    OK(pay88_manager_new(config, &manager, &error));
    request = request_of("GET", "/api/echo", NULL);
    OK(pay88_events_open(100, &events, &error));
    OK(pay88_completions_open(&completions, &error));
    OK(pay88_manager_get_token(manager, 0, NULL, NULL, &cached, &error));
    OK(pay88_manager_send(manager, request, NULL, NULL, &answer, &error));
    OK(pay88_manager_stats(manager, &stats, &error));
    OK(pay88_events_next(events, 1000, &event, &error));
    CHECK(event != NULL);
    OK(pay88_manager_get_token_async(manager, 0, tally_token, &tally, tally_destroy, &pending, &error));
    started++;
    CHECK(pay88_request_new("GET", 3, NULL, 1, &request, &failure) == PAY88_CONFIG_INVALID);

@CALLS@
    tally_wait(&tally, started, 20000);
    for (int i = 0; i < 1000 && quiet_ended < quiet_started; i++)
        sleep_ms(20);
    CHECK(quiet_ended == quiet_started);
    for (int i = 0; i < 1000 && completed < queued; i++) {
        sleep_ms(20);
        OK(pay88_completions_next(completions, taken, 10, &count, &error));
        complete(taken, count);
    }
    CHECK(completed == queued);
    pay88_completions_release(completions);
    pay88_call_release(pending);
    pay88_event_release(event);
    pay88_events_release(events);
    pay88_stats_release(stats);
    pay88_error_release(failure);
    pay88_response_release(answer);
    pay88_token_release(cached);
    pay88_request_release(request);
    pay88_manager_release(manager);
    pay88_manager_release(idle);
    pay88_config_release(config);
    free(long_text);
    printf("  %u calls\\n", calls);
    CHECK(calls == @COUNT@);
    return 0;
}
"""


def functions(header):
    """(comment, result, name, [(type, name)]) of each function."""
    found = re.findall(r"((?:^//.*\n)+)^([\w ]+?[ *]+)(pay88_\w+)\(([^;]*?)\);", header, re.M)
    for comment, result, name, arguments in found:
        arguments = " ".join(arguments.split())
        parsed = []
        for argument in [] if arguments == "void" else arguments.split(", "):
            kind, argument_name = re.fullmatch(r"(.*?[ *]+)(\w+)", argument).groups()
            parsed.append((kind.strip(), argument_name))
        yield comment, result.strip(), name, parsed


def plain(kind):
    return re.sub(r"\b(const|struct|enum) ", "", kind)


class Function:
    def __init__(self, comment, result, name, arguments):
        self.result, self.name, self.arguments = plain(result), name, arguments
        self.names = [n for _, n in arguments]
        limits = comment[comment.find("Limits:"):].splitlines()[0] if "Limits:" in comment else ""
        units = {"bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20}
        self.limits = {n: int(size) * units[unit] for n, size, unit in LIMIT.findall(limits.replace("Limits:", "Limits"))}
        self.fails = ("struct pay88_error **", "error") in arguments

    def is_text(self, name):
        return name + "_len" in self.names

    def text(self, name):
        return TEXT.get((self.name, name), TEXT.get(name))

    def limit(self, name):
        # "Limits: key 64 KiB" and "Limits: 64 MiB" name the only text there is.
        texts = [n for n in self.names if self.is_text(n)]
        if name in self.limits:
            return self.limits[name]
        if len(texts) == 1 and len(self.limits) == 1:
            return next(iter(self.limits.values()))
        return 256

    def good(self, kind, name):
        kind = plain(kind)
        if self.is_text(name):
            text = '"%s"' % self.text(name)
            return "(const uint8_t *)" + text if kind == "uint8_t *" else text
        if name.endswith("_len"):
            return str(len(self.text(name[:-4])))
        if kind not in HANDLES and (self.name, name) in GOOD:
            return GOOD[self.name, name]
        if kind not in HANDLES and name in GOOD:
            return GOOD[name]
        if kind.endswith("callback"):
            return "tally_token" if "token" in kind else "tally_response"
        # Forgets its key or its token in these, so it is one that nobody else uses.
        if kind == "pay88_manager *":
            return "idle" if self.name in ("pay88_manager_rotate", "pay88_manager_invalidate") else "manager"
        if kind in HANDLES:
            return HANDLES[kind]
        if kind.endswith("**"):
            return "&made_" + kind.split()[0][6:]
        return name

    def call(self, changes):
        values = [changes.get(n, self.good(k, n)) for k, n in self.arguments]
        return "%s(%s)" % (self.name, ", ".join(values))

    def check(self, changes, bad, wanted):
        """One call. `wanted` is "invalid", "ok" or "neutral"."""
        call = self.call(changes)
        lines = ["    {"]
        outs = [(plain(k).split()[0], n) for k, n in self.arguments if plain(k).endswith("**") and n != "error"]
        for kind, name in outs:
            # A value that no function gives, to see whether it was written.
            lines.append("        %s *%s = (%s *)&tally;" % (kind, self.out(name), kind))
        if "count" in self.names:
            lines.append("        count = 99;")
        if "dropped" in self.names:
            lines.append("        bool dropped = false; (void)dropped;")
        if self.fails:
            lines.append("        pay88_error *error = NULL;")
            lines.append("        pay88_status status = %s;" % call)
            if wanted == "ok":
                lines.append("        if (status != PAY88_OK) fail(__FILE__, __LINE__, %s, error);" % quoted(call))
            else:
                has_error = int(changes.get("error") != "NULL")
                lines.append('        invalid(%s, status, error, "%s", %d);' % (quoted(call), bad, has_error))
            for kind, name in outs:
                written = wanted == "ok" and changes.get(name) != "NULL"
                lines.append("        CHECK((void *)%s %s (void *)&tally);" % (self.out(name), "!=" if written else "=="))
                if written:
                    lines.append("        %s_release(%s);" % (kind, self.out(name)))
            if "count" in self.names:
                lines.append("        complete(taken, count);" if wanted == "ok" else "        CHECK(count == 99);")
            if "tag" in self.names and wanted == "ok":
                lines.append("        queued++;")
            if "destroy" in self.names and changes.get("destroy") != "NULL":
                lines.append("        started++;")
                lines.append("        tally_wait(&tally, started, 10000);")
            elif "destroy" in self.names and wanted == "ok":
                lines.append("        quiet_started++;")
        else:
            lines.append("        %s%s;" % ("" if self.result == "void" else self.kind_of_result() + " got = ", call))
            if wanted == "neutral" and self.result != "void":
                views = {"pay88_str": "empty(got)", "pay88_bytes": "no_bytes(got)"}
                lines.append("        CHECK(%s);" % NEUTRAL.get(self.name, views.get(self.result, "!got")))
        lines += ["        calls++;", "    }"]
        return "\n".join(lines)

    def kind_of_result(self):
        return "const " + self.result if "*" in self.result else self.result

    def out(self, name):
        kind = next(plain(k) for k, n in self.arguments if n == name)
        return "call" if name == "call" else "made_" + kind.split()[0][6:]

    def pointers(self):
        for kind, name in self.arguments:
            if "*" in kind or kind.startswith("pay88_") and ("callback" in kind or kind in ("pay88_interrupt", "pay88_destroy")):
                yield name

    def cases(self):
        bad_result = "invalid" if self.fails else "neutral"
        for name in self.pointers():
            optional = self.fails and (name in OPTIONAL or (self.name, name) in OPTIONAL)
            changes = {name: "NULL"}
            if name in ("destroy", "user_data"):
                # Callbacks that are handed nothing, or after which nothing comes.
                changes["destroy"] = "NULL"
                changes["callback"] = "quiet_token" if "token" in self.name else "quiet_response"
            yield self.check(changes, name, "ok" if optional else bad_result)
        if list(self.pointers()):
            changes = {name: "NULL" for name in self.pointers()}
            yield self.check(changes, self.names[0], bad_result)
        for kind, name in self.arguments:
            if self.is_text(name):
                cast = "(const uint8_t *)" if "uint8_t" in kind else ""
                limit = self.limit(name)
                for changes in (
                    # Refused before a byte is read: the address is nobody's.
                    {name: "(const void *)16", name + "_len": "SIZE_MAX"},
                    {name: "(const void *)16", name + "_len": str(limit + 1)},
                    {name: cast + "long_text", name + "_len": str(limit + 1)},
                ):
                    yield self.check(changes, name, bad_result)
                for changes in () if cast else (
                    {name: '"a\\xff"', name + "_len": "2"}, {name: '"\\xc3"', name + "_len": "1"},
                    {name: '"\\xed\\xa0\\x80"', name + "_len": "3"},
                ):
                    yield self.check(changes, name, "ok" if (self.name, name) in ANY_BYTES else bad_result)
            for value in BAD_NUMBERS.get(name, []):
                yield self.check({name: value}, name, bad_result)


def quoted(text):
    return '"%s"' % text.replace("\\", "\\\\").replace('"', '\\"')


def main():
    header = open(sys.argv[1], encoding="utf-8").read()
    all_functions = [Function(*f) for f in functions(header)]
    declared = set(re.findall(r"\b(pay88_\w+)\(", re.sub(r"//.*|/\*[\s\S]*?\*/", "", header)))
    missed = declared - {f.name for f in all_functions}
    assert not missed, "not understood: %s" % missed
    cases = [case for f in all_functions for case in f.cases()]
    # Handles that a function takes back are tried with NULL only: a good one would be gone.
    print(PROGRAM.replace("@CALLS@", "\n".join(cases)).replace("@COUNT@", str(len(cases))))


main()
