// SPDX-License-Identifier: GPL-2.0-or-later
// Unpacking kernels: the methods, and the bounds on what a small file can become.
//
// All formats can turn a few bytes into gigabytes, so the output is bounded twice: by
// IMAGE_MAX_BYTES, and by its ratio to the input consumed so far, which stops a bomb
// after a few milliseconds rather than a second. One that says how large it gets
// (the payload of a bzImage) is believed within the same bounds, and held to it.
//
// A kernel is unpacked right to where it belongs in RAM, in one pass, where that is
// known; else into memory that grows, or that is allocated once where the size is known.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "image-unpack.h"
#include "log.h"

// Kernels shrink to a half or a tenth. Small ones may hold mostly zeroes, hence
// the floor from which the ratio counts.
#define MAX_RATIO 100
#define RATIO_FLOOR_BYTES (32 * MIB)
#define FIRST_STEP_BYTES ((size_t)MIB)
#define HUGE_PAGE_BYTES (2 * MIB)

struct image_method {
	const char *name;
	const char *zboot_name;
	const char *library;
	const char *magic;
	unsigned magic_bytes;
	// NULL: built without the library.
	int (*unpack)(struct image_input *in, struct image_output *out);
};

#ifdef HAVE_LZMA
#define IF_LZMA(function) function
#else
#define IF_LZMA(function) NULL
#endif
#ifdef HAVE_LZ4
#define IF_LZ4(function) function
#else
#define IF_LZ4(function) NULL
#endif
#ifdef HAVE_LZO
#define IF_LZO(function) function
#else
#define IF_LZO(function) NULL
#endif

// The magic numbers of x86/boot.rst (payload_offset), but for lzop's, which is missing
// there, and longer where the format has more to tell it by. bzip2 is left out: no
// distribution packs a kernel by it.
static const struct image_method methods[] = {
	{ "gzip", "zboot gzip", "zlib", "\x1f\x8b\x08", 3, image_unpack_gzip },
	{ "zstd", "zboot zstd", "libzstd", "\x28\xb5\x2f\xfd", 4, image_unpack_zstd },
	{ "xz", "zboot xz", "liblzma", "\3757zXZ\0", 6, IF_LZMA(image_unpack_xz) },
	{ "lzma", "zboot lzma", "liblzma", "\x5d\0\0", 3, IF_LZMA(image_unpack_lzma) },
	{ "lz4", "zboot lz4", "liblz4", "\x02\x21\x4c\x18", 4, IF_LZ4(image_unpack_lz4) },
	{ "lzo", "zboot lzo", "liblzo2", "\x89LZO\0\r\n\x1a\n", 9, IF_LZO(image_unpack_lzo) },
};

const struct image_method *image_find_method(struct image_span packed)
{
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (packed.size_bytes >= methods[i].magic_bytes &&
		    !memcmp(packed.data, methods[i].magic, methods[i].magic_bytes))
			return &methods[i];
	return NULL;
}

const struct image_method *image_find_zboot_method(const char *compression)
{
	// "zstd22" is zstd, and "xzkern" xz.
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (!strncmp(compression, methods[i].name, strlen(methods[i].name)))
			return &methods[i];
	return NULL;
}

const char *image_method_name(const struct image_method *method)
{
	return method->name;
}

const char *image_method_zboot_name(const struct image_method *method)
{
	return method->zboot_name;
}

const char *image_method_missing(const struct image_method *method)
{
	return method->unpack ? NULL : method->library;
}

const char *image_packing(unsigned index, bool *built)
{
	if (index >= ARRAY_SIZE(methods))
		return NULL;
	*built = methods[index].unpack;
	return methods[index].name;
}

// -- output --

static int too_large(const struct image_output *out)
{
	return fail_msg(EFBIG, "%s: unpacks (%s) to more than %llu MiB: not a kernel", out->name,
			out->format, IMAGE_MAX_BYTES / MIB);
}

static int check_ratio(const struct image_output *out, size_t bytes, uint64_t consumed_bytes)
{
	if (bytes < RATIO_FLOOR_BYTES || bytes / MAX_RATIO <= consumed_bytes)
		return 0;
	return fail_msg(EFBIG, "%s: unpacks (%s) to more than %u times its size: not a kernel",
			out->name, out->format, MAX_RATIO);
}

static size_t first_step(const struct image_output *out)
{
	return out->enough_bytes ? out->enough_bytes : FIRST_STEP_BYTES;
}

static int resize(struct image_output *out, size_t room_bytes)
{
	uint8_t *data = realloc(out->data, room_bytes);

	if (!data)
		return fail(ENOMEM, "%s: unpack %zu MiB", out->name, room_bytes / (size_t)MIB);
	out->data = data;
	out->room_bytes = room_bytes;
	return 0;
}

// Of huge pages, where the host has them: a fault for each small one costs a third of
// the time that a kernel takes to unpack.
static int allocate_huge(struct image_output *out, size_t room_bytes)
{
	size_t bytes = align_up(room_bytes, HUGE_PAGE_BYTES);

	out->data = aligned_alloc(HUGE_PAGE_BYTES, bytes);
	if (!out->data)
		return fail(ENOMEM, "%s: unpack %zu MiB", out->name, room_bytes / (size_t)MIB);
	out->room_bytes = room_bytes;
	madvise(out->data, bytes, MADV_HUGEPAGE); // a hint
	return 0;
}

static int check_expected(const struct image_output *out, uint64_t packed_bytes)
{
	return out->expected_bytes > IMAGE_MAX_BYTES ?
		       too_large(out) :
		       check_ratio(out, out->expected_bytes, packed_bytes);
}

