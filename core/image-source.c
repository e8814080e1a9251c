// SPDX-License-Identifier: GPL-2.0-or-later
// Where the bytes of a kernel come from: a file, or memory.
//
// A file is read by pread() only, never mapped: somebody may cut it meanwhile.
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "image-internal.h"
#include "log.h"

// Large enough for the system calls not to matter, small enough for a CPU's cache.
#define CHUNK_BYTES (256 * KIB)

static int read_exactly(const struct image_source *source, uint64_t offset, uint8_t *data,
			size_t size_bytes)
{
	size_t done = 0;

	while (done < size_bytes) {
		ssize_t n = pread(source->fd, data + done, size_bytes - done,
				  (off_t)(source->offset + offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(errno, "%s: read", source->path);
		if (!n)
			return fail_msg(EIO,
					"%s: ended after %llu of %llu bytes; was it being written?",
					source->path,
					(unsigned long long)(source->offset + offset + done),
					(unsigned long long)(source->offset + source->size_bytes));
		done += n;
	}
	return 0;
}

int image_source_read(const struct image_source *source, uint64_t offset, void *data,
		      size_t size_bytes)
{
	if (offset > source->size_bytes || size_bytes > source->size_bytes - offset)
		return fail_msg(EINVAL, "%s: ends too early; is the file complete?", source->path);
	if (!source->data)
		return read_exactly(source, offset, data, size_bytes);
	if (size_bytes)
		memcpy(data, source->data + offset, size_bytes);
	return 0;
}

struct image_source image_source_part(const struct image_source *source, uint64_t offset,
				      uint64_t size_bytes)
{
	struct image_source part = *source;

	offset = MIN(offset, source->size_bytes);
	part.size_bytes = MIN(size_bytes, source->size_bytes - offset);
	if (part.data)
		part.data += offset;
	else
		part.offset += offset;
	return part;
}

// -- one after the other --

void image_input_init(struct image_input *in, const struct image_source *source)
{
	*in = (struct image_input){ .source = *source };
	if (!source->data)
		return;
	in->next = source->data;
	in->left_bytes = source->size_bytes;
	in->taken_bytes = source->size_bytes;
}

void image_input_exit(struct image_input *in)
{
	free(in->buffer);
}

// What is left comes to lie at the buffer's beginning.
static int make_room(struct image_input *in, size_t bytes)
{
	uint8_t *buffer;

	if (in->left_bytes)
		memmove(in->buffer, in->next, in->left_bytes);
	if (bytes > in->buffer_bytes) {
		buffer = realloc(in->buffer, bytes);
		if (!buffer)
			return fail(ENOMEM, "%s: read %zu bytes", in->source.path, bytes);
		in->buffer = buffer;
		in->buffer_bytes = bytes;
	}
	in->next = in->buffer;
	return 0;
}

int image_input_need(struct image_input *in, size_t bytes)
{
	uint64_t unread = in->source.size_bytes - in->taken_bytes;
	size_t more;
	int rc;

	if (in->left_bytes >= bytes || !unread)
		return 0;
	bytes = MIN(bytes, in->left_bytes + unread);
	rc = make_room(in, MAX(bytes, (size_t)CHUNK_BYTES));
	if (rc)
		return rc;
	more = MIN(in->buffer_bytes - in->left_bytes, unread);
	rc = read_exactly(&in->source, in->taken_bytes, in->buffer + in->left_bytes, more);
	if (rc)
		return rc;
	in->left_bytes += more;
	in->taken_bytes += more;
	return 0;
}

void image_input_skip(struct image_input *in, size_t bytes)
{
	in->next += bytes;
	in->left_bytes -= bytes;
}

uint64_t image_input_used(const struct image_input *in)
{
	return in->taken_bytes - in->left_bytes;
}
