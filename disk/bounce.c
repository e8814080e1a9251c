// SPDX-License-Identifier: GPL-2.0-or-later
// Transfers that direct I/O does not take as they are, through an aligned buffer.
//
// A guest that keeps to the block size that the disk tells it hardly ever comes
// here, so this is slow and simple: it waits for the host.

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file.h"
#include "iov.h"

#define BOUNCE_BYTES (256 * KIB)

static bool is_aligned(uint64_t value, uint32_t align)
{
	return !(value & (align - 1));
}

bool disk_file_needs_bounce(const struct disk_file *file, const struct disk_request *request)
{
	if (!file->direct || request->op == DISK_FLUSH)
		return false;
	if (!is_aligned(request->offset_bytes, file->offset_align) ||
	    !is_aligned(request->len_bytes, file->offset_align))
		return true;
	for (unsigned i = 0; i < request->iov_count; i++)
		if (!is_aligned((uintptr_t)request->iov[i].iov_base, file->memory_align) ||
		    !is_aligned(request->iov[i].iov_len, file->offset_align))
			return true;
	return false;
}

// Up to the end of the file, and zeroes behind it; -EIO where that lies in front of the
// first @need bytes.
static int read_all(int fd, uint8_t *data, size_t len, size_t need, off_t offset)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, data + done, len - done, offset + (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		done += n;
	}
	memset(data + done, 0, len - done);
	return done < need ? -EIO : 0;
}

static int write_all(int fd, const uint8_t *data, size_t len, off_t offset)
{
	while (len) {
		ssize_t n = pwrite(fd, data, len, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		data += n;
		len -= n;
		offset += n;
	}
	return 0;
}

// Bytes [@from, @to) of the disk and the whole blocks around them.
struct piece {
	uint64_t from, to;
	uint64_t block_from, block_to;
};

static int bounce_piece(const struct disk_file *file, const struct disk_request *request,
			const struct piece *piece, uint8_t *buffer)
{
	uint8_t *data = buffer + (piece->from - piece->block_from);
	size_t whole = piece->block_to - piece->block_from, len = piece->to - piece->from;
	size_t need = file->growable ? 0 : whole;
	uint64_t done = piece->from - request->offset_bytes;
	int ret = 0;

	if (request->op == DISK_READ)
		need = piece->to - piece->block_from;
	if (request->op == DISK_READ || len < whole)
		ret = read_all(file->fd, buffer, whole, need, piece->block_from);
	if (ret)
		return ret;
	if (request->op == DISK_READ) {
		iov_from_buf(request->iov, request->iov_count, done, data, len);
		return 0;
	}
	if (request->op == DISK_WRITE)
		iov_to_buf(request->iov, request->iov_count, done, data, len);
	else
		memset(data, 0, len);
	return write_all(file->fd, buffer, whole, piece->block_from);
}

int disk_file_bounce(const struct disk_file *file, const struct disk_request *request)
{
	uint64_t end = request->offset_bytes + request->len_bytes;
	struct piece piece = { .to = request->offset_bytes };
	uint8_t *buffer = aligned_alloc(MAX(file->offset_align, file->memory_align), BOUNCE_BYTES);
	int ret = buffer ? 0 : -ENOMEM;

	while (!ret && piece.to < end) {
		piece.from = piece.to;
		piece.block_from = align_down(piece.from, file->offset_align);
		piece.block_to =
			MIN(align_up(end, file->offset_align), piece.block_from + BOUNCE_BYTES);
		piece.to = MIN(end, piece.block_to);
		ret = bounce_piece(file, request, &piece, buffer);
	}
	free(buffer);
	return ret;
}

static int transfer(const struct disk_file *file, enum disk_op op, void *data, size_t len,
		    uint64_t offset)
{
	struct iovec iov = { .iov_base = data, .iov_len = len };
	struct disk_request request = {
		.op = op,
		.offset_bytes = offset,
		.len_bytes = len,
		.iov = &iov,
		.iov_count = 1,
	};

	if (disk_file_needs_bounce(file, &request))
		return disk_file_bounce(file, &request);
	if (op == DISK_READ)
		return read_all(file->fd, data, len, len, (off_t)offset);
	return write_all(file->fd, data, len, (off_t)offset);
}

int disk_file_read(const struct disk_file *file, void *data, size_t len, uint64_t offset)
{
	return transfer(file, DISK_READ, data, len, offset);
}

int disk_file_write(const struct disk_file *file, const void *data, size_t len, uint64_t offset)
{
	return transfer(file, DISK_WRITE, (void *)data, len, offset);
}
