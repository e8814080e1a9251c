// SPDX-License-Identifier: GPL-2.0-or-later
// kvik-slirp's rounds: when it wakes up for libslirp, which is one of the test's own here.

#include <pthread.h>
#include <setjmp.h>
#include <slirp/libslirp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../helpers/kvik-slirp/area.h"
#include "../../helpers/kvik-slirp/segment.h"
#include "../../helpers/kvik-slirp/slirp-helper.h"
#include "frames.h"
#include "iov.h"

#include <cmocka.h>

#define HABIT_MS 1000 // what libslirp asks for when there is nothing to do
#define PATIENCE_MS 5000

// -- libslirp --

static unsigned mtu = 1500;
static uint32_t wanted_ms;
static bool has_socket;
static int socket_fd;
static atomic_uint rounds;
static void (*_Atomic in_next_round)(void); // NULL: nothing, or it is done
static const SlirpCb *stack_callbacks;
static void *stack_opaque;

Slirp *slirp_new(const SlirpConfig *cfg, const SlirpCb *callbacks, void *opaque)
{
	stack_callbacks = callbacks;
	stack_opaque = opaque;
	return (Slirp *)&rounds;
}

void slirp_pollfds_fill(Slirp *slirp, uint32_t *timeout, SlirpAddPollCb add_poll, void *opaque)
{
	*timeout = MIN(*timeout, wanted_ms);
	if (has_socket)
		add_poll(socket_fd, SLIRP_POLL_IN, opaque);
}

void slirp_pollfds_poll(Slirp *slirp, int select_error, SlirpGetREventsCb get_revents, void *opaque)
{
	void (*todo)(void) = in_next_round;

	if (todo) {
		todo();
		in_next_round = NULL;
	}
	rounds++;
}

void slirp_input(Slirp *slirp, const uint8_t *pkt, int pkt_len)
{
}

int slirp_add_hostxfwd(Slirp *slirp, const struct sockaddr *haddr, socklen_t haddrlen,
		       const struct sockaddr *gaddr, socklen_t gaddrlen, int flags)
{
	return -1;
}

// -- a stack that runs --

struct rig {
	struct stack *stack;
	int fds[2];
	pthread_t thread;
	int result;
};

static void *run(void *opaque)
{
	struct rig *rig = opaque;

	rig->result = stack_run(rig->stack);
	return NULL;
}

static void start_with(struct rig *rig, int area_fd)
{
	struct settings settings = {
		.area_fd = area_fd,
		.host_ip.s_addr = htonl(0x0a000001),
		.guest_ip.s_addr = htonl(0x0a00000f),
		.mtu = mtu,
	};

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, rig->fds), 0);
	settings.fd = rig->fds[1];
	socket_fd = rig->fds[0]; // nothing is ever there to read
	rounds = 0;
	assert_int_equal(stack_create(&rig->stack, &settings), 0);
	assert_int_equal(pthread_create(&rig->thread, NULL, run, rig), 0);
}

static void start(struct rig *rig)
{
	start_with(rig, -1);
}

// A stack ends with its process: so each is left where the leak checker finds it.
static void stop(struct rig *rig)
{
	shutdown(rig->fds[0], SHUT_RDWR);
	pthread_join(rig->thread, NULL);
	assert_int_equal(rig->result, 0);
	close(rig->fds[0]);
	close(rig->fds[1]);
}

static bool comes_to(unsigned count)
{
	for (unsigned i = 0; i < PATIENCE_MS && rounds < count; i++)
		usleep(1000);
	return rounds >= count;
}

// -- tests --

// A connection that waits for the guest has no socket in the list, but its timers run.
static void test_timers_without_a_socket(void **state)
{
	static struct rig rig;

	wanted_ms = 10;
	has_socket = false;
	start(&rig);
	assert_true(comes_to(5));
	stop(&rig);
}

static void test_timers_with_a_socket(void **state)
{
	static struct rig rig;

	wanted_ms = 10;
	has_socket = true;
	start(&rig);
	assert_true(comes_to(5));
	stop(&rig);
}

static void test_sleeps_where_nothing_is_to_be_done(void **state)
{
	static struct rig rig;

	wanted_ms = HABIT_MS;
	has_socket = false;
	start(&rig);
	usleep((HABIT_MS + 200) * 1000);
	assert_int_equal(rounds, 0);
	stop(&rig);
}

// -- a way to the guest that is full in the middle of a round, and free at its end --

#define SEND_BYTES 106496 // the kernel doubles it
#define HEADERS (NET_VNET_HEADER_BYTES + 14 + 20 + 20)

static struct rig *tight; // the test's
static struct frames_buffer at_guest;
static int server;

static size_t write_segment(uint8_t *frame, const struct segment *segment)
{
	static const uint8_t macs[SEGMENT_MACS_BYTES];
	size_t len = segment_write_headers(frame + FRAMES_HEADER_BYTES, segment, macs);
	uint32_t header = htonl((uint32_t)len);

	memcpy(frame, &header, sizeof(header));
	return sizeof(header) + len;
}

