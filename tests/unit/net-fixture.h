// SPDX-License-Identifier: GPL-2.0-or-later
// A network backend under test: a device that records what it is told, and a peer.
#ifndef KVIK_NET_FIXTURE_H
#define KVIK_NET_FIXTURE_H

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop.h"
#include "net.h"
#include "vm-config.h"

#include <cmocka.h>

#define PATIENCE_MS 5000
#define FRAME_ROOM 66000

struct rig {
	struct loop loop;
	struct loop_timer timer;
	struct net *net;
	int peer; // the test's end of the socket; -1: none
	// what the device was told
	unsigned readable;
	unsigned writable;
	unsigned link_changes;
	bool link_up;
	// what it does then
	unsigned take;             // frames to receive at a time
	bool stops;                // being watched, after that
	uint8_t frame[FRAME_ROOM]; // the last one
	ssize_t frame_len;
	unsigned frames;
	int error; // of the last net_receive() that found none
};

static inline ssize_t receive_into(struct rig *rig, size_t room)
{
	// In three pieces, since a driver's buffers are.
	struct iovec iov[3] = {
		{ rig->frame, MIN(room, (size_t)1) },
		{ rig->frame + 1, room > 1 ? MIN(room - 1, (size_t)12) : 0 },
		{ rig->frame + 13, room > 13 ? room - 13 : 0 },
	};

	return net_receive(rig->net, 0, iov, 3);
}

static inline void on_readable(void *opaque)
{
	struct rig *rig = opaque;

	rig->readable++;
	for (unsigned i = 0; i < rig->take; i++) {
		ssize_t len = receive_into(rig, FRAME_ROOM);

		if (len < 0) {
			rig->error = (int)len;
			return;
		}
		rig->frame_len = len;
		rig->frames++;
	}
	if (rig->stops)
		net_watch(rig->net, 0, false);
}

static inline void on_writable(void *opaque)
{
	((struct rig *)opaque)->writable++;
}

static inline void on_link_changed(void *opaque, bool up)
{
	struct rig *rig = opaque;

	rig->link_changes++;
	rig->link_up = up;
}

static inline void end_run(struct loop_timer *timer)
{
	loop_stop(&container_of(timer, struct rig, timer)->loop);
}

// Lets the loop run for @ms.
static inline void run_for(struct rig *rig, unsigned ms)
{
	loop_arm_timer(&rig->loop, &rig->timer, clock_monotonic_ns() + ms * 1000000ULL);
	loop_run(&rig->loop);
}

// Runs the loop until @condition holds, for a while.
#define run_until(rig, condition)                                                     \
	do {                                                                          \
		unsigned left_ = PATIENCE_MS;                                         \
		while (!(condition) && left_--)                                       \
			run_for(rig, 1);                                              \
		if (!(condition))                                                     \
			fail_msg("%s:%d: never: %s", __FILE__, __LINE__, #condition); \
	} while (0)

static inline void rig_init(struct rig *rig)
{
	*rig = (struct rig){ .peer = -1, .take = 64, .link_up = true, .timer.expired = end_run };
	assert_int_equal(loop_init(&rig->loop), 0);
}

static inline void rig_attach(struct rig *rig)
{
	struct net_events events = { on_readable, on_writable, on_link_changed, rig };

	assert_int_equal(net_attach(rig->net, 0, &rig->loop, events), 0);
	net_watch(rig->net, 0, true);
}

// Opens and attaches what @config says.
static inline void rig_open(struct rig *rig, const struct net_config *config)
{
	rig_init(rig);
	assert_int_equal(net_open(&rig->net, config), 0);
	rig_attach(rig);
}

// A network on one end of a socket pair, whose other end is the test's.
static inline void rig_open_pair(struct rig *rig)
{
	struct net_config config = { .mode = NET_STREAM };
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	config.fd = ends[0];
	rig_open(rig, &config);
	rig->peer = ends[1];
}

static inline void rig_exit(struct rig *rig)
{
	if (rig->net)
		net_detach(rig->net, 0);
	net_close(rig->net);
	if (rig->peer >= 0)
		close(rig->peer);
	loop_exit(&rig->loop);
}

// -- frames --

static inline void fill_frame(uint8_t *frame, size_t len, unsigned seed)
{
	for (size_t i = 0; i < len; i++)
		frame[i] = (uint8_t)(seed + i * 7 + (i >> 8));
}

// Sends a frame of @len bytes, which @seed determines.
static inline int send_seeded(struct rig *rig, size_t len, unsigned seed)
{
	static uint8_t frame[FRAME_ROOM];
	struct iovec iov[2] = { { frame, 6 }, { frame + 6, len - 6 } };

	fill_frame(frame, len, seed);
	return net_send(rig->net, 0, iov, 2);
}

static inline void assert_frame(const uint8_t *frame, size_t len, unsigned seed)
{
	static uint8_t wanted[FRAME_ROOM];

	fill_frame(wanted, len, seed);
	assert_memory_equal(frame, wanted, len);
}

static inline void put_length(uint8_t *header, uint32_t len)
{
	header[0] = (uint8_t)(len >> 24);
	header[1] = (uint8_t)(len >> 16);
	header[2] = (uint8_t)(len >> 8);
	header[3] = (uint8_t)len;
}

static inline void peer_write(struct rig *rig, const void *data, size_t len)
{
	assert_int_equal(send(rig->peer, data, len, MSG_NOSIGNAL), len);
}

// In two pieces, of which the first has been looked at when the second comes. The device has
// been given @frames then.
static inline void peer_write_cut(struct rig *rig, const uint8_t *data, size_t len, size_t cut,
				  unsigned frames)
{
	rig->frames = 0;
	peer_write(rig, data, cut);
	run_for(rig, 0);
	run_for(rig, 0);
	peer_write(rig, data + cut, len - cut);
	run_until(rig, rig->frames == frames);
}

static inline void peer_send(struct rig *rig, size_t len, unsigned seed)
{
	static uint8_t data[4 + FRAME_ROOM];

	put_length(data, (uint32_t)len);
	fill_frame(data + 4, len, seed);
	peer_write(rig, data, 4 + len);
}

// Reads exactly @len bytes, while the loop runs.
static inline void peer_read(struct rig *rig, uint8_t *data, size_t len)
{
	unsigned left = PATIENCE_MS;
	size_t got = 0;

	while (got < len) {
		ssize_t n = recv(rig->peer, data + got, len - got, MSG_DONTWAIT);

		if (n > 0)
			got += (size_t)n;
		else if (n == 0 || !left--)
			fail_msg("the peer got %zu of %zu bytes", got, len);
		else
			run_for(rig, 1);
	}
}

// Expects the frame of send_seeded().
static inline void peer_expect(struct rig *rig, size_t len, unsigned seed)
{
	static uint8_t data[4 + FRAME_ROOM];
	uint8_t header[4];

	put_length(header, (uint32_t)len);
	peer_read(rig, data, 4 + len);
	assert_memory_equal(data, header, sizeof(header));
	assert_frame(data + 4, len, seed);
}

#endif
