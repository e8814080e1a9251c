// SPDX-License-Identifier: GPL-2.0-or-later
// A kernel with nothing in it but kallsyms, as Linux's scripts/kallsyms.c lays them out.
#ifndef KVIK_TESTS_KALLSYMS_FIXTURE_H
#define KVIK_TESTS_KALLSYMS_FIXTURE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

#define KALLSYMS_COUNT 1300u
#define KALLSYMS_STEP 16u
#define KALLSYMS_BYTES (64 * KIB)
#define KALLSYMS_FUNC 1 // the token that stands for "func_"

enum kallsyms_layout {
	KALLSYMS_OLD, // addresses in front, something between markers and tokens
	KALLSYMS_NEW, // addresses behind
	KALLSYMS_PERCPU,
};

struct kallsyms_writer {
	uint8_t *data;
	size_t at;
};

static inline void kallsyms_name(uint64_t number, char *name, size_t size)
{
	snprintf(name, size, "func_%04llu", (unsigned long long)number);
}

static inline void kallsyms_put(struct kallsyms_writer *writer, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		writer->data[writer->at++] = i < sizeof(value) ? (uint8_t)(value >> 8 * i) : 0;
}

static inline void kallsyms_align(struct kallsyms_writer *writer)
{
	writer->at = align_up(writer->at, 8);
}

static inline void kallsyms_put_addresses(struct kallsyms_writer *writer,
					  enum kallsyms_layout layout, uint64_t base)
{
	kallsyms_align(writer);
	for (uint32_t i = 0; i < KALLSYMS_COUNT; i++)
		kallsyms_put(writer,
			     layout == KALLSYMS_PERCPU ? ~(uint64_t)(i * KALLSYMS_STEP) :
							 i * KALLSYMS_STEP,
			     4);
	kallsyms_align(writer);
	kallsyms_put(writer, base, 8);
}

static inline void kallsyms_put_names(struct kallsyms_writer *writer, uint32_t *markers)
{
	size_t begin = writer->at;

	for (uint32_t i = 0; i < KALLSYMS_COUNT; i++) {
		char name[32];

		if (i % 256 == 0)
			markers[i / 256] = (uint32_t)(writer->at - begin);
		kallsyms_name(i, name, sizeof(name));
		kallsyms_put(writer, 2 + strlen(name + 5), 1);
		kallsyms_put(writer, i % 2 ? 'T' : 't', 1);
		kallsyms_put(writer, KALLSYMS_FUNC, 1);
		for (const char *c = name + 5; *c; c++)
			kallsyms_put(writer, (uint8_t)*c, 1);
	}
	kallsyms_align(writer);
}

static inline void kallsyms_put_tokens(struct kallsyms_writer *writer)
{
	uint16_t index[256];
	size_t begin = writer->at;

	for (unsigned token = 0; token < 256; token++) {
		const char *text = token == KALLSYMS_FUNC ? "func_" : "unused";

		index[token] = (uint16_t)(writer->at - begin);
		if (token >= '0' && token <= 'z')
			kallsyms_put(writer, token, 1);
		else
			for (const char *c = text; *c; c++)
				kallsyms_put(writer, (uint8_t)*c, 1);
		kallsyms_put(writer, 0, 1);
	}
	kallsyms_align(writer);
	for (unsigned token = 0; token < 256; token++)
		kallsyms_put(writer, index[token], 2);
}

// Documentation/arch/riscv/boot-image-header.rst
static inline void kallsyms_put_header(struct kallsyms_writer *writer)
{
	kallsyms_put(writer, 0x6f, 4); // j .
	kallsyms_put(writer, 0, 4);
	kallsyms_put(writer, 0x200000, 8);
	kallsyms_put(writer, KALLSYMS_BYTES, 8);
	kallsyms_put(writer, 0, 8);
	kallsyms_put(writer, 2, 4);
	kallsyms_put(writer, 0, 12);
	memcpy(writer->data + writer->at, "RISCV\0\0\0RSC\5", 12);
	writer->at = 512;
}

// A riscv64 Image that the caller frees. Function n, of KALLSYMS_COUNT, lies KALLSYMS_STEP * n
// bytes behind @base.
static inline uint8_t *kallsyms_image(enum kallsyms_layout layout, uint64_t base,
				      size_t *size_bytes)
{
	struct kallsyms_writer writer = { .data = calloc(1, KALLSYMS_BYTES) };
	uint32_t markers[KALLSYMS_COUNT / 256 + 1];

	if (!writer.data)
		abort();
	kallsyms_put_header(&writer);
	if (layout == KALLSYMS_OLD)
		kallsyms_put_addresses(&writer, layout, base);
	kallsyms_put(&writer, KALLSYMS_COUNT, 8);
	kallsyms_put_names(&writer, markers);
	for (unsigned i = 0; i < ARRAY_SIZE(markers); i++)
		kallsyms_put(&writer, markers[i], 4);
	kallsyms_align(&writer);
	for (unsigned i = 0; i < KALLSYMS_COUNT / 8 * 8 && layout == KALLSYMS_OLD; i++)
		kallsyms_put(&writer, 0xabcdef, 3);
	kallsyms_put_tokens(&writer);
	if (layout != KALLSYMS_OLD)
		kallsyms_put_addresses(&writer, layout, base);
	*size_bytes = writer.at;
	return writer.data;
}

#endif
