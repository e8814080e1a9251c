// SPDX-License-Identifier: GPL-2.0-or-later
// Messages for the person who runs kvik, on stderr; stdout belongs to the guest.
//
// All functions may be called from any thread. A message is one line without
// the newline; it names the object, the value and the remedy.
#ifndef KVIK_LOG_H
#define KVIK_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "util.h"

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_COUNT
};

// Messages above @level are dropped. Default: LOG_LEVEL_INFO.
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

// Finds the level called @name ("error", "warning", "info", "debug").
// Returns 0, or -EINVAL without a message.
int log_parse_level(const char *name, enum log_level *level) MUST_CHECK;

// Text before each message: "kvik run" at first, then the VM's name.
// Copied (truncated at 255 bytes).
void log_set_prefix(const char *prefix);

// While a raw terminal is in use a message must end in CR LF.
void log_set_raw_terminal(bool raw);

void log_write(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define err(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define warn(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)
// What somebody has just asked for: no level drops it.
#define log_asked(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)

// Logs "<message>: <strerror(errnum)>" as an error and returns -errnum, so that
// the place that knows the details is the only one that reports:
//	return fail(errno, "open %s", path);
// @errnum 0 is a bug of the caller's. fail_msg() leaves strerror() out, for a message
// that ends in the remedy; "%m" in its @fmt puts it where it belongs.
int fail(int errnum, const char *fmt, ...) PRINTF_LIKE(2, 3);
int fail_msg(int errnum, const char *fmt, ...) PRINTF_LIKE(2, 3);
#ifdef __clang_analyzer__ // else it thinks that these could return 0
#define fail(errnum, ...) (fail(errnum, __VA_ARGS__), -1)
#define fail_msg(errnum, ...) (fail_msg(errnum, __VA_ARGS__), -1)
#endif

// Lets a guest-triggered message through at most 5 times in 10 seconds;
// zero-initialise. The first message after a suppressed run says how many were.
struct log_ratelimit {
	uint64_t window_start_ns;
	unsigned count;
	unsigned suppressed;
};
bool log_ratelimit_ok(struct log_ratelimit *rl);

#define warn_ratelimited(rl, ...)          \
	do {                               \
		if (log_ratelimit_ok(rl))  \
			warn(__VA_ARGS__); \
	} while (0)

#endif
