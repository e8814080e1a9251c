// SPDX-License-Identifier: GPL-2.0-or-later
// What the backends on a stream socket share: a peer that may come and go.
#ifndef KVIK_NET_STREAM_PRIV_H
#define KVIK_NET_STREAM_PRIV_H

#include "frames.h"
#include "loop.h"
#include "net-priv.h"

#define STREAM_NAME_BYTES 160
#define STREAM_SILENCE_NS (5 * NSEC_PER_SEC)

struct stream;

// Where peers come from.
struct stream_source {
	// Makes a new connection: a descriptor, or -errno without a message: the same again
	// after redial_ns. NULL: stream_connect() comes on its own, or there is only one peer.
	int (*dial)(struct stream *stream);
	// The connection is gone, its descriptor closed. @why as in "the peer closed it". Says
	// so to the user. May set redial_ns. Loop thread.
	void (*lost)(struct stream *stream, const char *why);
	// Makes a connection in place of the one that has just been closed, to a peer that knows
	// nothing of it: as dial(). NULL: the peer stays, whoever the guest is.
	int (*renew)(struct stream *stream);
	// What else the source watches; NULL: nothing. Attach as net_attach().
	int (*attach)(struct stream *stream);
	void (*detach)(struct stream *stream);
	void (*close)(struct stream *stream); // frees it
};

struct stream {
	struct net net;
	const struct stream_source *source;
	char name[STREAM_NAME_BYTES]; // net.info.name
	int fd;                       // the peer's; -1: none
	struct frames_buffer in;
	struct frames_buffer out;
	struct loop *loop; // NULL: detached
	struct net_events events;
	struct loop_fd peer;
	uint32_t watched; // EPOLL* of peer
	bool receive;     // readable() is wanted
	bool large;       // the frames that come are
	bool trusts;      // the receiver takes frames whose checksums are not complete
	bool full;        // the socket takes no more; writable() is owed
	bool owed_writable;
	bool link_told; // what link_changed() said last
	// Ends a round of the loop: what was gathered is sent, what happened is told.
	struct loop_timer round;
	struct loop_timer redial;
	uint64_t redial_ns;
	// A peer that stops in the middle of a frame is not one.
	struct loop_timer silence;
	uint64_t silence_ns;
	bool heard; // since the timer was armed
};

// For the sources' open(): no peer yet. 0 or -errno after a message.
int stream_init(struct stream *stream, const struct stream_source *source) MUST_CHECK;
// Closes the connection and frees the buffers. Detached.
void stream_exit(struct stream *stream);
// Takes @fd as the connection; there is none. Loop thread, or detached.
void stream_connect(struct stream *stream, int fd);
// Gives the connection up. Loop thread.
void stream_lose(struct stream *stream, const char *why);

#endif
