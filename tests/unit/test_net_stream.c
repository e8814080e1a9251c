// SPDX-License-Identifier: GPL-2.0-or-later
// Networks on a stream socket: frames, full and slow sockets, and peers of every kind.

#include "net-fixture.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/un.h>

#include "../../net/stream-priv.h"

#define LARGE 9000

static int setup(void **state)
{
	static struct rig rig;

	alarm(60);
	rig_open_pair(&rig);
	*state = &rig;
	return 0;
}

static int teardown(void **state)
{
	rig_exit(*state);
	return 0;
}

static struct stream *stream_of(struct rig *rig)
{
	return container_of(rig->net, struct stream, net);
}

// A given descriptor is not for programs that kvik starts, such as taps' scripts.
static void test_fd_is_not_inherited(void **state)
{
	struct net_config config = { .mode = NET_STREAM };
	struct rig rig;
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	config.fd = ends[0];
	rig_open(&rig, &config);
	rig.peer = ends[1];
	assert_true(fcntl(ends[0], F_GETFD) & FD_CLOEXEC);
	rig_exit(&rig);
}

// -- receiving --

static void test_receives_frames_of_all_sizes(void **state)
{
	static const size_t sizes[] = { 14, 15, 60, 1514, 4096, 65535, FRAME_BYTES_MAX };
	struct rig *rig = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		peer_send(rig, sizes[i], i);
		run_until(rig, rig->frames == i + 1);
		assert_int_equal(rig->frame_len, sizes[i]);
		assert_frame(rig->frame, sizes[i], i);
	}
	assert_int_equal(rig->error, -EAGAIN);
	assert_int_equal(rig->link_changes, 0);
}

// A device that leaves frames where they are is told of them for ever, but the loop's other
// timers have their turn.
static void test_other_timers_have_their_turn(void **state)
{
	struct rig *rig = *state;

	peer_send(rig, 60, 1);
	peer_send(rig, 60, 2);
	rig->take = 1;
	on_readable(rig);
	rig->take = 0;
	net_watch(rig->net, 0, true);
	rig->readable = 0;
	run_for(rig, 5);
	assert_true(rig->readable);
}

static void test_receives_a_frame_that_comes_byte_by_byte(void **state)
{
	struct rig *rig = *state;
	uint8_t data[4 + 20];

	put_length(data, 20);
	fill_frame(data + 4, 20, 3);
	for (unsigned i = 0; i < sizeof(data); i++) {
		assert_int_equal(rig->frames, 0);
		peer_write(rig, data + i, 1);
		run_for(rig, 1);
	}
	run_until(rig, rig->frames == 1);
	assert_frame(rig->frame, 20, 3);
}

// Each cut falls somewhere else in a header or a frame.
static void test_receives_frames_cut_anywhere(void **state)
{
	struct rig *rig = *state;
	static uint8_t data[3 * (4 + 100)];

	for (unsigned i = 0; i < 3; i++) {
		put_length(data + i * 104, 100);
		fill_frame(data + i * 104 + 4, 100, i);
	}
	for (unsigned cut = 1; cut < sizeof(data); cut++) {
		peer_write_cut(rig, data, sizeof(data), cut, 3);
		assert_frame(rig->frame, 100, 2);
	}
}

