// SPDX-License-Identifier: GPL-2.0-or-later
// What the parts of core/symbols share: the table that each of them fills.
#ifndef KVIK_SYMBOLS_INTERNAL_H
#define KVIK_SYMBOLS_INTERNAL_H

#include "image-internal.h"
#include "symbols.h"

#define SYMBOL_NAME_MAX 511 // Linux's KSYM_NAME_LEN, less the NUL

struct symbol {
	uint64_t address;
	uint32_t name; // its place in names
	unsigned rank; // among those of one address; the lowest is told
};

struct symbols {
	struct symbol *list; // by address, once it is sorted
	size_t count, room;
	char *names;
	size_t names_bytes, names_room;
};

// What is not printable in @name becomes a question mark. Returns 0; -E2BIG or -ENOMEM, no
// message.
int symbols_add(struct symbols *symbols, uint64_t address, const char *name, size_t len,
		bool is_global) MUST_CHECK;

// Each fills the table from one kind of file. Return 0; -ENODATA, no message, when there
// is nothing of the kind; other -errno after a message.
int symbols_read_map(struct symbols *symbols, const struct image_source *source) MUST_CHECK;
int symbols_read_elf(struct symbols *symbols, const struct image_source *source) MUST_CHECK;
// @path is for messages; the bytes are those of a kernel, unpacked.
int symbols_read_kallsyms(struct symbols *symbols, const char *path, struct image_span kernel)
	MUST_CHECK;

// The message for what symbols_add() returned.
int symbols_add_failed(const char *path, int err);

#endif
