// SPDX-License-Identifier: GPL-2.0-or-later
// kvik-slirp's own TCP: a guest made of frames, and a server on the loopback device.

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../../helpers/kvik-slirp/tcp.h"
#include "iov.h"
#include "vnet.h"

#include <cmocka.h>

#define MTU 9000
#define MSS (MTU - 40)
#define GUEST_PORT 40000
#define ISN 0xfffffff0U // so that sequence numbers wrap soon
#define SHIFT 7
#define FRAME_ROOM (NET_VNET_HEADER_BYTES + 14 + 65535)
#define PATIENCE_MS 5000

// The addresses at the beginning of each frame to the guest.
static const uint8_t to_guest[SEGMENT_MACS_BYTES] = { 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1 };

struct rig {
	struct tcp *tcp;
	int listener, server; // -1: none
	in_port_t port;
	unsigned guest_port;
	unsigned mss;
	bool ipv6;
	int64_t now_ms;
	// The guest: sequence numbers, and the last segment that it got.
	uint32_t seq, ack;
	uint32_t window;
	struct segment last;
	unsigned segments; // that came
	bool deaf;         // it loses them
	bool full;         // the way to it is
	uint8_t frame[FRAME_ROOM];
	uint8_t *got;
	size_t got_len;
};

// -- what the guest receives --

static uint8_t expected(size_t at)
{
	return (uint8_t)(at * 7 + (at >> 8));
}