// What is missing of a large frame is read straight to its place.
static void test_receives_large_frames_cut_anywhere(void **state)
{
	static const size_t cuts[] = { 1, 4, 5, 100, 4096, 8192, 30000, 51999, 52000, 60003 };
	static uint8_t data[4 + 60000 + 4 + 60000 + 4 + 20];
	struct rig *rig = *state;

	put_length(data, 60000);
	fill_frame(data + 4, 60000, 1);
	put_length(data + 60004, 60000);
	fill_frame(data + 60008, 60000, 2);
	put_length(data + 120008, 20);
	fill_frame(data + 120012, 20, 3);
	for (unsigned i = 0; i < ARRAY_SIZE(cuts); i++) {
		rig->frames = 0;
		peer_write(rig, data, cuts[i]);
		run_for(rig, 0);
		run_for(rig, 0);
		peer_write(rig, data + cuts[i], 60004 - cuts[i]);
		run_until(rig, rig->frames == 1);
		assert_frame(rig->frame, 60000, 1);
		peer_write(rig, data + 60004, cuts[i]);
		run_for(rig, 0);
		run_for(rig, 0);
		rig->stops = true;
		rig->take = 1;
		peer_write(rig, data + 60004 + cuts[i], sizeof(data) - 60004 - cuts[i]);
		run_until(rig, rig->frames == 2);
		assert_int_equal(rig->frame_len, 60000);
		assert_frame(rig->frame, 60000, 2);
		rig->stops = false;
		rig->take = 64;
		net_watch(rig->net, 0, true);
		run_until(rig, rig->frames == 3);
		assert_int_equal(rig->frame_len, 20);
		assert_frame(rig->frame, 20, 3);
	}
}

// Without the loop, which would tell of what has come since a call that found no more.
static ssize_t receive_pieces(struct rig *rig, const struct iovec *iov, unsigned count)
{
	ssize_t n = net_receive(rig->net, 0, iov, count);

	return n == -EAGAIN ? net_receive(rig->net, 0, iov, count) : n;
}

static void test_receives_a_large_frame_into_many_pieces(void **state)
{
	struct rig *rig = *state;
	struct iovec iov[600];

	for (unsigned i = 0; i < ARRAY_SIZE(iov); i++)
		iov[i] = (struct iovec){ rig->frame + i * 100, 100 };
	net_watch(rig->net, 0, false);
	for (unsigned i = 0; i < 3; i++) {
		peer_send(rig, 60000, i);
		assert_int_equal(receive_pieces(rig, iov, ARRAY_SIZE(iov)), 60000);
		assert_frame(rig->frame, 60000, i);
	}
	peer_send(rig, 60001, 9);
	assert_int_equal(receive_pieces(rig, iov, ARRAY_SIZE(iov)), -EMSGSIZE);
	assert_int_equal(receive_pieces(rig, iov, ARRAY_SIZE(iov)), -EAGAIN);
}

// More than the buffer holds, so that it wraps again and again.
static void test_receives_a_long_sequence(void **state)
{
	struct rig *rig = *state;
	unsigned total = 300;

	for (unsigned i = 0; i < total; i++) {
		peer_send(rig, 14 + (i * 977) % 30000, i);
		run_until(rig, rig->frames == i + 1);
		assert_frame(rig->frame, 14 + (i * 977) % 30000, i);
	}
}

static void test_tells_again_of_what_is_in_the_buffer(void **state)
{
	struct rig *rig = *state;

	rig->take = 1;
	for (unsigned i = 0; i < 5; i++)
		peer_send(rig, 100, i);
	run_until(rig, rig->frames == 5);
	assert_frame(rig->frame, 100, 4);
}

static void test_is_silent_while_not_watched(void **state)
{
	struct rig *rig = *state;

	rig->take = 1;
	rig->stops = true;
	for (unsigned i = 0; i < 3; i++)
		peer_send(rig, 100, i);
	run_until(rig, rig->readable);
	run_for(rig, 20);
	assert_int_equal(rig->readable, 1);
	assert_int_equal(rig->frames, 1);
	// They are in the buffer by now: no event of the socket's tells of them.
	rig->stops = false;
	net_watch(rig->net, 0, true);
	run_until(rig, rig->frames == 3);
}

static void test_loses_a_frame_that_does_not_fit(void **state)
{
	struct rig *rig = *state;

	net_watch(rig->net, 0, false);
	peer_send(rig, 500, 1);
	peer_send(rig, 100, 2);
	assert_int_equal(receive_into(rig, 100), -EMSGSIZE);
	assert_int_equal(receive_into(rig, 100), 100);
	assert_frame(rig->frame, 100, 2);
	assert_int_equal(receive_into(rig, 100), -EAGAIN);
}

// -- sending --

