// SPDX-License-Identifier: GPL-2.0-or-later
// Ethernet frames on a stream socket, each after its length: u32, big endian. It is what
// passt speaks, and QEMU's "-netdev stream". kvik-slirp has a header of virtio's before each
// frame (struct virtio_net_hdr_v1), which counts as part of it.
//
// Neither side of the buffers ever blocks. One thread at a time.
#ifndef KVIK_FRAMES_H
#define KVIK_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "util.h"

#define FRAMES_HEADER_BYTES 4
#define FRAMES_AHEAD_BYTES 4096 // read along with a large frame
#define FRAME_BYTES_MIN 14      // an Ethernet header
#define FRAME_BYTES_MAX (12 + 65535 + FRAME_BYTES_MIN)

// What came from a socket and was not handed out yet, or waits for the socket.
struct frames_buffer {
	uint8_t *data;
	size_t size_bytes;
	size_t start; // of what is in it
	size_t end;
	bool drained; // the last reading found less than it had room for
};

// @size_bytes at least FRAMES_HEADER_BYTES + FRAME_BYTES_MAX. 0 or -errno after a message.
int frames_buffer_init(struct frames_buffer *buffer, size_t size_bytes) MUST_CHECK;
void frames_buffer_exit(struct frames_buffer *buffer);
void frames_buffer_clear(struct frames_buffer *buffer); // for a new connection

// Gives a socket's buffers room for a full window in each direction: with the host's default
// a fast sender waits for the receiver after every few frames.
void frames_enlarge_socket(int fd);

// -- receiving --

// Reads what is there, at most @max_bytes, as far as there is room. How many bytes; 0: the
// end; -EAGAIN: nothing came; other -errno. No message.
ssize_t frames_fill(struct frames_buffer *in, int fd, size_t max_bytes) MUST_CHECK;
// Takes the next frame out: its length, @frame valid until the next frames_fill();
// -EAGAIN: none is whole yet; -EPROTO: no peer of ours sends such a length.
ssize_t frames_next(struct frames_buffer *in, uint8_t **frame) MUST_CHECK;
// Where a large frame has begun: reads the rest of it straight into @iov, and a little of what
// follows into the buffer. As frames_fill(), but for the frame's length where it is whole in
// @iov then; else @iov is undefined. -ENOTSUP: this is not the case for it.
ssize_t frames_fill_direct(struct frames_buffer *in, int fd, const struct iovec *iov,
			   unsigned count, bool *whole) MUST_CHECK;
bool frames_has_whole(const struct frames_buffer *in); // or one that is -EPROTO
static inline bool frames_empty(const struct frames_buffer *buffer)
{
	return buffer->start == buffer->end;
}

// -- sending --

// Appends a frame; -ENOBUFS: there is no room.
int frames_put(struct frames_buffer *out, const struct iovec *iov, unsigned count) MUST_CHECK;
// Sends what waits. 0: all of it; -EAGAIN: the socket is full; other -errno: the peer is
// gone. No message.
int frames_flush(struct frames_buffer *out, int fd) MUST_CHECK;
// Sends what waits and then this frame, without a copy as far as the socket takes it.
// 0: sent; -EAGAIN: kept in the buffer, at least in part; -ENOBUFS: there is no room, and
// nothing of it was sent; other -errno: the peer is gone.
int frames_send(struct frames_buffer *out, int fd, const struct iovec *iov, unsigned count)
	MUST_CHECK;

#endif
