// SPDX-License-Identifier: GPL-2.0-or-later
// Ethernet frames on a stream socket, each after its length: u32, big endian. It is what
// passt speaks, and QEMU's "-netdev stream". kvik-slirp has a header of virtio's before each
// frame (struct virtio_net_hdr_v1), which counts as part of it.
//
// Two processes that share an area of memory need not send all of a frame. Where the length's
// highest bit is set, the rest of it says what follows on the socket: two references, each an
// offset in the area and a length in bytes (u32, big endian), and the beginning of the frame,
// which goes on with what is referred to. The sender leaves that alone until it knows from
// elsewhere that it is not wanted any more: kvik-slirp until the guest acknowledges it.
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
#define FRAMES_REFERENCES 2        // of a frame to the area; unused ones are empty
#define FRAMES_SHARED_HEAD_MAX 256 // of a frame that has them, on the socket

// Memory that the peer has, too. One side writes there, at any time.
struct frames_area {
	uint8_t *data; // NULL: there is none
	size_t size_bytes;
};

// What came from a socket and was not handed out yet, or waits for the socket.
struct frames_buffer {
	uint8_t *data;
	size_t size_bytes;
	size_t start; // of what is in it
	size_t end;
	bool drained;            // the last reading found less than it had room for
	struct frames_area area; // that what comes may refer to; not owned
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
// The same for frames that may refer to buffer->area: the frame in @pieces, some of which may
// be empty. -EPROTO also for what lies outside of the area.
#define FRAME_PIECES (1 + FRAMES_REFERENCES)
ssize_t frames_next_pieces(struct frames_buffer *in, struct iovec pieces[FRAME_PIECES]) MUST_CHECK;
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
// Appends a frame that begins with iov[0], of up to FRAMES_SHARED_HEAD_MAX bytes; the others, up
// to FRAMES_REFERENCES, lie in @area. As frames_put().
int frames_put_shared(struct frames_buffer *out, const struct frames_area *area,
		      const struct iovec *iov, unsigned count) MUST_CHECK;
// Sends what waits. 0: all of it; -EAGAIN: the socket is full; other -errno: the peer is
// gone. No message.
int frames_flush(struct frames_buffer *out, int fd) MUST_CHECK;
// Sends what waits and then this frame, without a copy as far as the socket takes it.
// 0: sent; -EAGAIN: kept in the buffer, at least in part; -ENOBUFS: there is no room, and
// nothing of it was sent; other -errno: the peer is gone.
int frames_send(struct frames_buffer *out, int fd, const struct iovec *iov, unsigned count)
	MUST_CHECK;

// -- areas: frames-area.c --

// Makes one that keeps its size, whatever the peer does. Its descriptor, or -errno without a
// message.
int frames_area_create(size_t size_bytes) MUST_CHECK;
// Maps it. 0 or -errno without a message.
int frames_area_map(struct frames_area *area, int fd, bool writes) MUST_CHECK;
void frames_area_unmap(struct frames_area *area); // also where there is none

#endif
