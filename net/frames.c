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

#define SHARED (1U << 31) // in a length

struct reference {
	uint32_t offset;
	uint32_t bytes;
};
#define REFERENCES_BYTES (FRAMES_REFERENCES * sizeof(struct reference))

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

// One piece needs no message, which the kernel would copy and check.
static ssize_t receive_some(int fd, const struct iovec *iov, unsigned count)
{
	struct msghdr message = { .msg_iov = (struct iovec *)iov, .msg_iovlen = count };
	ssize_t n;

	do {
		n = count == 1 ? recv(fd, iov->iov_base, iov->iov_len, MSG_DONTWAIT) :
				 recvmsg(fd, &message, MSG_DONTWAIT);
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

// What the next header says. At least a header waits.
static uint32_t next_header(const struct frames_buffer *in)
{
	uint32_t header;

	memcpy(&header, in->data + in->start, sizeof(header));
	return ntohl(header);
}

static bool length_ok(size_t length)
{
	return length >= FRAME_BYTES_MIN && length <= FRAME_BYTES_MAX;
}

// What follows a header on the socket.
static uint32_t bytes_behind(uint32_t header)
{
	return header & ~SHARED;
}

static bool header_ok(const struct frames_buffer *in, uint32_t header)
{
	uint32_t behind = bytes_behind(header);

	if (!(header & SHARED))
		return length_ok(header);
	return in->area.data && behind >= REFERENCES_BYTES &&
	       behind <= REFERENCES_BYTES + FRAMES_SHARED_HEAD_MAX;
}

bool frames_has_whole(const struct frames_buffer *in)
{
	uint32_t header;

	if (waiting(in) < FRAMES_HEADER_BYTES)
		return false;
	header = next_header(in);
	return !header_ok(in, header) || waiting(in) - FRAMES_HEADER_BYTES >= bytes_behind(header);
}

// Takes out what the socket brought of the next frame: its length there.
static ssize_t take_next(struct frames_buffer *in, uint8_t **data, bool *shared)
{
	uint32_t header;

	if (!frames_has_whole(in))
		return -EAGAIN;
	header = next_header(in);
	if (!header_ok(in, header))
		return -EPROTO;
	*shared = header & SHARED;
	*data = in->data + in->start + FRAMES_HEADER_BYTES;
	in->start += FRAMES_HEADER_BYTES + bytes_behind(header);
	return bytes_behind(header);
}

ssize_t frames_next(struct frames_buffer *in, uint8_t **frame)
{
	bool shared;

	return take_next(in, frame, &shared);
}

// The references are in the buffer, which nobody else writes to: they stay as they are checked.
static ssize_t follow_references(const struct frames_area *area, struct iovec pieces[FRAME_PIECES])
{
	struct reference references[FRAMES_REFERENCES];
	size_t length;

	memcpy(references, pieces[0].iov_base, sizeof(references));
	pieces[0].iov_base = (uint8_t *)pieces[0].iov_base + sizeof(references);
	pieces[0].iov_len -= sizeof(references);
	for (unsigned i = 0; i < FRAMES_REFERENCES; i++) {
		size_t offset = ntohl(references[i].offset), bytes = ntohl(references[i].bytes);

		if (offset > area->size_bytes || bytes > area->size_bytes - offset)
			return -EPROTO;
		pieces[1 + i] = (struct iovec){ area->data + offset, bytes };
	}
	length = iov_total(pieces, FRAME_PIECES);
	return length_ok(length) ? (ssize_t)length : -EPROTO;
}

ssize_t frames_next_pieces(struct frames_buffer *in, struct iovec pieces[FRAME_PIECES])
{
	uint8_t *data;
	bool shared;
	ssize_t n = take_next(in, &data, &shared);

	if (n < 0)
		return n;
	memset(pieces, 0, FRAME_PIECES * sizeof(*pieces));
	pieces[0] = (struct iovec){ data, (size_t)n };
	return shared ? follow_references(&in->area, pieces) : n;
}

// How many bytes of the frame that has begun have yet to come; 0: none has.
static size_t missing_bytes(const struct frames_buffer *in)
{
	if (waiting(in) < FRAMES_HEADER_BYTES || frames_has_whole(in))
		return 0;
	return FRAMES_HEADER_BYTES + bytes_behind(next_header(in)) - waiting(in);
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
	length = next_header(in); // such a one refers to nothing
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

// @flags go into the header.
static int put(struct frames_buffer *out, uint32_t flags, const struct iovec *iov, unsigned count)
{
	size_t length = iov_total(iov, count);
	uint32_t header = htonl((uint32_t)length | flags);

	if (!make_room(out, FRAMES_HEADER_BYTES + length))
		return -ENOBUFS;
	memcpy(out->data + out->end, &header, sizeof(header));
	out->end += sizeof(header);
	out->end += iov_to_buf(iov, count, 0, out->data + out->end, length);
	return 0;
}

int frames_put(struct frames_buffer *out, const struct iovec *iov, unsigned count)
{
	return put(out, 0, iov, count);
}

int frames_put_shared(struct frames_buffer *out, const struct frames_area *area,
		      const struct iovec *iov, unsigned count)
{
	struct reference references[FRAMES_REFERENCES] = { { 0 } };
	const struct iovec on_socket[2] = { { references, sizeof(references) }, iov[0] };

	for (unsigned i = 1; i < count; i++)
		references[i - 1] = (struct reference){
			.offset = htonl((uint32_t)((uint8_t *)iov[i].iov_base - area->data)),
			.bytes = htonl((uint32_t)iov[i].iov_len),
		};
	return put(out, SHARED, on_socket, 2);
}

// How many bytes the socket took, or -errno.
static ssize_t send_some(int fd, const struct iovec *iov, unsigned count)
{
	struct msghdr message = { .msg_iov = (struct iovec *)iov, .msg_iovlen = count };
	const int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
	ssize_t n;

	do {
		n = count == 1 ? send(fd, iov->iov_base, iov->iov_len, flags) :
				 sendmsg(fd, &message, flags);
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