static void test_sends_frames_of_all_sizes(void **state)
{
	static const size_t sizes[] = { 14, 60, 1514, 4096, 4097, 65535, FRAME_BYTES_MAX };
	struct rig *rig = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++)
		assert_int_equal(send_seeded(rig, sizes[i], i), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++)
		peer_expect(rig, sizes[i], i);
}

static void test_refuses_what_is_no_frame(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(send_seeded(rig, 13, 0), -EMSGSIZE);
	assert_int_equal(send_seeded(rig, FRAME_BYTES_MAX + 1, 0), -EMSGSIZE);
	run_for(rig, 1);
	assert_int_equal(recv(rig->peer, rig->frame, 1, MSG_DONTWAIT), -1);
}

static void test_gathers_small_frames(void **state)
{
	struct rig *rig = *state;
	uint8_t data[10 * 104];

	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(send_seeded(rig, 100, i), 0);
	assert_int_equal(recv(rig->peer, data, 1, MSG_DONTWAIT), -1);
	run_for(rig, 1);
	assert_int_equal(recv(rig->peer, data, sizeof(data), MSG_DONTWAIT), sizeof(data));
}

static void test_sends_a_large_frame_at_once(void **state)
{
	struct rig *rig = *state;
	static uint8_t data[4 + 100 + 4 + LARGE];

	assert_int_equal(send_seeded(rig, 100, 1), 0);
	assert_int_equal(send_seeded(rig, LARGE, 2), 0);
	assert_int_equal(recv(rig->peer, data, sizeof(data), MSG_DONTWAIT), sizeof(data));
	assert_frame(data + 4, 100, 1);
	assert_frame(data + 108, LARGE, 2);
}

static void test_sends_a_frame_in_many_pieces(void **state)
{
	struct rig *rig = *state;
	static uint8_t frame[LARGE];
	struct iovec iov[LARGE / 10];

	fill_frame(frame, LARGE, 9);
	for (unsigned i = 0; i < ARRAY_SIZE(iov); i++)
		iov[i] = (struct iovec){ frame + i * 10, 10 };
	assert_int_equal(net_send(rig->net, 0, iov, ARRAY_SIZE(iov)), 0);
	peer_expect(rig, LARGE, 9);
}

// Sends until nothing more is taken. How many frames were.
static unsigned fill_socket(struct rig *rig, size_t len)
{
	unsigned sent = 0;
	int err;

	while ((err = send_seeded(rig, len, sent)) == 0) {
		sent++;
		if (sent % 100 == 0)
			run_for(rig, 0);
		assert_true(sent < 1000000);
	}
	assert_int_equal(err, -EAGAIN);
	return sent;
}

static void full_socket(struct rig *rig, size_t len)
{
	unsigned sent = fill_socket(rig, len);

	run_for(rig, 5);
	assert_int_equal(rig->writable, 0);
	assert_int_equal(send_seeded(rig, len, 0), -EAGAIN);
	for (unsigned i = 0; i < sent; i++)
		peer_expect(rig, len, i);
	run_until(rig, rig->writable == 1);
	assert_int_equal(send_seeded(rig, len, 77), 0);
	peer_expect(rig, len, 77);
}

static void test_never_blocks_on_small_frames(void **state)
{
	full_socket(*state, 1000);
}

static void test_never_blocks_on_large_frames(void **state)
{
	full_socket(*state, 60000);
}

static void test_receives_while_it_cannot_send(void **state)
{
	struct rig *rig = *state;

	fill_socket(rig, LARGE);
	peer_send(rig, 100, 5);
	run_until(rig, rig->frames == 1);
}

// -- peers that are none --

static void expect_loss(struct rig *rig)
{
	run_until(rig, !rig->link_up);
	assert_int_equal(rig->link_changes, 1);
	assert_int_equal(send_seeded(rig, 100, 0), -ENOTCONN);
	assert_int_equal(receive_into(rig, 100), -ENOTCONN);
	assert_int_equal(recv(rig->peer, rig->frame, 1, MSG_DONTWAIT), 0);
}

