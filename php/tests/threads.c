/*
 * A program with PHP inside, whose own threads run requests at once, as FrankenPHP's do: threads EXTENSION SCRIPT
 *
 * SCRIPT says what they run, in parts, and what has to come of it. Each part has threads of its own. Meanwhile this program
 * looks after what PHP cannot see: the library reads nothing of the environment, which PHP guards by a lock, and its threads
 * take no signal.
 */
#define _GNU_SOURCE
#include <php.h>
#include <php_main.h>
#include <SAPI.h>
#include <sapi/embed/php_embed.h>

#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#ifndef ZTS
#error "This is for a thread-safe PHP."
#endif

#define THREADS 8
#define MOST_REQUESTS 12

static const struct part {
	/* The class of the script. */
	const char *name;
	/* Of each thread. */
	int requests;
	/* An option of php.ini that requests of even threads, or every second request of all, have for themselves alone. */
	const char *option, *value;
	bool every_second;
	/* Whether even threads are sent signals. */
	bool signals;
} parts[] = {
	{"Together", 12, NULL, NULL, false, false},
	{"Precedence", 4, "pay88.user_agent_suffix", "ini/%d.%d", false, false},
	{"Secrets", 6, "pay88.api_key", "sk_test_sandbox_thread_%d", true, false},
	{"Waiting", 1, NULL, NULL, false, false},
	{"Ends", 12, NULL, NULL, false, false},
	{"Events", 4, NULL, NULL, false, false},
	{"Signals", 1, NULL, NULL, false, true},
	{"Limits", 2, NULL, NULL, false, false},
};
#define PARTS (sizeof parts / sizeof *parts)

static const char *script;
static const struct part *part;
static char *results[THREADS][MOST_REQUESTS];
static pthread_barrier_t together;
static _Atomic int ended, environment_reads;

/* The library's calls come here too, since a program's functions go before those of libraries. */
static char *read_environment(const char *function, const char *name, const void *caller)
{
	Dl_info info;
	if (dladdr(caller, &info) && info.dli_fname && strstr(info.dli_fname, "libpay88")) {
		fprintf(stderr, "the library has read %s\n", name);
		environment_reads++;
	}
	char *(*next)(const char *);
	*(void **)&next = dlsym(RTLD_NEXT, function);
	return next(name);
}

char *getenv(const char *name)
{
	return read_environment("getenv", name, __builtin_return_address(0));
}

char *secure_getenv(const char *name)
{
	return read_environment("secure_getenv", name, __builtin_return_address(0));
}

/* What the script says, as a copy; NULL unless it is a text. */
static char *evaluate(const char *program)
{
	char *text = NULL;
	zend_first_try {
		zval result;
		ZVAL_UNDEF(&result);
		if (zend_eval_string_ex(program, &result, "threads", true) == SUCCESS && Z_TYPE(result) == IS_STRING) {
			text = strdup(Z_STRVAL(result));
		}
		zval_ptr_dtor(&result);
	} zend_end_try();
	return text;
}

static const char *why_it_ended(void)
{
	return PG(last_error_message) ? ZSTR_VAL(PG(last_error_message)) : "nobody knows why";
}

/* An option of php.ini for this request alone, as Apache's php_admin_value and sections of php.ini give it. */
static void give_option(int thread, int request)
{
	if (!part->option || (part->every_second ? request : thread) % 2) {
		return;
	}
	char value[64];
	int length = snprintf(value, sizeof value, part->value, thread, request);
	zend_string *name = zend_string_init(part->option, strlen(part->option), false);
	zend_alter_ini_entry_chars(name, value, (size_t)length, PHP_INI_SYSTEM, PHP_INI_STAGE_ACTIVATE);
	zend_string_release(name);
}

static char *run_request(int thread, int request)
{
	if (php_request_startup() != SUCCESS) {
		return strdup("no request");
	}
	SG(headers_sent) = 1;
	SG(request_info).no_headers = 1;
	give_option(thread, request);
	char program[4096];
	snprintf(program, sizeof program, "(function () { require '%s'; return %s::run(%d, %d); })()", script, part->name, thread, request);
	char *result = evaluate(program);
	if (!result) {
		const char *why = why_it_ended();
		/* Without the file. */
		const char *end = strstr(why, " in /");
		int length = end ? (int)(end - why) : (int)strlen(why);
		if (asprintf(&result, "ended: %.*s", length, why) < 0) {
			result = NULL;
		}
	}
	if (part->signals) {
		/* The end of a request takes the handlers of all threads away: that is PHP's way. */
		pthread_barrier_wait(&together);
	}
	php_request_shutdown(NULL);
	return result;
}

static void *run_thread(void *number)
{
	int thread = (int)(intptr_t)number;
	ts_resource(0);
	pthread_barrier_wait(&together);
	for (int request = 0; request < part->requests; request++) {
		results[thread][request] = run_request(thread, request);
	}
	ts_free_thread();
	ended++;
	return NULL;
}

