// SPDX-License-Identifier: GPL-2.0-or-later
// Ethernet frames on a stream socket, each after its length.

#include "frames.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "iov.h"
#include "log.h"

#define SOCKET_BYTES (4 << 20)
#define ROOM_BYTES (FRAMES_HEADER_BYTES + FRAME_BYTES_MAX)
#define IOV_MAX_DIRECT 64 // a frame in more pieces is copied
#define DIRECT_BYTES 8192 // what is less is copied as quickly

int frames_buffer_init(struct frames_buffer *buffer, size_t size_bytes)
{
	*buffer = (struct frames_buffer){ .data = malloc(size_bytes), .size_bytes = size_bytes };
	return buffer->data ? 0 : fail(ENOMEM, "a buffer for frames");
}

void frames_buffer_exit(struct frames_buffer *buffer)
{
	free(buffer->data);
	buffer->data = NULL;
}

void frames_buffer_clear(struct frames_buffer *buffer)
{
	buffer->start = 0;
	buffer->end = 0;
	buffer->drained = false;
}

// The kernel cuts it to what the host allows, where the privilege to go beyond is missing.
static void enlarge(int fd, int forced, int option)
{
	const int bytes = SOCKET_BYTES;

	if (setsockopt(fd, SOL_SOCKET, forced, &bytes, sizeof(bytes)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, option, &bytes, sizeof(bytes));
}

void frames_enlarge_socket(int fd)
{
	enlarge(fd, SO_SNDBUFFORCE, SO_SNDBUF);
	enlarge(fd, SO_RCVBUFFORCE, SO_RCVBUF);
}

// Moves what is in the buffer to its beginning when less than @bytes are free behind it.
static bool make_room(struct frames_buffer *buffer, size_t bytes)
{
	size_t used = buffer->end - buffer->start;

	if (!used) {
		frames_buffer_clear(buffer);
	} else if (buffer->start && buffer->size_bytes - buffer->end < bytes) {
		memmove(buffer->data, buffer->data + buffer->start, used);
		buffer->start = 0;
		buffer->end = used;
	}
	return buffer->size_bytes - buffer->end >= bytes;
}

// -- receiving --

static ssize_t receive_some(int fd, const struct iovec *iov, unsigned count)
{
	struct msghdr message = { .msg_iov = (struct iovec *)iov, .msg_iovlen = count };
	ssize_t n;

	do {
		n = recvmsg(fd, &message, MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	return n;
}

ssize_t frames_fill(struct frames_buffer *in, int fd, size_t max_bytes)
{
	struct iovec room;
	ssize_t n;

	// Less than a frame is left over after frames_next(), so there is room.
	(void)make_room(in, ROOM_BYTES);
	room.iov_base = in->data + in->end;
	room.iov_len = MIN(in->size_bytes - in->end, max_bytes);
	n = receive_some(fd, &room, 1);
	in->drained = n > 0 && (size_t)n < room.iov_len;
	if (n > 0)
		in->end += (size_t)n;
	return n;
}

static size_t waiting(const struct frames_buffer *buffer)
{
	return buffer->end - buffer->start;
}

// The length that the next header says. At least a header waits.
static uint32_t next_length(const struct frames_buffer *in)
{
	uint32_t length;

	memcpy(&length, in->data + in->start, sizeof(length));
	return ntohl(length);
}

static bool length_ok(uint32_t length)
{
	return length >= FRAME_BYTES_MIN && length <= FRAME_BYTES_MAX;
}

bool frames_has_whole(const struct frames_buffer *in)
{
	uint32_t length;

	if (waiting(in) < FRAMES_HEADER_BYTES)
		return false;
	length = next_length(in);
	return !length_ok(length) || waiting(in) - FRAMES_HEADER_BYTES >= length;
}

ssize_t frames_next(struct frames_buffer *in, uint8_t **frame)
{
	uint32_t length;

	if (!frames_has_whole(in))
		return -EAGAIN;
	length = next_length(in);
	if (!length_ok(length))
		return -EPROTO;
	*frame = in->data + in->start + FRAMES_HEADER_BYTES;
	in->start += FRAMES_HEADER_BYTES + length;
	return (ssize_t)length;
}

// How many bytes of the frame that has begun have yet to come; 0: none has.
static size_t missing_bytes(const struct frames_buffer *in)
{
	if (waiting(in) < FRAMES_HEADER_BYTES || frames_has_whole(in))
		return 0;
	return FRAMES_HEADER_BYTES + next_length(in) - waiting(in);
}

// The buffer is left as if all had been read into it: what follows the frame stands where
// it would, and so does the part of a frame that is still not whole.
ssize_t frames_fill_direct(struct frames_buffer *in, int fd, const struct iovec *iov,
			   unsigned count, bool *whole)
{
	size_t missing = missing_bytes(in), length, had, behind;
	struct iovec pieces[IOV_MAX_DIRECT + 1];
	unsigned used;
	ssize_t n;

	if (missing < DIRECT_BYTES || !make_room(in, missing + FRAMES_AHEAD_BYTES))
		return -ENOTSUP;
	length = next_length(in);
	had = length - missing;
	used = iov_slice(pieces, IOV_MAX_DIRECT, iov, count, had, missing);
	if (iov_total(pieces, used) < missing)
		return -ENOTSUP;
	behind = in->end + missing;
	pieces[used] = (struct iovec){ in->data + behind, FRAMES_AHEAD_BYTES };
	n = receive_some(fd, pieces, used + 1);
	in->drained = n > 0 && (size_t)n < missing + FRAMES_AHEAD_BYTES;
	if (n <= 0)
		return n;
	*whole = (size_t)n >= missing;
	if (!*whole) {
		in->end += iov_to_buf(pieces, used, 0, in->data + in->end, (size_t)n);
		return n;
	}
	iov_from_buf(iov, count, 0, in->data + in->start + FRAMES_HEADER_BYTES, had);
	in->start = behind;
	in->end = behind + (size_t)n - missing;
	return (ssize_t)length;
}

// -- sending --

int frames_put(struct frames_buffer *out, const struct iovec *iov, unsigned count)
{
	size_t length = iov_total(iov, count);
	uint32_t header = htonl((uint32_t)length);

	if (!make_room(out, FRAMES_HEADER_BYTES + length))
		return -ENOBUFS;
	memcpy(out->data + out->end, &header, sizeof(header));
	out->end += sizeof(header);
	out->end += iov_to_buf(iov, count, 0, out->data + out->end, length);
	return 0;
}

// How many bytes the socket took, or -errno.
static ssize_t send_some(int fd, const struct iovec *iov, unsigned count)
{
	struct msghdr message = { .msg_iov = (struct iovec *)iov, .msg_iovlen = count };
	ssize_t n;

	do {
		n = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	return n;
}

int frames_flush(struct frames_buffer *out, int fd)
{
	while (!frames_empty(out)) {
		const struct iovec rest = { out->data + out->start, waiting(out) };
		ssize_t n = send_some(fd, &rest, 1);

		if (n < 0)
			return (int)n;
		out->start += (size_t)n;
	}
	return 0;
}

// Keeps what the socket did not take: @skip bytes of @iov (header and frame) are sent.
static int keep_rest(struct frames_buffer *out, const struct iovec *iov, unsigned count,
		     size_t skip)
{
	out->end += iov_to_buf(iov, count, skip, out->data + out->end, SIZE_MAX);
	return -EAGAIN;
}

int frames_send(struct frames_buffer *out, int fd, const struct iovec *iov, unsigned count)
{
	size_t length = iov_total(iov, count), before = waiting(out);
	uint32_t header = htonl((uint32_t)length);
	struct iovec all[2 + IOV_MAX_DIRECT];
	ssize_t n;

	// Beforehand: a frame that was begun must be ended.
	if (!make_room(out, FRAMES_HEADER_BYTES + length))
		return -ENOBUFS;
	if (count > IOV_MAX_DIRECT)
		return frames_put(out, iov, count) ? -ENOBUFS : frames_flush(out, fd);
	all[0] = (struct iovec){ out->data + out->start, before };
	all[1] = (struct iovec){ &header, sizeof(header) };
	memcpy(&all[2], iov, count * sizeof(*iov));
	n = send_some(fd, all, 2 + count);
	if (n < 0 && n != -EAGAIN)
		return (int)n;
	n = MAX(n, (ssize_t)0);
	out->start += MIN((size_t)n, before);
	if ((size_t)n == before + sizeof(header) + length)
		return 0;
	return keep_rest(out, &all[1], 1 + count, (size_t)n - MIN((size_t)n, before));
}