static void bad_length(struct rig *rig, uint32_t len)
{
	uint8_t data[40] = { 0 };

	put_length(data, len);
	peer_send(rig, 60, 1);
	peer_write(rig, data, sizeof(data));
	expect_loss(rig);
	assert_int_equal(rig->frames, 1); // the good one before it
}

static void test_length_0(void **state)
{
	bad_length(*state, 0);
}

static void test_length_1(void **state)
{
	bad_length(*state, 1);
}

static void test_length_13(void **state)
{
	bad_length(*state, 13);
}

static void test_length_beyond_the_largest(void **state)
{
	bad_length(*state, FRAME_BYTES_MAX + 1);
}

static void test_length_of_all_ones(void **state)
{
	bad_length(*state, UINT32_MAX);
}

static void test_peer_closes(void **state)
{
	struct rig *rig = *state;

	peer_send(rig, 100, 1);
	shutdown(rig->peer, SHUT_RDWR);
	expect_loss(rig);
	assert_int_equal(rig->frames, 1); // what it sent before arrived
}

static void test_peer_closes_within_a_frame(void **state)
{
	struct rig *rig = *state;

	peer_write(rig, "\0\0\1\0abcdef", 10);
	run_for(rig, 5);
	assert_true(rig->link_up);
	shutdown(rig->peer, SHUT_RDWR);
	expect_loss(rig);
	assert_int_equal(rig->frames, 0);
}

static void test_peer_closes_while_not_watched(void **state)
{
	struct rig *rig = *state;

	net_watch(rig->net, 0, false);
	run_for(rig, 1);
	shutdown(rig->peer, SHUT_RDWR);
	expect_loss(rig);
	assert_int_equal(rig->readable, 0);
}

static void test_peer_closes_while_the_socket_is_full(void **state)
{
	struct rig *rig = *state;

	fill_socket(rig, LARGE);
	close(rig->peer);
	rig->peer = -1;
	run_until(rig, !rig->link_up);
	// The frame that waits is not to wait for ever.
	run_until(rig, rig->writable == 1);
	assert_int_equal(send_seeded(rig, LARGE, 0), -ENOTCONN);
}

static void test_peer_stops_within_a_frame(void **state)
{
	struct rig *rig = *state;

	stream_of(rig)->silence_ns = 50 * 1000000ULL;
	peer_write(rig, "\0\0\1\0abcdef", 10);
	run_for(rig, 20);
	assert_true(rig->link_up);
	expect_loss(rig);
}

static void test_a_slow_peer_is_a_peer(void **state)
{
	struct rig *rig = *state;
	uint8_t data[4 + 14] = { 0, 0, 0, 14 };

	stream_of(rig)->silence_ns = 60 * 1000000ULL;
	for (unsigned i = 0; i < sizeof(data); i++) {
		peer_write(rig, data + i, 1);
		run_for(rig, 15);
	}
	run_until(rig, rig->frames == 1);
	run_for(rig, 150); // silence between frames
	assert_true(rig->link_up);
}

static void test_nobody_listens_while_not_watched(void **state)
{
	struct rig *rig = *state;

	stream_of(rig)->silence_ns = 20 * 1000000ULL;
	peer_write(rig, "\0\0\0\20abcdef", 10);
	run_for(rig, 5);
	net_watch(rig->net, 0, false);
	run_for(rig, 100);
	assert_true(rig->link_up);
}

// -- the device comes and goes --

static void test_attached_again(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(send_seeded(rig, 100, 1), 0); // still gathered
	peer_send(rig, 100, 2);
	net_detach(rig->net, 0);
	peer_expect(rig, 100, 1);
	rig_attach(rig);
	run_until(rig, rig->frames == 1);
	assert_frame(rig->frame, 100, 2);
	assert_int_equal(rig->link_changes, 0);
}

static void test_what_it_is(void **state)
{
	const struct net_info *info = net_info(((struct rig *)*state)->net);

	assert_int_equal(info->queue_pairs_max, 1);
	assert_false(info->vnet_header);
	assert_int_equal(info->send_offloads | info->receive_offloads, 0);
	assert_int_equal(info->mtu, 0);
}

// -- paths --

