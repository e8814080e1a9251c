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
#include <zlib.h>
#include <zstd.h>

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

// -- packing; each frees @plain --

static inline struct file gzip(struct file plain)
{
	struct file file = make_file(plain.size + plain.size / 1000 + 100);
	z_stream stream = { .next_in = plain.data,
			    .avail_in = plain.size,
			    .next_out = file.data,
			    .avail_out = file.size };

	assert_int_equal(
		deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
	file.size = stream.total_out;
	deflateEnd(&stream);
	free(plain.data);
	return file;
}

static inline struct file zstd(struct file plain)
{
	struct file file = make_file(ZSTD_compressBound(plain.size));

	file.size = ZSTD_compress(file.data, file.size, plain.data, plain.size, 3);
	assert_false(ZSTD_isError(file.size));
	free(plain.data);
	return file;
}

#endif