// Written as if to the guest: addresses and ports the other way round.
static void guest_sends(uint8_t flags, in_port_t port, uint32_t seq, uint32_t ack)
{
	uint8_t frame[FRAMES_HEADER_BYTES + SEGMENT_HEADERS_MAX];
	struct segment segment = {
		.name = { .guest_port = port,
			  .host_port = htons(40000),
			  .guest_ip = { 10, 0, 0, 1 },
			  .host_ip = { 10, 0, 0, 15 } },
		.seq = seq,
		.ack = ack,
		.window = 60000,
		.mss = (uint16_t)(flags & TCP_SYN ? mtu - 40 : 0),
		.flags = flags,
		.window_shift = SEGMENT_NO_SHIFT,
	};
	size_t len = write_segment(frame, &segment);

	assert_int_equal(send(tight->fds[0], frame, len, 0), len);
}

// The next segment, other frames skipped. False: none came.
static bool guest_receives(struct segment *segment)
{
	for (unsigned i = 0; i < PATIENCE_MS; i++) {
		uint8_t *frame;
		ssize_t len;

		while ((len = frames_next(&at_guest, &frame)) > 0)
			if (segment_parse(segment, frame + NET_VNET_HEADER_BYTES,
					  (size_t)len - NET_VNET_HEADER_BYTES))
				return true;
		if (frames_fill(&at_guest, tight->fds[0], SIZE_MAX) <= 0)
			usleep(1000);
	}
	return false;
}

// In the stack's thread, before what the server has sent is looked at. More than the socket
// holds, and less than twice that.
static void fill_the_way(void)
{
	static uint8_t frame[60000];

	for (unsigned i = 0; i < 5; i++)
		stack_callbacks->send_packet(frame, sizeof(frame), stack_opaque);
	while (frames_fill(&at_guest, tight->fds[0], SIZE_MAX) > 0)
		;
}

static int listen_on_loopback(in_port_t *port)
{
	struct sockaddr_in in4 = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(in4);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(fd, (struct sockaddr *)&in4, len) || listen(fd, 1))
		skip();
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in4, &len), 0);
	*port = in4.sin_port;
	return fd;
}

// A connection from the guest to @server, on a stack with this area.
static void connect_guest(struct rig *rig, int area_fd)
{
	struct segment segment;
	in_port_t port;
	int listener = listen_on_loopback(&port);
	unsigned before;

	assert_int_equal(frames_buffer_init(&at_guest, 4 * MIB), 0);
	wanted_ms = HABIT_MS;
	has_socket = false;
	tight = rig;
	start_with(tight, area_fd);
	guest_sends(TCP_SYN, port, 0, 0);
	assert_true(guest_receives(&segment));
	server = accept(listener, NULL, NULL);
	close(listener);
	before = rounds;
	guest_sends(TCP_ACK, port, 1, segment.seq + 1);
	assert_true(comes_to(before + 1));
}

static void disconnect_guest(void)
{
	stop(tight);
	frames_buffer_exit(&at_guest);
	close(server);
}

static void test_what_was_refused_is_tried_again(void **state)
{
	const int bytes = SEND_BYTES;
	static struct rig rig;
	struct segment segment;

	connect_guest(&rig, -1);
	setsockopt(tight->fds[1], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	usleep(10000);
	in_next_round = fill_the_way;
	assert_int_equal(send(server, "hello", 5, 0), 5);
	for (unsigned i = 0; i < PATIENCE_MS && in_next_round; i++)
		usleep(1000);
	assert_true(guest_receives(&segment));
	assert_int_equal(segment.len, 5);
	disconnect_guest();
}

// -- memory that is shared with kvik --

// Takes frames until the guest has @len bytes, all 7; returns how many of them lie there.
static size_t take_sevens(size_t len)
{
	size_t done = 0, shared = 0;

	for (unsigned i = 0; i < PATIENCE_MS && done < len; i++) {
		struct iovec pieces[FRAME_PIECES];

		while (frames_next_pieces(&at_guest, pieces) > 0) {
			for (unsigned piece = 1; piece < FRAME_PIECES; piece++) {
				const uint8_t *data = pieces[piece].iov_base;

				for (size_t at = 0; at < pieces[piece].iov_len; at++)
					assert_int_equal(data[at], 7);
				shared += pieces[piece].iov_len;
			}
			done += iov_total(pieces, FRAME_PIECES) - HEADERS;
		}
		if (frames_fill(&at_guest, tight->fds[0], SIZE_MAX) <= 0)
			usleep(1000);
	}
	assert_int_equal(done, len);
	return shared;
}

static void test_large_frames_refer_to_the_area(void **state)
{
	static uint8_t sevens[50000];
	static struct rig rig;
	int fd = frames_area_create(AREA_PIECE_BYTES);

	assert_true(fd >= 0);
	mtu = 9000;
	connect_guest(&rig, fd);
	assert_int_equal(frames_area_map(&at_guest.area, fd, false), 0);
	memset(sevens, 7, sizeof(sevens));
	assert_int_equal(send(server, sevens, sizeof(sevens), 0), sizeof(sevens));
	// The last of them may be small, and so may one be that was sent before all was there.
	assert_true(take_sevens(sizeof(sevens)) >= sizeof(sevens) / 2);
	frames_area_unmap(&at_guest.area);
	close(fd);
	mtu = 1500;
	disconnect_guest();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_timers_without_a_socket),
		cmocka_unit_test(test_timers_with_a_socket),
		cmocka_unit_test(test_sleeps_where_nothing_is_to_be_done),
		cmocka_unit_test(test_what_was_refused_is_tried_again),
		cmocka_unit_test(test_large_frames_refer_to_the_area),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