struct path_test {
	char directory[32];
	char path[64];
	struct rig one;
	struct rig other;
};

static int path_setup(void **state)
{
	static struct path_test test;

	alarm(60);
	test = (struct path_test){ .directory = "/tmp/kvik-net.XXXXXX" };
	assert_non_null(mkdtemp(test.directory));
	snprintf(test.path, sizeof(test.path), "%s/wire", test.directory);
	*state = &test;
	return 0;
}

static int path_teardown(void **state)
{
	struct path_test *test = *state;

	unlink(test->path);
	assert_int_equal(rmdir(test->directory), 0);
	return 0;
}

static struct net_config path_config(const struct path_test *test, bool listens)
{
	return (struct net_config){
		.mode = NET_STREAM, .fd = -1, .socket_path = test->path, .listen = listens
	};
}

static void open_path(struct path_test *test, struct rig *rig, bool listens)
{
	struct net_config config = path_config(test, listens);

	rig_open(rig, &config);
}

static void run_both_until_up(struct path_test *test)
{
	for (unsigned i = 0; i < PATIENCE_MS; i++) {
		run_for(&test->one, 1);
		run_for(&test->other, 1);
		if (test->one.link_up && test->other.link_up)
			return;
	}
	fail_msg("no connection");
}

static void exchange(struct path_test *test)
{
	test->one.frames = 0;
	test->other.frames = 0;
	assert_int_equal(send_seeded(&test->one, LARGE, 1), 0);
	run_until(&test->other, test->other.frames == 1);
	assert_frame(test->other.frame, LARGE, 1);
	assert_int_equal(send_seeded(&test->other, 60, 2), 0);
	run_for(&test->other, 1);
	run_until(&test->one, test->one.frames == 1);
	assert_frame(test->one.frame, 60, 2);
}

static void test_listens(void **state)
{
	struct path_test *test = *state;

	open_path(test, &test->one, true);
	run_until(&test->one, !test->one.link_up); // nobody there yet
	open_path(test, &test->other, false);
	run_both_until_up(test);
	exchange(test);
	rig_exit(&test->other);
	run_until(&test->one, !test->one.link_up);
	open_path(test, &test->other, false); // the next peer
	run_both_until_up(test);
	exchange(test);
	rig_exit(&test->one);
	assert_int_equal(access(test->path, F_OK), -1);
	rig_exit(&test->other);
}

static void redial_soon(struct rig *rig)
{
	stream_of(rig)->redial_ns = 20 * 1000000ULL;
}

static void test_connects_when_somebody_listens(void **state)
{
	struct path_test *test = *state;
	struct net_config config = path_config(test, false);

	rig_init(&test->other);
	assert_int_equal(net_open(&test->other.net, &config), 0);
	redial_soon(&test->other);
	rig_attach(&test->other);
	run_until(&test->other, !test->other.link_up);
	run_for(&test->other, 50);
	open_path(test, &test->one, true);
	run_both_until_up(test);
	exchange(test);
	rig_exit(&test->one);
	run_until(&test->other, !test->other.link_up);
	open_path(test, &test->one, true); // and again
	run_both_until_up(test);
	exchange(test);
	rig_exit(&test->one);
	rig_exit(&test->other);
}

static void test_turns_a_second_peer_away(void **state)
{
	struct path_test *test = *state;
	struct rig second;

	open_path(test, &test->one, true);
	open_path(test, &test->other, false);
	run_until(&test->one, test->one.link_up);
	run_both_until_up(test);
	open_path(test, &second, false);
	for (unsigned i = 0; i < PATIENCE_MS && second.link_up; i++) {
		run_for(&test->one, 1);
		run_for(&second, 1);
	}
	assert_false(second.link_up);
	exchange(test);
	rig_exit(&second);
	rig_exit(&test->one);
	rig_exit(&test->other);
}

static void test_takes_a_stale_socket_away(void **state)
{
	struct path_test *test = *state;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path, test->path, strlen(test->path));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	open_path(test, &test->one, true);
	rig_exit(&test->one);
}

