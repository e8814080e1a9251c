// SPDX-License-Identifier: GPL-2.0-or-later
// Kernel files that the tests of images make by hand.
#ifndef KVIK_IMAGE_FIXTURE_H
#define KVIK_IMAGE_FIXTURE_H

#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// The caller frees data.
struct file {
	uint8_t *data;
	size_t size;
};

static inline struct file make_file(size_t size)
{
	struct file file = { calloc(1, size), size };

	assert_non_null(file.data);
	return file;
}

static inline void put16(struct file *file, size_t offset, uint16_t value)
{
	assert_true(offset + 2 <= file->size);
	value = htole16(value);
	memcpy(file->data + offset, &value, 2);
}

static inline void put32(struct file *file, size_t offset, uint32_t value)
{
	assert_true(offset + 4 <= file->size);
	value = htole32(value);
	memcpy(file->data + offset, &value, 4);
}

static inline void put64(struct file *file, size_t offset, uint64_t value)
{
	put32(file, offset, value);
	put32(file, offset + 4, value >> 32);
}

#endif
