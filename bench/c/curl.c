/* The contender that charges through libcurl's easy interface, with a handle and headers that are kept. */
#include "contender.h"

#include <curl/curl.h>

static CURL *handle;
static size_t answer_bytes;

/* The answer's body, which every contender has in memory at the end of a call. */
static struct {
    char *bytes;
    size_t length;
} answer;

static size_t receive(char *bytes, size_t size, size_t count, void *user_data) {
    (void)user_data;
    size_t length = size * count;
    char *grown = realloc(answer.bytes, answer.length + length);
    if (grown == NULL)
        return 0;
    memcpy(grown + answer.length, bytes, length);
    answer.bytes = grown;
    answer.length += length;
    return length;
}

static struct curl_slist *header(struct curl_slist *list, const char *name, const char *value) {
    char line[2048];
    if (snprintf(line, sizeof line, "%s: %s", name, value) >= (int)sizeof line)
        fail("a header is too long");
    return curl_slist_append(list, line);
}

static void charge(unsigned long times) {
    for (; times > 0; times--) {
        answer.bytes = NULL;
        answer.length = 0;
        CURLcode code = curl_easy_perform(handle);
        long status = 0;
        if (code != CURLE_OK)
            fail(curl_easy_strerror(code));
        curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
        if (status != 200 || answer.length != answer_bytes)
            fail("another answer");
        free(answer.bytes);
    }
}

int main(int argc, char **argv) {
    const char *name = argc == 2 ? argv[1] : "";
    if (strcmp(name, "--version") == 0)
        return puts(curl_version()) < 0;
    const char *body = told("BENCH_BODY"), *path = "/api/transactions/charges";
    char url[256], bearer[1024], answer_path[64];
    size_t body_length = strlen(body);
    unsigned long sent = length_of(name, "send-"), fetched = length_of(name, "fetch-");
    answer_bytes = strtoul(told("BENCH_ANSWER_BYTES"), NULL, 10);
    if (sent > 0) {
        path = "/api/send";
        body = body_of(sent);
        body_length = sent;
    } else if (fetched > 0) {
        snprintf(answer_path, sizeof answer_path, "/api/answers/%lu", fetched);
        path = answer_path;
        body = NULL;
        answer_bytes = fetched;
    } else if (strcmp(name, "charge") != 0) {
        fail("there is no such contender");
    }
    snprintf(url, sizeof url, "%s%s", told("BENCH_BASE_URL"), path);
    snprintf(bearer, sizeof bearer, "Bearer %s", told("BENCH_ACCESS_TOKEN"));

    curl_global_init(CURL_GLOBAL_DEFAULT);
    handle = curl_easy_init();
    if (handle == NULL)
        fail("no handle");
    struct curl_slist *headers = NULL;
    headers = header(headers, "Authorization", bearer);
    headers = header(headers, "x-session-id", told("BENCH_SESSION_ID"));
    headers = header(headers, "Content-Type", "application/json");
    curl_easy_setopt(handle, CURLOPT_URL, url);
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
    if (body != NULL) {
        curl_easy_setopt(handle, CURLOPT_POSTFIELDS, body);
        curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE, (long)body_length);
    }
    curl_easy_setopt(handle, CURLOPT_USERAGENT, told("BENCH_USER_AGENT"));
    curl_easy_setopt(handle, CURLOPT_CAINFO, told("BENCH_CA"));
    curl_easy_setopt(handle, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(handle, CURLOPT_PROXY, "");
    curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, 30000L);
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, receive);
    int result = serve(charge);
    curl_slist_free_all(headers);
    curl_easy_cleanup(handle);
    curl_global_cleanup();
    return result;
}
