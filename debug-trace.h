// SPDX-License-Identifier: GPL-2.0-or-later
// Call traces of kvik debug: addresses that a VM tells, with the names of its kernel.
#ifndef KVIK_DEBUG_TRACE_H
#define KVIK_DEBUG_TRACE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "util.h"

struct symbols;

// Whose symbols, and where the kernel is that they are of. All zeroes to begin with.
struct debug_symbols {
	const char *wanted_path; // --symbols
	const char *wanted_offset;
	char *path;   // whence they are; NULL: there are none
	char *kernel; // of the VM for which they were looked for
	struct symbols *symbols;
	uint64_t offset; // from where the kernel was linked to
	bool offset_is_known;
};

// Finds those of the VM that @status, the answer to "status", describes; @vcpus is of the
// answer to "debug". Returns 0, also when the kernel has none that can be found, or -errno
// after a message: the file that the user names is no good.
int debug_symbols_find(struct debug_symbols *symbols, const json_t *status, const json_t *vcpus)
	MUST_CHECK;
void debug_symbols_free(struct debug_symbols *symbols);

// Adds to the addresses of @vcpu's trace what they are the addresses of.
void debug_trace_name(const struct debug_symbols *symbols, json_t *vcpu);
void debug_trace_print(const struct debug_symbols *symbols, const json_t *vcpu);

// For option tables: a number in hexadecimal, kept in *@value.
int debug_parse_offset(void *value, const char *argument);

#endif