// As the guest's: of TCP, where the pseudo header is part of it.
static void check_checksum(const uint8_t *frame, size_t len, const struct segment *segment)
{
	size_t ip = segment->name.ipv6 ? 40 : 20, from = segment->name.ipv6 ? 8 : 12;
	uint32_t sum = IPPROTO_TCP + (uint32_t)(len - 14 - ip);

	for (size_t i = 14 + from; i < len; i++)
		sum += i & 1 ? frame[i] : (uint32_t)frame[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	assert_int_equal(sum, 0xffff);
}

// One that is in its turn is kept.
static void take_segment(struct rig *rig, const struct segment *segment)
{
	if (segment->flags & TCP_SYN)
		rig->ack = segment->seq + 1;
	if (segment->seq != rig->ack)
		return;
	rig->got = realloc(rig->got, rig->got_len + segment->len + 1);
	memcpy(rig->got + rig->got_len, segment->data, segment->len);
	rig->got_len += segment->len;
	rig->ack += (uint32_t)segment->len + !!(segment->flags & TCP_FIN);
}

static bool receive(void *opaque, const struct iovec *iov, unsigned count)
{
	struct rig *rig = opaque;
	size_t len = iov_total(iov, count), header = NET_VNET_HEADER_BYTES;
	const struct iovec whole = { rig->frame, len };

	if (rig->full)
		return false;
	assert_true(len <= header + 14 + MTU);
	iov_to_buf(iov, count, 0, rig->frame, len);
	assert_memory_equal(rig->frame + header, to_guest, sizeof(to_guest));
	assert_int_equal(vnet_complete(&whole, 1, len), 0);
	assert_true(segment_parse(&rig->last, rig->frame + header, len - header));
	check_checksum(rig->frame + header, len - header, &rig->last);
	rig->segments++;
	if (!rig->deaf)
		take_segment(rig, &rig->last);
	return true;
}

// -- what it sends --

static size_t write_frame(struct rig *rig, uint8_t *headers, uint8_t flags, size_t len)
{
	// It is written as if to the guest: addresses and ports the other way round.
	struct segment segment = {
		.name = { .ipv6 = rig->ipv6,
			  .guest_port = rig->port,
			  .host_port = htons((in_port_t)rig->guest_port) },
		.seq = rig->seq,
		.ack = rig->ack,
		.window = (uint16_t)(flags & TCP_SYN ? rig->window : rig->window >> SHIFT),
		.flags = flags,
		.mss = (uint16_t)(flags & TCP_SYN ? rig->mss : 0),
		.window_shift = flags & TCP_SYN ? SHIFT : SEGMENT_NO_SHIFT,
		.len = len,
	};

	inet_pton(AF_INET, "10.0.0.1", segment.name.guest_ip);
	inet_pton(AF_INET, "10.0.0.15", segment.name.host_ip);
	if (rig->ipv6) {
		inet_pton(AF_INET6, "fd00::1", segment.name.guest_ip);
		inet_pton(AF_INET6, "fd00::15", segment.name.host_ip);
	}
	return segment_write_headers(headers, &segment, to_guest);
}

// A segment with bytes of the sequence from @at on.
static bool guest_sends(struct rig *rig, uint8_t flags, size_t at, size_t len)
{
	uint8_t *frame = malloc(SEGMENT_HEADERS_MAX + len);
	size_t header = write_frame(rig, frame, flags, len);
	bool taken;

	for (size_t i = 0; i < len; i++)
		frame[header + i] = expected(at + i);
	taken = tcp_input(rig->tcp, frame + NET_VNET_HEADER_BYTES,
			  header + len - NET_VNET_HEADER_BYTES);
	free(frame);
	return taken;
}

// -- rounds --

static void round_of(struct rig *rig, int ms)
{
	struct polls polls = { .fds = NULL };

	tcp_add_polls(rig->tcp, &polls);
	if (polls.count)
		poll(polls.fds, polls.count, ms);
	tcp_take_polls(rig->tcp, &polls, rig->now_ms);
	tcp_end_round(rig->tcp);
	free(polls.fds);
}

// Rounds in which the guest acknowledges what it gets, until @condition holds.
#define run_until(rig, condition)                                                     \
	do {                                                                          \
		unsigned left_ = PATIENCE_MS;                                         \
		while (!(condition) && left_--) {                                     \
			unsigned before_ = (rig)->segments;                           \
			round_of(rig, 1);                                             \
			if ((rig)->segments != before_ && !(rig)->deaf)               \
				guest_sends(rig, TCP_ACK, 0, 0);                      \
		}                                                                     \
		if (!(condition))                                                     \
			fail_msg("%s:%d: never: %s", __FILE__, __LINE__, #condition); \
	} while (0)

static void pass(struct rig *rig, int64_t ms)
{
	rig->now_ms += ms;
	round_of(rig, 0);
}

// -- set up --

static bool listen_on_loopback(struct rig *rig)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
	struct sockaddr_in in4 = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr *address = rig->ipv6 ? (void *)&in6 : (void *)&in4;
	socklen_t len = rig->ipv6 ? sizeof(in6) : sizeof(in4);

	rig->listener = socket(address->sa_family, SOCK_STREAM, 0);
	if (bind(rig->listener, address, len) || listen(rig->listener, 4))
		return false;
	assert_int_equal(getsockname(rig->listener, address, &len), 0);
	rig->port = rig->ipv6 ? in6.sin6_port : in4.sin_port;
	return true;
}

static void make_tcp(struct rig *rig)
{
	struct tcp_config config = { .host.s_addr = 0 };
	const struct tcp_wire wire = { .send = receive, .opaque = rig, .mtu = MTU };

	inet_pton(AF_INET, "10.0.0.1", &config.host);
	inet_pton(AF_INET, "10.0.0.3", &config.nameserver);
	inet_pton(AF_INET6, "fd00::1", &config.host6);
	inet_pton(AF_INET6, "fd00::3", &config.nameserver6);
	assert_int_equal(tcp_create(&rig->tcp, &config, wire), 0);
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	tcp_free(rig->tcp);
	if (rig->server >= 0)
		close(rig->server);
	if (rig->listener >= 0)
		close(rig->listener);
	free(rig->got);
	return 0;
}

static int setup_for(void **state, bool ipv6)
{
	static struct rig rig;

	rig = (struct rig){ .listener = -1,
			    .server = -1,
			    .ipv6 = ipv6,
			    .seq = ISN,
			    .mss = MSS,
			    .window = 60000,
			    .now_ms = 1000 };
	rig.guest_port = GUEST_PORT;
	*state = &rig;
	make_tcp(&rig);
	return 0;
}

static int setup(void **state)
{
	return setup_for(state, false);
}

static int setup6(void **state)
{
	return setup_for(state, true);
}

// A connection; the test is skipped where there is no loopback device.
static struct rig *connected(void **state)
{
	struct rig *rig = *state;

	if (!listen_on_loopback(rig) || !guest_sends(rig, TCP_SYN, 0, 0)) {
		print_message("no loopback device of this family\n");
		skip();
	}
	rig->seq++;
	run_until(rig, rig->segments == 1);
	assert_int_equal(rig->last.flags, TCP_SYN | TCP_ACK);
	rig->server = accept(rig->listener, NULL, NULL);
	assert_true(rig->server >= 0);
	guest_sends(rig, TCP_ACK, 0, 0);
	return rig;
}

static void server_sends(struct rig *rig, size_t at, size_t len)
{
	uint8_t *data = malloc(len);

	for (size_t i = 0; i < len; i++)
		data[i] = expected(at + i);
	assert_int_equal(send(rig->server, data, len, 0), len);
	free(data);
}

static void assert_got(const struct rig *rig, size_t len)
{
	assert_int_equal(rig->got_len, len);
	for (size_t i = 0; i < len; i++)
		if (rig->got[i] != expected(i))
			fail_msg("byte %zu is wrong", i);
}

// Reads what is there; returns how much, having checked it.
static size_t server_reads(struct rig *rig, size_t at)
{
	uint8_t data[65536];
	ssize_t n = recv(rig->server, data, sizeof(data), MSG_DONTWAIT);

	for (ssize_t i = 0; i < n; i++)
		if (data[i] != expected(at + (size_t)i))
			fail_msg("byte %zu is wrong", at + (size_t)i);
	return n < 0 ? 0 : (size_t)n;
}

// -- tests --

static void test_connects(void **state)
{
	struct rig *rig = connected(state);

	assert_int_equal(rig->last.mss, rig->ipv6 ? MTU - 60 : MSS);
	assert_int_equal(rig->last.window_shift, 4);
	assert_int_equal(rig->last.window, 65535);
	assert_int_equal(rig->last.ack, ISN + 1);
}

static void test_carries_data_both_ways(void **state)
{
	struct rig *rig = connected(state);
	size_t read = 0;

	server_sends(rig, 0, 100000);
	run_until(rig, rig->got_len == 100000);
	assert_got(rig, 100000);
	for (size_t at = 0; at < 100000; at += 5000) {
		assert_true(guest_sends(rig, TCP_ACK, at, 5000));
		rig->seq += 5000;
	}
	while (read < 100000) {
		read += server_reads(rig, read);
		round_of(rig, 0);
	}
	pass(rig, 20);
	assert_int_equal(rig->last.ack, rig->seq);
}

static void test_refused(void **state)
{
	struct rig *rig = *state;

	if (!listen_on_loopback(rig))
		skip();
	close(rig->listener);
	rig->listener = -1;
	if (!guest_sends(rig, TCP_SYN, 0, 0))
		return; // the kernel says so at once: libslirp tells the guest
	run_until(rig, rig->segments == 1);
	assert_int_equal(rig->last.flags, TCP_RST | TCP_ACK);
	assert_int_equal(rig->last.ack, ISN + 1);
	assert_false(guest_sends(rig, TCP_ACK, 0, 0)); // nothing is left of it
}

static void test_what_is_left_to_libslirp(void **state)
{
	struct rig *rig = *state;
	uint8_t frame[SEGMENT_HEADERS_MAX];
	size_t header = NET_VNET_HEADER_BYTES, len;

	assert_false(guest_sends(rig, TCP_ACK, 0, 10)); // of a connection that is not its own
	assert_false(guest_sends(rig, TCP_SYN | TCP_ACK, 0, 0));
	len = write_frame(rig, frame, TCP_SYN, 0);
	frame[header + 14 + (rig->ipv6 ? 39 : 19)] = 3; // the name server
	assert_false(tcp_input(rig->tcp, frame + header, len - header));
	assert_int_equal(rig->segments, 0);
}

static void test_many_connections(void **state)
{
	struct rig *rig = *state;
	unsigned taken = 0;

	if (!listen_on_loopback(rig) || !guest_sends(rig, TCP_SYN, 0, 0))
		skip();
	while (taken++ < 2 * TCP_FLOWS_MAX) {
		rig->guest_port++;
		if (!guest_sends(rig, TCP_SYN, 0, 0))
			break;
	}
	assert_int_equal(taken, TCP_FLOWS_MAX); // the rest is libslirp's
	rig->guest_port = GUEST_PORT;
	rig->seq++;
	assert_true(guest_sends(rig, TCP_RST, 0, 0));
	round_of(rig, 0);
	rig->guest_port = 1;
	assert_true(guest_sends(rig, TCP_SYN, 0, 0)); // there is room again
}

static void test_guest_ends_first(void **state)
{
	struct rig *rig = connected(state);
	char byte;

	guest_sends(rig, TCP_FIN | TCP_ACK, 0, 10);
	rig->seq += 11;
	assert_int_equal(recv(rig->server, rig->frame, 100, 0), 10);
	assert_int_equal(recv(rig->server, &byte, 1, 0), 0);
	server_sends(rig, 0, 20);
	run_until(rig, rig->got_len == 20);
	close(rig->server);
	rig->server = -1;
	run_until(rig, rig->last.flags & TCP_FIN);
	guest_sends(rig, TCP_ACK, 0, 0);
	round_of(rig, 0);
	assert_false(guest_sends(rig, TCP_ACK, 0, 0));
}

static void test_host_ends_first(void **state)
{
	struct rig *rig = connected(state);

	server_sends(rig, 0, 20);
	shutdown(rig->server, SHUT_WR);
	run_until(rig, rig->last.flags & TCP_FIN);
	assert_got(rig, 20);
	guest_sends(rig, TCP_ACK, 0, 10); // its direction is open
	rig->seq += 10;
	assert_int_equal(recv(rig->server, rig->frame, 100, 0), 10);
	guest_sends(rig, TCP_FIN | TCP_ACK, 0, 0);
	rig->seq++;
	round_of(rig, 0);
	assert_int_equal(rig->last.ack, rig->seq);
	assert_false(guest_sends(rig, TCP_ACK, 0, 0));
}

static void test_resets(void **state)
{
	struct rig *rig = connected(state);
	uint8_t byte;

	rig->seq += 5; // not where it would be (RFC 5961)
	guest_sends(rig, TCP_RST, 0, 0);
	rig->seq -= 5;
	assert_true(guest_sends(rig, TCP_ACK, 0, 0));
	guest_sends(rig, TCP_RST, 0, 0);
	round_of(rig, 0);
	assert_int_equal(recv(rig->server, &byte, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	assert_false(guest_sends(rig, TCP_ACK, 0, 0));
}

static void reset_by_host(struct rig *rig)
{
	const struct linger at_once = { 1, 0 };

	setsockopt(rig->server, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(rig->server);
	rig->server = -1;
}

static void test_host_resets(void **state)
{
	struct rig *rig = connected(state);

	reset_by_host(rig);
	run_until(rig, rig->last.flags & TCP_RST);
	assert_int_equal(rig->last.seq, rig->ack);
}

// While the host takes nothing, the guest's window closes, and nothing is lost.
static void test_host_that_does_not_read(void **state)
{
	struct rig *rig = connected(state);
	size_t sent = 0, read = 0, room;

	do {
		room = rig->last.ack + ((uint32_t)rig->last.window << 4) - rig->seq;
		room = sent ? MIN(room, (size_t)MSS) : MSS;
		guest_sends(rig, TCP_ACK, sent, room);
		rig->seq += (uint32_t)room;
		sent += room;
		round_of(rig, 0);
	} while (room);
	pass(rig, 20);
	assert_int_equal(rig->last.ack, rig->seq);
	assert_int_equal(rig->last.window, 0);
	guest_sends(rig, TCP_ACK, sent, 100); // beyond its window
	round_of(rig, 0);
	assert_int_equal(rig->last.ack, rig->seq);
	while (read < sent) {
		read += server_reads(rig, read);
		round_of(rig, 0);
	}
	assert_true(rig->last.window > 0); // the guest was told
}

// How much has been sent of what the guest, which is deaf, has not acknowledged.
static uint32_t on_its_way(const struct rig *rig)
{
	return rig->last.seq + (uint32_t)rig->last.len - rig->ack;
}

static void test_guest_that_has_no_room(void **state)
{
	struct rig *rig = connected(state);
	unsigned segments;

	rig->deaf = true;
	server_sends(rig, 0, 200000);
	run_until(rig, on_its_way(rig) > rig->window - MSS);
	for (unsigned i = 0; i < 5; i++)
		round_of(rig, 1);
	assert_true(on_its_way(rig) <= rig->window);
	segments = rig->segments;
	rig->deaf = false;
	rig->ack += on_its_way(rig); // it did take them, but:
	rig->window = 0;
	guest_sends(rig, TCP_ACK, 0, 0);
	rig->deaf = true;
	pass(rig, 1);
	assert_int_equal(rig->segments, segments);
	pass(rig, 500);
	assert_int_equal(rig->segments, segments + 1); // a probe
	assert_int_equal(rig->last.len, 1);
	rig->window = 60000;
	guest_sends(rig, TCP_ACK, 0, 0);
	round_of(rig, 1);
	assert_true(rig->segments > segments + 2);
}

// All that the server sends to a guest which hears nothing from now on; returns how many
// segments there have been.
static unsigned lose(struct rig *rig, size_t len)
{
	rig->deaf = true;
	server_sends(rig, 0, len);
	run_until(rig, on_its_way(rig) == len);
	return rig->segments;
}

static void test_lost_segments_are_repeated(void **state)
{
	struct rig *rig = connected(state);
	unsigned segments;

	segments = lose(rig, 50000);
	pass(rig, 100);
	assert_int_equal(rig->segments, segments);
	pass(rig, 300);
	assert_int_equal(rig->segments, segments + 1); // the first, alone
	assert_int_equal(rig->last.seq, rig->ack);
	pass(rig, 301);
	assert_int_equal(rig->segments, segments + 1); // ever later
	rig->deaf = false;
	pass(rig, 400);
	guest_sends(rig, TCP_ACK, 0, 0);
	run_until(rig, rig->got_len == 50000);
	assert_got(rig, 50000);
}

static void test_lost_syn_is_repeated(void **state)
{
	struct rig *rig = *state;

	if (!listen_on_loopback(rig) || !guest_sends(rig, TCP_SYN, 0, 0))
		skip();
	rig->deaf = true;
	run_until(rig, rig->segments == 1);
	pass(rig, 400);
	assert_int_equal(rig->segments, 2);
	assert_int_equal(rig->last.flags, TCP_SYN | TCP_ACK);
	guest_sends(rig, TCP_SYN, 0, 0); // the guest's own repetition
	assert_int_equal(rig->segments, 3);
	for (unsigned i = 0; i < 10; i++)
		pass(rig, 20000);
	assert_int_equal(rig->last.flags, TCP_RST | TCP_ACK); // it is gone
	assert_false(guest_sends(rig, TCP_ACK, 0, 0));
}

// Retransmissions, holes, keepalives.
static void test_segments_out_of_order(void **state)
{
	struct rig *rig = connected(state);
	unsigned segments = rig->segments;

	rig->seq += 100;
	guest_sends(rig, TCP_ACK, 100, 50);
	round_of(rig, 0);
	assert_int_equal(rig->segments, segments + 1);
	assert_int_equal(rig->last.ack, ISN + 1);
	rig->seq -= 100;
	guest_sends(rig, TCP_ACK, 0, 100);
	guest_sends(rig, TCP_ACK, 0, 120); // begins before what is next
	rig->seq--;
	guest_sends(rig, TCP_ACK, 0, 0);
	round_of(rig, 0);
	assert_int_equal(rig->last.ack, ISN + 1 + 120);
	assert_int_equal(server_reads(rig, 0), 120);
}

static void test_small_ones_are_acknowledged_later(void **state)
{
	struct rig *rig = connected(state);
	unsigned segments = rig->segments;

	guest_sends(rig, TCP_ACK, 0, 10);
	rig->seq += 10;
	pass(rig, 10);
	assert_int_equal(rig->segments, segments);
	assert_int_equal(tcp_deadline_ms(rig->tcp), rig->now_ms + 10);
	pass(rig, 10);
	assert_int_equal(rig->segments, segments + 1);
	assert_int_equal(rig->last.ack, rig->seq);
	guest_sends(rig, TCP_ACK, 10, 10);
	rig->seq += 10;
	server_sends(rig, 0, 5);
	run_until(rig, rig->got_len == 5);
	assert_int_equal(rig->last.ack, rig->seq);
	pass(rig, 10);
	assert_int_equal(rig->segments, segments + 2); // it went along
}

static void test_full_way_to_the_guest(void **state)
{
	struct rig *rig = connected(state);

	rig->full = true;
	server_sends(rig, 0, 100000);
	for (unsigned i = 0; i < 20; i++)
		round_of(rig, 1);
	rig->full = false;
	run_until(rig, rig->got_len == 100000);
	assert_got(rig, 100000);
}

// The guest sends, but takes nothing: what is due waits, and nobody is woken for it.
static void test_full_way_and_an_acknowledgement(void **state)
{
	struct rig *rig = connected(state);
	unsigned segments = rig->segments;

	rig->full = true;
	guest_sends(rig, TCP_ACK, 0, 10);
	rig->seq += 10;
	pass(rig, 20);
	assert_true(tcp_deadline_ms(rig->tcp) > rig->now_ms);
	rig->full = false;
	round_of(rig, 0);
	assert_int_equal(rig->segments, segments + 1);
	assert_int_equal(rig->last.ack, rig->seq);
}

static void test_full_way_and_a_reset(void **state)
{
	struct rig *rig = connected(state);

	rig->full = true;
	reset_by_host(rig);
	for (unsigned i = 0; i < 5; i++)
		round_of(rig, 1);
	assert_true(tcp_deadline_ms(rig->tcp) > rig->now_ms);
	rig->full = false;
	round_of(rig, 0);
	assert_int_equal(rig->last.flags, TCP_RST | TCP_ACK);
	assert_false(guest_sends(rig, TCP_ACK, 0, 0));
}

static void test_urgent_data_stay_in_their_place(void **state)
{
	struct rig *rig = connected(state);
	uint8_t data[3] = { expected(0), expected(1), expected(2) };

	assert_int_equal(send(rig->server, data, 2, MSG_OOB), 2);
	assert_int_equal(send(rig->server, data + 2, 1, 0), 1);
	run_until(rig, rig->got_len == 3);
	assert_got(rig, 3);
}

// What libslirp was left once it has, also when the guest repeats its SYN.
static void test_a_connection_has_one_owner(void **state)
{
	struct rig *rig = *state;
	unsigned left;

	if (!listen_on_loopback(rig) || !guest_sends(rig, TCP_SYN, 0, 0))
		skip();
	do
		rig->guest_port++;
	while (guest_sends(rig, TCP_SYN, 0, 0));
	left = rig->guest_port;
	rig->guest_port = GUEST_PORT;
	rig->seq++;
	guest_sends(rig, TCP_RST, 0, 0);
	round_of(rig, 0);
	rig->guest_port = left;
	rig->seq--;
	assert_false(guest_sends(rig, TCP_SYN, 0, 0));
	rig->guest_port = left + 1;
	assert_true(guest_sends(rig, TCP_SYN, 0, 0));
}

static void test_small_segments(void **state)
{
	struct rig *rig = *state;

	rig->mss = 200;
	connected(state);
	server_sends(rig, 0, 1000);
	run_until(rig, rig->got_len == 1000);
	assert_got(rig, 1000);
	assert_int_equal(rig->segments, 1 + 5);
}

// One that has forgotten the connection refuses it then.
static void test_a_silent_guest_is_asked(void **state)
{
	struct rig *rig = connected(state);
	unsigned segments = rig->segments;

	round_of(rig, 0);
	assert_true(tcp_deadline_ms(rig->tcp) >= rig->now_ms + 60000);
	assert_true(tcp_deadline_ms(rig->tcp) <= rig->now_ms + 3600000);
	pass(rig, tcp_deadline_ms(rig->tcp) - rig->now_ms);
	assert_int_equal(rig->segments, segments + 1);
	assert_int_equal(rig->last.seq, rig->ack - 1);
	assert_int_equal(rig->last.len, 0);
	assert_true(tcp_deadline_ms(rig->tcp) >= rig->now_ms + 60000);
	guest_sends(rig, TCP_RST, 0, 0);
	round_of(rig, 0);
	assert_false(guest_sends(rig, TCP_ACK, 0, 0));
}

static void test_a_silent_host_is_asked(void **state)
{
	struct rig *rig = connected(state);
	struct polls polls = { .fds = NULL };
	socklen_t len = sizeof(int);
	int on = 0;

	tcp_add_polls(rig->tcp, &polls);
	assert_int_equal(polls.count, 1);
	assert_int_equal(getsockopt(polls.fds[0].fd, SOL_SOCKET, SO_KEEPALIVE, &on, &len), 0);
	assert_true(on);
	free(polls.fds);
}

// Three that say the same: what comes next is lost (RFC 5681 3.2).
static void test_a_hole_is_filled_at_once(void **state)
{
	struct rig *rig = connected(state);
	unsigned segments;

	segments = lose(rig, 50000);
	for (unsigned i = 0; i < 2; i++)
		guest_sends(rig, TCP_ACK, 0, 0);
	pass(rig, 1);
	assert_int_equal(rig->segments, segments);
	guest_sends(rig, TCP_ACK, 0, 0);
	pass(rig, 1);
	assert_int_equal(rig->segments, segments + 1); // the first, alone
	assert_int_equal(rig->last.seq, rig->ack);
	for (unsigned i = 0; i < 10; i++)
		guest_sends(rig, TCP_ACK, 0, 0);
	pass(rig, 1);
	assert_int_equal(rig->segments, segments + 1); // once
}

// Any byte may be anything: nothing but what is in the frame is read (run with ASan).
static void test_bad_frames(void **state)
{
	struct rig *rig = *state;
	uint8_t headers[SEGMENT_HEADERS_MAX];
	size_t header = NET_VNET_HEADER_BYTES, len = write_frame(rig, headers, TCP_SYN, 0) - header;
	struct segment segment;

	assert_true(segment_parse(&segment, headers + header, len));
	assert_int_equal(segment.mss, MSS);
	assert_int_equal(segment.window_shift, SHIFT);
	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *frame = malloc(cut + 1);

		memcpy(frame, headers + header, cut);
		assert_false(segment_parse(&segment, frame, cut));
		free(frame);
	}
	for (size_t i = 0; i < len * 256; i++) {
		uint8_t *frame = malloc(len);

		memcpy(frame, headers + header, len);
		frame[i / 256] = (uint8_t)i;
		if (segment_parse(&segment, frame, len))
			assert_true(segment.data >= frame &&
				    segment.data + segment.len <= frame + len);
		free(frame);
	}
	headers[header + 14 + 6] |= rig->ipv6 ? 44 : 0x20; // a fragment
	assert_false(segment_parse(&segment, headers + header, len));
}

#define BOTH(test)                                              \
	cmocka_unit_test_setup_teardown(test, setup, teardown), \
		cmocka_unit_test_setup_teardown(test, setup6, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_connects),
		BOTH(test_carries_data_both_ways),
		BOTH(test_refused),
		BOTH(test_what_is_left_to_libslirp),
		BOTH(test_many_connections),
		BOTH(test_guest_ends_first),
		BOTH(test_host_ends_first),
		BOTH(test_resets),
		BOTH(test_host_resets),
		BOTH(test_host_that_does_not_read),
		BOTH(test_guest_that_has_no_room),
		BOTH(test_lost_segments_are_repeated),
		BOTH(test_lost_syn_is_repeated),
		BOTH(test_segments_out_of_order),
		BOTH(test_small_ones_are_acknowledged_later),
		BOTH(test_full_way_to_the_guest),
		BOTH(test_full_way_and_an_acknowledgement),
		BOTH(test_full_way_and_a_reset),
		BOTH(test_urgent_data_stay_in_their_place),
		BOTH(test_a_connection_has_one_owner),
		BOTH(test_small_segments),
		BOTH(test_a_silent_guest_is_asked),
		BOTH(test_a_silent_host_is_asked),
		BOTH(test_a_hole_is_filled_at_once),
		BOTH(test_bad_frames),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
