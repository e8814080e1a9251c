// SPDX-License-Identifier: GPL-2.0-or-later
// Working on vectors of buffers (struct iovec).

#include "iov.h"

#include <stdbool.h>
#include <string.h>

#include "util.h"

// A place in a vector.
struct cursor {
	const struct iovec *iov;
	const struct iovec *end;
	size_t offset; // in *iov
};

static struct cursor cursor_at(const struct iovec *iov, unsigned count, size_t offset)
{
	struct cursor cursor = { .iov = iov, .end = iov + count, .offset = offset };

	while (cursor.iov < cursor.end && cursor.offset >= cursor.iov->iov_len)
		cursor.offset -= cursor.iov++->iov_len;
	return cursor;
}

// Moves over at most @len bytes that lie in one piece; false at the end.
static bool cursor_take(struct cursor *cursor, size_t len, struct iovec *piece)
{
	size_t left;

	while (cursor->iov < cursor->end && cursor->offset == cursor->iov->iov_len) {
		cursor->iov++;
		cursor->offset = 0;
	}
	if (!len || cursor->iov == cursor->end)
		return false;
	left = cursor->iov->iov_len - cursor->offset;
	piece->iov_base = (char *)cursor->iov->iov_base + cursor->offset;
	piece->iov_len = MIN(left, len);
	cursor->offset += piece->iov_len;
	return true;
}

size_t iov_to_buf(const struct iovec *iov, unsigned count, size_t offset, void *buf, size_t len)
{
	struct cursor cursor = cursor_at(iov, count, offset);
	struct iovec piece;
	size_t done = 0;

	while (cursor_take(&cursor, len - done, &piece)) {
		memcpy((char *)buf + done, piece.iov_base, piece.iov_len);
		done += piece.iov_len;
	}
	return done;
}

size_t iov_from_buf(const struct iovec *iov, unsigned count, size_t offset, const void *buf,
		    size_t len)
{
	struct cursor cursor = cursor_at(iov, count, offset);
	struct iovec piece;
	size_t done = 0;

	while (cursor_take(&cursor, len - done, &piece)) {
		memcpy(piece.iov_base, (const char *)buf + done, piece.iov_len);
		done += piece.iov_len;
	}
	return done;
}

size_t iov_total(const struct iovec *iov, unsigned count)
{
	size_t total = 0;

	for (unsigned i = 0; i < count; i++)
		total += iov[i].iov_len;
	return total;
}

unsigned iov_slice(struct iovec *slice, unsigned slice_max, const struct iovec *iov, unsigned count,
		   size_t offset, size_t len)
{
	struct cursor cursor = cursor_at(iov, count, offset);
	unsigned n = 0;

	while (n < slice_max && cursor_take(&cursor, len, &slice[n]))
		len -= slice[n++].iov_len;
	return n;
}