/* Changes the environment as PHP's putenv() does, with PHP's lock. */
static void change_environment(void)
{
	static const char prefix[] = "PAY88_TEST_CHANGED=";
	static char variables[2][sizeof prefix + 1] = {"PAY88_TEST_CHANGED=0", "PAY88_TEST_CHANGED=1"};
	static unsigned turn;
	extern char **environ;
	tsrm_env_lock();
	char **variable = environ;
	while (*variable && strncmp(*variable, prefix, strlen(prefix))) {
		variable++;
	}
	if (*variable) {
		*variable = variables[turn++ % 2];
	} else {
		putenv(variables[turn++ % 2]);
	}
	tsrm_env_unlock();
}

/* How many threads of the library there are; -1 if one would take a signal. */
static int look_at_threads(void)
{
	/* The others cannot be blocked: two are the C library's own. */
	const uint64_t all = ~(1ull << (SIGKILL - 1) | 1ull << (SIGSTOP - 1) | 1ull << 31 | 1ull << 32);
	DIR *tasks = opendir("/proc/self/task");
	int found = 0;
	for (struct dirent *task; tasks && (task = readdir(tasks));) {
		char path[300], line[256], name[64] = "";
		snprintf(path, sizeof path, "/proc/self/task/%s/status", task->d_name);
		FILE *status = fopen(path, "r");
		while (status && fgets(line, sizeof line, status)) {
			unsigned long long blocked;
			sscanf(line, "Name: %63s", name);
			if (sscanf(line, "SigBlk: %llx", &blocked) == 1 && !strncmp(name, "pay88", strlen("pay88"))) {
				found++;
				if ((blocked & all) != all) {
					fprintf(stderr, "the thread %s takes signals: only %llx are blocked\n", name, blocked);
					found = -1;
				}
			}
		}
		if (status) {
			fclose(status);
		}
		if (found < 0) {
			break;
		}
	}
	if (tasks) {
		closedir(tasks);
	}
	return found;
}

/* Runs a part; whether all was right. */
static bool run_part(const struct part *which, int *library_threads)
{
	part = which;
	ended = 0;
	bool right = true;
	char program[256];
	snprintf(program, sizeof program, "%s::prepare(%d) ?? ''", part->name, THREADS);
	char *text = evaluate(program);
	if (!text) {
		fprintf(stderr, "%s: it could not be prepared: %s\n", part->name, why_it_ended());
		return false;
	}
	free(text);
	pthread_t threads[THREADS];
	for (int i = 0; i < THREADS; i++) {
		pthread_create(&threads[i], NULL, run_thread, (void *)(intptr_t)i);
	}
	while (ended < THREADS) {
		int found = look_at_threads();
		right = right && found >= 0;
		*library_threads += found > 0;
		for (int i = 0; part->signals && i < THREADS; i += 2) {
			pthread_kill(threads[i], SIGUSR1);
		}
		for (int i = 0; i < 1000; i++) {
			change_environment();
		}
		usleep(20000);
	}
	zval all;
	array_init_size(&all, THREADS);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		zval own;
		array_init_size(&own, (uint32_t)part->requests);
		for (int request = 0; request < part->requests; request++) {
			add_next_index_string(&own, results[i][request]);
			free(results[i][request]);
		}
		add_next_index_zval(&all, &own);
	}
	zend_hash_str_update(&EG(symbol_table), ZEND_STRL("results"), &all);
	snprintf(program, sizeof program, "told_by(['%s', 'check'], $results)", part->name);
	text = evaluate(program);
	if (!text || *text) {
		fprintf(stderr, "%s:\n%s\n", part->name, text ? text : why_it_ended());
		right = false;
	}
	free(text);
	return right;
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: %s EXTENSION SCRIPT\n", argv[0]);
		return 2;
	}
	script = argv[2];
	char settings[] = "/tmp/pay88-threads-XXXXXX";
	int file = mkstemp(settings);
	/* What ends a request is looked at, not shown. */
	dprintf(file, "extension=%s\ndisplay_errors=0\nlog_errors=0\nhtml_errors=0\n", argv[1]);
	close(file);
	/* Threads begin with it blocked, and take it when their script is ready. */
	sigset_t blocked;
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &blocked, NULL);
	php_embed_module.php_ini_path_override = settings;
	php_embed_module.phpinfo_as_text = 1;
	if (php_embed_init(0, NULL) != SUCCESS) {
		return 1;
	}
	unlink(settings);
	char program[4096];
	snprintf(program, sizeof program, "(function () { require '%s'; return ''; })()", script);
	free(evaluate(program));
	pthread_barrier_init(&together, NULL, THREADS);
	size_t right = 0;
	int library_threads = 0;
	for (size_t i = 0; i < PARTS; i++) {
		right += run_part(&parts[i], &library_threads);
	}
	php_embed_shutdown();
	printf("%zu of %zu parts in %d threads were right, a thread of the library was seen %d times, it read the environment %d times\n",
		right, PARTS, THREADS, library_threads, environment_reads);
	return right == PARTS && library_threads > 0 && environment_reads == 0 ? 0 : 1;
}
