// SPDX-License-Identifier: GPL-2.0-or-later
// The functions of a kernel by address and by name: for people who look at addresses.
//
// They come out of a System.map, of the symbol table of an ELF file, or of the table that
// a kernel itself carries (kallsyms), packed or not. Nothing in a file is trusted. One
// thread.
#ifndef KVIK_SYMBOLS_H
#define KVIK_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util.h"

struct symbols;

// Where an address lies.
struct symbol_place {
	const char *name; // printable; the table's
	uint64_t offset;
	uint64_t size_bytes; // up to the next function
};

// Reads those of the file @path. Returns 0; -ENODATA, without a message, when it is a
// kernel that carries none; other -errno after a message.
int symbols_open(struct symbols **symbols, const char *path) MUST_CHECK;
// For the fuzzer and the tests: the same of bytes in memory.
int symbols_parse(struct symbols **symbols, const char *name, const void *data, size_t size_bytes)
	MUST_CHECK;
void symbols_free(struct symbols *symbols);

// False: no function is there.
bool symbols_find(const struct symbols *symbols, uint64_t address, struct symbol_place *place);
bool symbols_address(const struct symbols *symbols, const char *name, uint64_t *address);

#endif