static void test_leaves_another_listener_alone(void **state)
{
	struct path_test *test = *state;
	struct net_config config = path_config(test, true);
	struct net *net;

	open_path(test, &test->one, true);
	assert_int_equal(net_open(&net, &config), -EADDRINUSE);
	assert_int_equal(access(test->path, F_OK), 0);
	rig_exit(&test->one);
}

static void test_leaves_a_file_alone(void **state)
{
	struct path_test *test = *state;
	struct net_config config = path_config(test, true);
	struct net *net;

	close(open(test->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(net_open(&net, &config), -EADDRINUSE);
	assert_int_equal(access(test->path, F_OK), 0);
}

static void refused(struct net_config config, int err)
{
	struct net *net;

	config.mode = NET_STREAM;
	assert_int_equal(net_open(&net, &config), -err);
}

static void test_refuses_bad_configurations(void **state)
{
	char path[200];
	int pipe_fds[2];

	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	refused((struct net_config){ .fd = -1 }, EINVAL);
	refused((struct net_config){ .fd = -1, .socket_path = "" }, ENAMETOOLONG);
	refused((struct net_config){ .fd = -1, .socket_path = path }, ENAMETOOLONG);
	refused((struct net_config){ .fd = 1000 }, EBADF);
	refused((struct net_config){ .fd = pipe_fds[0] }, ENOTSOCK);
	refused((struct net_config){ .fd = -1, .socket_path = "/dev/null/x" }, ENOTDIR);
	refused((struct net_config){ .fd = -1, .socket_path = "/dev/null/x", .listen = true },
		ENOTDIR);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

#define WITH_PEER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define WITH_PATH(test) cmocka_unit_test_setup_teardown(test, path_setup, path_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fd_is_not_inherited),
		WITH_PEER(test_receives_frames_of_all_sizes),
		WITH_PEER(test_other_timers_have_their_turn),
		WITH_PEER(test_receives_a_frame_that_comes_byte_by_byte),
		WITH_PEER(test_receives_frames_cut_anywhere),
		WITH_PEER(test_receives_large_frames_cut_anywhere),
		WITH_PEER(test_receives_a_large_frame_into_many_pieces),
		WITH_PEER(test_receives_a_long_sequence),
		WITH_PEER(test_tells_again_of_what_is_in_the_buffer),
		WITH_PEER(test_is_silent_while_not_watched),
		WITH_PEER(test_loses_a_frame_that_does_not_fit),
		WITH_PEER(test_sends_frames_of_all_sizes),
		WITH_PEER(test_refuses_what_is_no_frame),
		WITH_PEER(test_gathers_small_frames),
		WITH_PEER(test_sends_a_large_frame_at_once),
		WITH_PEER(test_sends_a_frame_in_many_pieces),
		WITH_PEER(test_never_blocks_on_small_frames),
		WITH_PEER(test_never_blocks_on_large_frames),
		WITH_PEER(test_receives_while_it_cannot_send),
		WITH_PEER(test_length_0),
		WITH_PEER(test_length_1),
		WITH_PEER(test_length_13),
		WITH_PEER(test_length_beyond_the_largest),
		WITH_PEER(test_length_of_all_ones),
		WITH_PEER(test_peer_closes),
		WITH_PEER(test_peer_closes_within_a_frame),
		WITH_PEER(test_peer_closes_while_not_watched),
		WITH_PEER(test_peer_closes_while_the_socket_is_full),
		WITH_PEER(test_peer_stops_within_a_frame),
		WITH_PEER(test_a_slow_peer_is_a_peer),
		WITH_PEER(test_nobody_listens_while_not_watched),
		WITH_PEER(test_attached_again),
		WITH_PEER(test_what_it_is),
		WITH_PATH(test_listens),
		WITH_PATH(test_connects_when_somebody_listens),
		WITH_PATH(test_turns_a_second_peer_away),
		WITH_PATH(test_takes_a_stale_socket_away),
		WITH_PATH(test_leaves_another_listener_alone),
		WITH_PATH(test_leaves_a_file_alone),
		cmocka_unit_test(test_refuses_bad_configurations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
