// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzzes the readers of symbols: any bytes as a System.map, an ELF file or a kernel.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz-quiet.h"
#include "symbols.h"

#define MAX_INPUT_BYTES (64 * KIB)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	silence(argc, argv);
	return 0;
}

// Wherever an address lies, the name ends, and can be printed.
static void check_place(const struct symbols *symbols, uint64_t address)
{
	struct symbol_place place;

	if (!symbols_find(symbols, address, &place))
		return;
	if (place.offset >= place.size_bytes)
		abort();
	for (const char *c = place.name; *c; c++)
		if (*c <= ' ' || *c > '~')
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct symbols *symbols;
	uint64_t address;

	if (size > MAX_INPUT_BYTES || symbols_parse(&symbols, "fuzz", data, size))
		return 0;
	check_place(symbols, 0);
	check_place(symbols, UINT64_MAX);
	if (symbols_address(symbols, "func_0097", &address))
		check_place(symbols, address + 5);
	symbols_free(symbols);
	return 0;
}
