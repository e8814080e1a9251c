// SPDX-License-Identifier: GPL-2.0-or-later
// Frames whose rest lies in memory that a peer shares: as it should be, and from one that
// wants to do harm.

#include "net-fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "../../net/stream-priv.h"
#include "iov.h"

#define AREA_BYTES 131072
#define HEAD_BYTES 70
#define SHARED (1U << 31)
#define REFERENCES_BYTES 16

struct area_test {
	struct rig rig;
	struct stream *stream;
	int fd;
	struct frames_area peers; // the peer's view
};

static int setup(void **state)
{
	static struct area_test test;

	alarm(60);
	rig_open_pair(&test.rig);
	test.stream = container_of(test.rig.net, struct stream, net);
	test.fd = frames_area_create(AREA_BYTES);
	assert_true(test.fd >= 0);
	assert_int_equal(frames_area_map(&test.peers, test.fd, true), 0);
	assert_int_equal(frames_area_map(&test.stream->in.area, test.fd, false), 0);
	*state = &test;
	return 0;
}

static int teardown(void **state)
{
	struct area_test *test = *state;

	frames_area_unmap(&test->peers);
	frames_area_unmap(&test->stream->in.area);
	close(test->fd);
	rig_exit(&test->rig);
	return 0;
}

// -- frames --

struct reference {
	uint32_t offset, bytes;
};

// The socket's part of a frame: @header, the references, @head bytes of a frame.
static size_t make_part(uint8_t *part, uint32_t header, const struct reference references[2],
			size_t head)
{
	put_length(part, header);
	for (unsigned i = 0; i < 2; i++) {
		put_length(part + 4 + 8 * i, references[i].offset);
		put_length(part + 8 + 8 * i, references[i].bytes);
	}
	fill_frame(part + 4 + REFERENCES_BYTES, head, 1);
	return 4 + REFERENCES_BYTES + head;
}

static size_t make_good_part(uint8_t *part, const struct reference references[2])
{
	return make_part(part, SHARED | (REFERENCES_BYTES + HEAD_BYTES), references, HEAD_BYTES);
}

// Puts the rest of a frame of @len bytes where @references say.
static void fill_area(struct area_test *test, const struct reference references[2], size_t len)
{
	static uint8_t frame[FRAME_ROOM];
	size_t done = HEAD_BYTES;

	fill_frame(frame, len, 1);
	for (unsigned i = 0; i < 2; i++) {
		memcpy(test->peers.data + references[i].offset, frame + done, references[i].bytes);
		done += references[i].bytes;
	}
	assert_int_equal(done, len);
}

static void expect_frame(struct area_test *test, const struct reference references[2], size_t len)
{
	uint8_t part[4 + REFERENCES_BYTES + HEAD_BYTES];
	struct rig *rig = &test->rig;

	rig->frames = 0;
	fill_area(test, references, len);
	peer_write(rig, part, make_good_part(part, references));
	run_until(rig, rig->frames == 1);
	assert_int_equal(rig->frame_len, len);
	assert_frame(rig->frame, len, 1);
}

static void test_the_rest_lies_in_the_area(void **state)
{
	const struct reference one[2] = { { 5, 60000 } };
	const struct reference wrapped[2] = { { AREA_BYTES - 1001, 1001 }, { 0, 64000 } };
	const struct reference largest[2] = { { 0, FRAME_BYTES_MAX - HEAD_BYTES } };
	const struct reference last_byte[2] = { { AREA_BYTES - 1, 1 } };
	const struct reference nothing[2] = { { AREA_BYTES, 0 } };

	expect_frame(*state, one, HEAD_BYTES + 60000);
	expect_frame(*state, wrapped, HEAD_BYTES + 65001);
	expect_frame(*state, largest, FRAME_BYTES_MAX);
	expect_frame(*state, last_byte, HEAD_BYTES + 1);
	expect_frame(*state, nothing, HEAD_BYTES);
}

// Between frames that are whole, and wherever the socket cuts it.
static void test_cut_anywhere(void **state)
{
	const struct reference references[2] = { { 100, 3000 }, { 50000, 200 } };
	struct area_test *test = *state;
	struct rig *rig = &test->rig;
	uint8_t data[2 * (4 + 60) + 4 + REFERENCES_BYTES + HEAD_BYTES];
	size_t len = make_good_part(data + 64, references);

	put_length(data, 60);
	memcpy(data + 64 + len, data, 64);
	fill_area(test, references, HEAD_BYTES + 3200);
	for (size_t cut = 1; cut < sizeof(data); cut++) {
		peer_write_cut(rig, data, sizeof(data), cut, 3);
		assert_int_equal(rig->link_changes, 0);
	}
}

static void test_what_puts_them_makes_them(void **state)
{
	struct area_test *test = *state;
	struct rig *rig = &test->rig;
	const struct reference references[2] = { { 70000, 10000 }, { 30, 5000 } };
	uint8_t head[HEAD_BYTES];
	const struct iovec iov[3] = { { head, sizeof(head) },
				      { test->peers.data + 70000, 10000 },
				      { test->peers.data + 30, 5000 } };
	struct frames_buffer out;

	assert_int_equal(frames_buffer_init(&out, 80000), 0);
	fill_frame(head, sizeof(head), 1);
	fill_area(test, references, HEAD_BYTES + 15000);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(frames_put_shared(&out, &test->peers, iov, 3), 0);
	assert_int_equal(frames_flush(&out, rig->peer), 0);
	frames_buffer_exit(&out);
	run_until(rig, rig->frames == 3);
	assert_frame(rig->frame, HEAD_BYTES + 15000, 1);
}