// All at once; one byte more, so that it shows when there is too much.
static int reserve_expected(struct image_output *out)
{
	size_t room_bytes = out->expected_bytes + 1;

	return room_bytes < HUGE_PAGE_BYTES ? resize(out, room_bytes) :
					      allocate_huge(out, room_bytes);
}

static int no_more_room(const struct image_output *out)
{
	return fail_msg(ENOSPC,
			"%s: unpacks (%s) to more than the %zu MiB of RAM that there are for it; "
			"give the VM more with -m",
			out->name, out->format, out->room_bytes / (size_t)MIB);
}

int image_output_grow(struct image_output *out, uint64_t consumed_bytes)
{
	int rc;

	if (out->enough_bytes && out->used_bytes >= out->enough_bytes)
		return IMAGE_OUTPUT_ENOUGH;
	if (out->expected_bytes)
		return image_output_damaged(out, "it unpacks to more than it says");
	if (out->used_bytes >= IMAGE_MAX_BYTES)
		return too_large(out);
	rc = check_ratio(out, out->used_bytes, consumed_bytes);
	if (rc)
		return rc;
	if (out->fixed)
		return no_more_room(out);
	return resize(out, out->room_bytes ? 2 * out->room_bytes : first_step(out));
}

int image_output_reserve(struct image_output *out, size_t more_bytes, uint64_t consumed_bytes)
{
	int rc = 0;

	if (more_bytes > IMAGE_MAX_BYTES)
		return too_large(out);
	if (out->enough_bytes && out->used_bytes >= out->enough_bytes)
		return IMAGE_OUTPUT_ENOUGH;
	while (!rc && more_bytes > out->room_bytes - out->used_bytes)
		rc = image_output_grow(out, consumed_bytes);
	return rc;
}

int image_output_damaged(const struct image_output *out, const char *why)
{
	return fail_msg(EINVAL, "%s: the %s data is damaged: %s", out->name, out->format, why);
}

int image_output_truncated(const struct image_output *out)
{
	return image_output_damaged(out, "it ends too early; is the file complete?");
}

// -- unpacking --

static int begins_as_such(const struct image_method *method, struct image_input *in,
			  const struct image_output *out)
{
	int rc = image_input_need(in, IMAGE_MAGIC_MAX_BYTES);

	if (rc || image_find_method((struct image_span){ in->next, in->left_bytes }) == method)
		return rc;
	return image_output_damaged(out, "it does not begin as such data does");
}

static int unpack_input(const struct image_method *method, struct image_input *in,
			struct image_output *out)
{
	int rc = begins_as_such(method, in, out);

	if (!rc)
		rc = method->unpack(in, out);
	if (!rc && out->expected_bytes && out->used_bytes != out->expected_bytes)
		return image_output_damaged(out, "it does not unpack to as much as it says");
	return rc;
}

// With out's bounds and, if fixed, its place.
static int unpack(const struct image_method *method, const struct image_source *packed,
		  struct image_output *out)
{
	struct image_input in;
	int rc = 0;

	out->name = packed->path;
	out->format = method->name;
	if (!method->unpack)
		return fail_msg(ENOTSUP,
				"%s: is packed by %s, and this kvik was built without %s; unpack "
				"the kernel, or build kvik with it",
				out->name, method->name, method->library);
	if (out->expected_bytes)
		rc = check_expected(out, packed->size_bytes);
	if (!rc && out->expected_bytes && !out->fixed)
		rc = reserve_expected(out);
	if (rc)
		return rc;
	image_input_init(&in, packed);
	rc = unpack_input(method, &in, out);
	image_input_exit(&in);
	return rc;
}

int image_unpack(const struct image_method *method, const struct image_source *packed,
		 size_t expected_bytes, uint8_t **data, size_t *size_bytes)
{
	struct image_output out = { .expected_bytes = expected_bytes };
	uint8_t *exact;
	int rc = unpack(method, packed, &out);

	if (rc) {
		free(out.data);
		return rc;
	}
	// Gives the unused tail back; cannot fail for good since it shrinks.
	exact = realloc(out.data, out.used_bytes ? out.used_bytes : 1);
	*data = exact ? exact : out.data;
	*size_bytes = out.used_bytes;
	return 0;
}

// What it takes to unpack to there is bounded by the size of the packed data.
static size_t sane_room(uint64_t room_bytes, uint64_t packed_bytes)
{
	uint64_t most = MAX(packed_bytes * MAX_RATIO, RATIO_FLOOR_BYTES);

	most = MIN(most, IMAGE_MAX_BYTES);
	return MIN(room_bytes, most);
}

int image_unpack_into(const struct image_method *method, const struct image_source *packed,
		      size_t expected_bytes, struct image_room room, size_t *size_bytes)
{
	struct image_output out = {
		.data = room.data,
		.room_bytes = sane_room(room.size_bytes, packed->size_bytes),
		.expected_bytes = expected_bytes,
		.fixed = true,
	};
	int rc = unpack(method, packed, &out);

	*size_bytes = out.used_bytes;
	return rc;
}

int image_unpack_head(const struct image_method *method, const struct image_source *packed,
		      uint8_t *head, size_t room_bytes, size_t *size_bytes)
{
	struct image_output out = { .enough_bytes = room_bytes };
	int rc = unpack(method, packed, &out);

	if (rc == IMAGE_OUTPUT_ENOUGH)
		rc = 0;
	*size_bytes = MIN(out.used_bytes, room_bytes);
	if (!rc && *size_bytes)
		memcpy(head, out.data, *size_bytes);
	free(out.data);
	return rc;
}
