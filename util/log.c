// SPDX-License-Identifier: GPL-2.0-or-later
// Messages for the person who runs kvik, on stderr.

#include "log.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#undef fail // log.h: what the static analyzer sees
#undef fail_msg

#define PREFIX_SIZE 256 // a VM's name, or a file's
#define LINE_SIZE 1024  // bytes, prefix and line end included

#define RATELIMIT_WINDOW_NS (10 * NSEC_PER_SEC)
#define RATELIMIT_BURST 5

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARNING] = "warning",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};
static_assert(ARRAY_SIZE(level_names) == LOG_LEVEL_COUNT, "a name for each level");

// The only process-wide state of kvik: there is one stderr.
static struct {
	atomic_int level;
	atomic_bool raw_terminal;
	pthread_mutex_t lock; // guards the prefix, and all rate limits; a leaf
	char prefix[PREFIX_SIZE];
} log_state = {
	.level = LOG_LEVEL_INFO,
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.prefix = "kvik run",
};

void log_set_level(enum log_level level)
{
	atomic_store(&log_state.level, level);
}

enum log_level log_get_level(void)
{
	return atomic_load(&log_state.level);
}

int log_parse_level(const char *name, enum log_level *level)
{
	for (unsigned i = 0; i < LOG_LEVEL_COUNT; i++) {
		if (!strcmp(name, level_names[i])) {
			*level = i;
			return 0;
		}
	}
	return -EINVAL;
}

void log_set_prefix(const char *prefix)
{
	pthread_mutex_lock(&log_state.lock);
	snprintf(log_state.prefix, sizeof(log_state.prefix), "%s", prefix);
	pthread_mutex_unlock(&log_state.lock);
}

void log_set_raw_terminal(bool raw)
{
	atomic_store(&log_state.raw_terminal, raw);
}

// A line under construction: what does not fit is cut.
struct line {
	char text[LINE_SIZE];
	size_t len;
};

#define LINE_ROOM (LINE_SIZE - 2) // CR LF always fits

PRINTF_LIKE(2, 0)
static void line_vadd(struct line *line, const char *fmt, va_list args)
{
	int added = vsnprintf(line->text + line->len, LINE_ROOM - line->len, fmt, args);

	if (added > 0)
		line->len += MIN((size_t)added, LINE_ROOM - line->len - 1);
}

PRINTF_LIKE(2, 3)
static void line_add(struct line *line, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	line_vadd(line, fmt, args);
	va_end(args);
}

static void line_begin(struct line *line)
{
	pthread_mutex_lock(&log_state.lock);
	line_add(line, "%s: ", log_state.prefix);
	pthread_mutex_unlock(&log_state.lock);
}

// Guest strings and file names may reach a message; they must not move the cursor.
static void line_mask_controls(struct line *line)
{
	for (size_t i = 0; i < line->len; i++) {
		unsigned char c = line->text[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			line->text[i] = '?';
	}
}

static void line_end(struct line *line)
{
	if (atomic_load(&log_state.raw_terminal))
		line->text[line->len++] = '\r';
	line->text[line->len++] = '\n';
}

// One write(2) for the whole line, so that lines of several threads do not mix.
static void line_send(const struct line *line)
{
	size_t sent = 0;

	while (sent < line->len) {
		ssize_t n = write(STDERR_FILENO, line->text + sent, line->len - sent);

		if (n > 0)
			sent += n;
		else if (n < 0 && errno != EINTR)
			return; // nobody is left who could be told
	}
}

// @errnum stands behind "%m" in @fmt, and at the end if @explain.
PRINTF_LIKE(4, 0)
static void log_line(enum log_level level, int errnum, bool explain, const char *fmt, va_list args)
{
	struct line line = { .len = 0 };
	int saved_errno = errno;

	if ((int)level > atomic_load(&log_state.level))
		return;
	line_begin(&line);
	if (level == LOG_LEVEL_WARNING || level == LOG_LEVEL_DEBUG)
		line_add(&line, "%s: ", level_names[level]);
	errno = errnum;
	line_vadd(&line, fmt, args);
	errno = errnum;
	if (explain)
		line_add(&line, ": %m");
	line_mask_controls(&line);
	line_end(&line);
	line_send(&line);
	errno = saved_errno;
}

void log_write(enum log_level level, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	log_line(level, errno, false, fmt, args);
	va_end(args);
}

int fail(int errnum, const char *fmt, ...)
{
	va_list args;

	assert(errnum > 0);
	va_start(args, fmt);
	log_line(LOG_LEVEL_ERROR, errnum, true, fmt, args);
	va_end(args);
	return -errnum;
}

int fail_msg(int errnum, const char *fmt, ...)
{
	va_list args;

	assert(errnum > 0);
	va_start(args, fmt);
	log_line(LOG_LEVEL_ERROR, errnum, false, fmt, args);
	va_end(args);
	return -errnum;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
}

// Returns how many messages the window that ended held back.
static unsigned ratelimit_roll(struct log_ratelimit *rl, uint64_t now)
{
	unsigned suppressed = rl->suppressed;

	if (rl->window_start_ns && now - rl->window_start_ns < RATELIMIT_WINDOW_NS)
		return 0;
	*rl = (struct log_ratelimit){ .window_start_ns = now };
	return suppressed;
}

bool log_ratelimit_ok(struct log_ratelimit *rl)
{
	unsigned suppressed;
	bool ok;

	pthread_mutex_lock(&log_state.lock);
	suppressed = ratelimit_roll(rl, now_ns());
	ok = rl->count < RATELIMIT_BURST;
	if (ok)
		rl->count++;
	else
		rl->suppressed++;
	pthread_mutex_unlock(&log_state.lock);

	if (suppressed)
		warn("%u messages like the next one were left out", suppressed);
	return ok;
}
