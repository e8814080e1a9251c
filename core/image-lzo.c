// SPDX-License-Identifier: GPL-2.0-or-later
// Unpacking lzop's format, by liblzo2. Compiled when that is there.
//
// After the magic number comes a header (big-endian, as everything), then blocks: sizes
// unpacked and packed, checksums as the header's flags say, data. A block of size 0 is
// the end. The checksums are not looked at: neither does Linux.
#ifdef HAVE_LZO
#include <endian.h>
#include <errno.h>
#include <lzo/lzo1x.h>

#include "image-unpack.h"
#include "log.h"

#define MAGIC_BYTES 9
#define VERSION_WITH_FILTER 0x0940 // and everything else that is read here
#define FLAG_ADLER32 0x0001        // of unpacked data
#define FLAG_ADLER32_PACKED 0x0002
#define FLAG_EXTRA_FIELD 0x0040
#define FLAG_CRC32 0x0100
#define FLAG_CRC32_PACKED 0x0200
#define FLAG_FILTER 0x0800
// lzop makes blocks of 256 KiB.
#define BLOCK_MAX_BYTES (64 * MIB)

// Reads that go beyond the end give zeroes and are noticed afterwards.
struct input {
	struct image_input *bytes;
	int error; // after a message
	bool ended;
};

// Stays until the next one.
static const uint8_t *take(struct input *in, size_t size_bytes)
{
	const uint8_t *data;

	if (!in->ended)
		in->error = image_input_need(in->bytes, size_bytes);
	if (in->error || size_bytes > in->bytes->left_bytes)
		in->ended = true;
	if (in->ended)
		return NULL;
	data = in->bytes->next;
	image_input_skip(in->bytes, size_bytes);
	return data;
}

// Why there is no more.
static int input_ended(const struct input *in, const struct image_output *out)
{
	return in->error ? in->error : image_output_truncated(out);
}

static uint32_t take_number(struct input *in, size_t size_bytes)
{
	const uint8_t *data = take(in, size_bytes);
	uint32_t value = 0;

	for (size_t i = 0; data && i < size_bytes; i++)
		value = value << 8 | data[i];
	return value;
}

static int read_header(struct input *in, uint32_t *flags, const struct image_output *out)
{
	uint32_t version;

	take(in, MAGIC_BYTES);
	version = take_number(in, 2);
	take(in, 2 + 2 + 1 + 1); // version of the library, version needed, method, level
	*flags = take_number(in, 4);
	if (in->ended)
		return input_ended(in, out);
	if (version < VERSION_WITH_FILTER || *flags & FLAG_EXTRA_FIELD)
		return image_output_damaged(out, "its header is of a kind that no kernel has");
	if (*flags & FLAG_FILTER)
		take(in, 4);
	take(in, 4 + 4 + 4);          // mode, time stamps
	take(in, take_number(in, 1)); // name
	take(in, 4);                  // checksum of the header
	return in->ended ? input_ended(in, out) : 0;
}

// A block that did not shrink is stored as it is, without the packed data's checksums.
static void skip_checksums(struct input *in, uint32_t flags, bool packed)
{
	if (flags & FLAG_ADLER32)
		take(in, 4);
	if (flags & FLAG_CRC32)
		take(in, 4);
	if (packed && flags & FLAG_ADLER32_PACKED)
		take(in, 4);
	if (packed && flags & FLAG_CRC32_PACKED)
		take(in, 4);
}

static int unpack_data(const uint8_t *data, size_t packed_bytes, size_t size_bytes,
		       struct image_output *out)
{
	lzo_uint done = size_bytes;

	if (packed_bytes == size_bytes)
		memcpy(out->data + out->used_bytes, data, size_bytes);
	else if (lzo1x_decompress_safe(data, packed_bytes, out->data + out->used_bytes, &done,
				       NULL) != LZO_E_OK ||
		 done != size_bytes)
		return image_output_damaged(out, "bad contents");
	out->used_bytes += size_bytes;
	return 0;
}

static int unpack_block(struct input *in, uint32_t flags, size_t size_bytes,
			struct image_output *out)
{
	size_t packed_bytes = take_number(in, 4);
	const uint8_t *data;
	int rc;

	if (size_bytes > BLOCK_MAX_BYTES || packed_bytes > size_bytes)
		return image_output_damaged(out, "a block has a size that none has");
	skip_checksums(in, flags, packed_bytes < size_bytes);
	data = take(in, packed_bytes);
	if (!data)
		return input_ended(in, out);
	rc = image_output_reserve(out, size_bytes, image_input_used(in->bytes));
	return rc ? rc : unpack_data(data, packed_bytes, size_bytes, out);
}

int image_unpack_lzo(struct image_input *in, struct image_output *out)
{
	struct input input = { .bytes = in };
	uint32_t flags, size_bytes;
	int rc;

	if (lzo_init() != LZO_E_OK)
		return fail(EINVAL, "%s: start liblzo2", out->name);
	rc = read_header(&input, &flags, out);
	while (!rc && (size_bytes = take_number(&input, 4)))
		rc = unpack_block(&input, flags, size_bytes, out);
	return !rc && input.ended ? input_ended(&input, out) : rc;
}
#endif
