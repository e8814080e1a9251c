// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzzes kvik-slirp's own TCP: a guest that sends any segments, and any bytes, to a server
// on the loopback device, which sends, reads and leaves when the input says so.

#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../helpers/kvik-slirp/tcp.h"
#include "iov.h"

#define MTU 1500
#define DATA_MAX 4096
#define STEPS_MAX 200

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct rig {
	struct tcp *tcp;
	int listener, server;
	in_port_t port;
	bool full;
	int64_t now_ms;
	uint32_t seq, ack; // what would be right for the guest's next segment
	const uint8_t *input;
	size_t left;
};

static uint8_t next(struct rig *rig)
{
	if (!rig->left)
		return 0;
	rig->left--;
	return *rig->input++;
}

static unsigned next16(struct rig *rig)
{
	unsigned high = next(rig);

	return high << 8 | next(rig);
}

// Each frame is whole, fits, and belongs to the guest.
static bool receive(void *opaque, const struct iovec *iov, unsigned count)
{
	uint8_t frame[NET_VNET_HEADER_BYTES + 14 + MTU];
	struct rig *rig = opaque;
	size_t len = iov_total(iov, count), header = NET_VNET_HEADER_BYTES;
	struct segment segment;

	if (len > sizeof(frame))
		abort();
	iov_to_buf(iov, count, 0, frame, len);
	if (!segment_parse(&segment, frame + header, len - header))
		abort();
	rig->seq = segment.ack;
	rig->ack = segment.seq + (uint32_t)segment.len + !!(segment.flags & (TCP_SYN | TCP_FIN));
	return !rig->full;
}

// In memory of its own, so that what is read beyond is found.
static void send_frame(struct rig *rig, const uint8_t *frame, size_t len)
{
	uint8_t *copy = malloc(len + 1);

	memcpy(copy, frame, len);
	(void)!tcp_input(rig->tcp, copy, len);
	free(copy);
}

// Written as if to the guest: addresses and ports the other way round.
static void send_segment(struct rig *rig)
{
	static const uint8_t macs[SEGMENT_MACS_BYTES];
	static uint8_t frame[SEGMENT_HEADERS_MAX + DATA_MAX];
	struct segment segment = {
		.name = { .guest_port = rig->port,
			  .host_port = next(rig) & 3,
			  .guest_ip = { 10, 0, 0, 1 },
			  .host_ip = { 10, 0, 0, 15 } },
		.flags = next(rig),
		.window_shift = SEGMENT_NO_SHIFT,
	};

	segment.seq = rig->seq + (uint32_t)(int8_t)next(rig) * 100;
	segment.ack = rig->ack + (uint32_t)(int8_t)next(rig) * 100;
	segment.window = (uint16_t)next16(rig);
	segment.len = next16(rig) % DATA_MAX;
	if (segment.flags & TCP_SYN) {
		segment.mss = (uint16_t)next16(rig);
		segment.window_shift = next(rig);
	}
	send_frame(rig, frame + NET_VNET_HEADER_BYTES,
		   segment_write_headers(frame, &segment, macs) - NET_VNET_HEADER_BYTES +
			   segment.len);
}

static void send_bytes(struct rig *rig)
{
	size_t len = MIN((size_t)next(rig), rig->left);

	send_frame(rig, rig->input, len);
	rig->input += len;
	rig->left -= len;
}

static void close_server(struct rig *rig)
{
	const struct linger at_once = { 1, 0 };

	if (rig->server < 0)
		return;
	setsockopt(rig->server, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(rig->server);
	rig->server = -1;
}

static void serve(struct rig *rig)
{
	static uint8_t data[65536];
	unsigned what = next(rig);

	if (rig->server < 0)
		rig->server = accept(rig->listener, NULL, NULL);
	if (rig->server < 0)
		return;
	if (what & 1)
		(void)!send(rig->server, data, next16(rig), MSG_DONTWAIT | MSG_NOSIGNAL);
	if (what & 2)
		(void)!recv(rig->server, data, sizeof(data), MSG_DONTWAIT);
	if (what & 4)
		shutdown(rig->server, SHUT_WR);
	if (what & 8)
		close_server(rig);
}

static void play_round(struct rig *rig)
{
	struct polls polls = { .fds = NULL };

	tcp_add_polls(rig->tcp, &polls);
	if (polls.count)
		poll(polls.fds, polls.count, 0);
	tcp_take_polls(rig->tcp, &polls, rig->now_ms);
	tcp_end_round(rig->tcp);
	free(polls.fds);
}

static void step(struct rig *rig)
{
	switch (next(rig) % 6) {
	case 0:
	case 1:
		send_segment(rig);
		break;
	case 2:
		send_bytes(rig);
		break;
	case 3:
		serve(rig);
		break;
	case 4:
		rig->full = !rig->full;
		break;
	case 5:
		rig->now_ms += next16(rig) * 20; // up to twice the longest of its times
		break;
	}
	play_round(rig);
}

static void listen_on_loopback(struct rig *rig)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);

	rig->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (bind(rig->listener, (struct sockaddr *)&address, len) || listen(rig->listener, 64) ||
	    getsockname(rig->listener, (struct sockaddr *)&address, &len))
		abort();
	rig->port = address.sin_port;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct rig common = { .listener = -1, .server = -1 };
	struct tcp_config ours = { .host.s_addr = 0 };
	struct rig *rig = &common;
	const struct tcp_wire wire = { .send = receive, .opaque = rig, .mtu = MTU };

	if (rig->listener < 0)
		listen_on_loopback(rig);
	rig->input = data;
	rig->left = size;
	rig->now_ms = 1000;
	rig->full = false;
	inet_pton(AF_INET, "10.0.0.1", &ours.host);
	if (tcp_create(&rig->tcp, &ours, wire))
		abort();
	for (unsigned i = 0; i < STEPS_MAX && rig->left; i++)
		step(rig);
	tcp_free(rig->tcp);
	do
		close_server(rig);
	while ((rig->server = accept(rig->listener, NULL, NULL)) >= 0);
	return 0;
}