// -- peers that are none --

static void expect_refusal(struct area_test *test, uint32_t header,
			   const struct reference references[2])
{
	static uint8_t part[4 + REFERENCES_BYTES + 4096];
	struct rig *rig = &test->rig;
	size_t len = make_part(part, header, references, 4096);

	peer_send(rig, 60, 1);
	peer_write(rig, part, len);
	run_until(rig, !rig->link_up);
	assert_int_equal(rig->link_changes, 1);
	assert_int_equal(rig->frames, 1); // the good one before it
}

#define GOOD_HEADER (SHARED | (REFERENCES_BYTES + HEAD_BYTES))

#define REFUSED(name, header, ...)                                  \
	static void name(void **state)                              \
	{                                                           \
		const struct reference references[2] = __VA_ARGS__; \
		expect_refusal(*state, header, references);         \
	}

REFUSED(test_offset_beyond, GOOD_HEADER, { { AREA_BYTES + 1, 0 } })
REFUSED(test_end_beyond, GOOD_HEADER, { { AREA_BYTES - 100, 101 } })
REFUSED(test_second_beyond, GOOD_HEADER, { { 0, 100 }, { 100, AREA_BYTES } })
REFUSED(test_offset_wraps, GOOD_HEADER, { { UINT32_MAX, 100 } })
REFUSED(test_length_wraps, GOOD_HEADER, { { 100, UINT32_MAX - 50 } })
REFUSED(test_frame_too_long, GOOD_HEADER, { { 0, 40000 }, { 0, 40000 } })
REFUSED(test_sum_wraps, GOOD_HEADER, { { 0, AREA_BYTES }, { 0, UINT32_MAX - AREA_BYTES + 20 } })
REFUSED(test_frame_too_short, SHARED | (REFERENCES_BYTES + 5), { { 0, 8 } })
REFUSED(test_references_cut_short, SHARED | (REFERENCES_BYTES - 1), { { 0, 100 } })
REFUSED(test_nothing_behind, SHARED, { { 0, 100 } })
REFUSED(test_head_too_long, SHARED | (REFERENCES_BYTES + FRAMES_SHARED_HEAD_MAX + 1),
	{ { 0, 100 } })

static void test_no_area(void **state)
{
	struct area_test *test = *state;
	const struct reference references[2] = { { 0, 100 } };

	frames_area_unmap(&test->stream->in.area);
	expect_refusal(test, GOOD_HEADER, references);
}

// -- the area --

// What has it cannot make it smaller, which would end us at the next look, or larger.
static void test_the_size_stays(void **state)
{
	struct area_test *test = *state;

	assert_int_equal(ftruncate(test->fd, 4096), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(test->fd, 2 * AREA_BYTES), -1);
	assert_int_equal(fcntl(test->fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	assert_int_equal(test->stream->in.area.size_bytes, AREA_BYTES);
}

// A hole in it reads as zeroes.
static void test_pages_are_taken_away(void **state)
{
	struct area_test *test = *state;
	const struct reference references[2] = { { 0, 8000 } };
	uint8_t part[4 + REFERENCES_BYTES + HEAD_BYTES];
	struct rig *rig = &test->rig;
	size_t len = make_good_part(part, references);

	fill_area(test, references, HEAD_BYTES + 8000);
	assert_int_equal(madvise(test->peers.data, AREA_BYTES, MADV_REMOVE), 0);
	peer_write(rig, part, len);
	run_until(rig, rig->frames == 1);
	assert_int_equal(rig->frame_len, HEAD_BYTES + 8000);
	assert_int_equal(rig->frame[HEAD_BYTES + 4000], 0);
}

static void test_a_limit_for_files(void **state)
{
	struct rlimit before, limit;

	signal(SIGXFSZ, SIG_DFL);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = AREA_BYTES - 1;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(frames_area_create(AREA_BYTES), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
}

#define AREA_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		AREA_TEST(test_the_rest_lies_in_the_area),
		AREA_TEST(test_cut_anywhere),
		AREA_TEST(test_what_puts_them_makes_them),
		AREA_TEST(test_offset_beyond),
		AREA_TEST(test_end_beyond),
		AREA_TEST(test_second_beyond),
		AREA_TEST(test_offset_wraps),
		AREA_TEST(test_length_wraps),
		AREA_TEST(test_frame_too_long),
		AREA_TEST(test_sum_wraps),
		AREA_TEST(test_frame_too_short),
		AREA_TEST(test_references_cut_short),
		AREA_TEST(test_nothing_behind),
		AREA_TEST(test_head_too_long),
		AREA_TEST(test_no_area),
		AREA_TEST(test_the_size_stays),
		AREA_TEST(test_pages_are_taken_away),
		cmocka_unit_test(test_a_limit_for_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
