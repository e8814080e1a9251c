// SPDX-License-Identifier: GPL-2.0-or-later
// The console on pipes and files: back pressure both ways, ends, history, panics.
// tests/unit/test_term_tty.c has the terminals.

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "support-term.h"
#include "term.h"
#include "util.h"

#include <cmocka.h>

#define RING_BYTES (64 * KIB)

static struct term_rig rig;

struct pipe_ends {
	int read_fd;
	int write_fd;
};

static struct pipe_ends make_pipe(void)
{
	struct pipe_ends ends;
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	ends.read_fd = fds[0];
	ends.write_fd = fds[1];
	return ends;
}

static void close_pipe(struct pipe_ends ends)
{
	close(ends.read_fd);
	close(ends.write_fd);
}

static int setup(void **state)
{
	alarm(60); // a hang is a failure
	signal(SIGPIPE, SIG_DFL);
	return 0;
}

// -- input --

static void test_input_reaches_the_frontend(void **state)
{
	struct pipe_ends in = make_pipe();

	term_rig_start(&rig, in.read_fd, -1);
	assert_false(term_is_tty(rig.term));
	assert_int_equal(write(in.write_fd, "hello", 5), 5);
	term_rig_await_input(&rig, 5);
	assert_memory_equal(rig.input, "hello", 5);
	term_rig_exit(&rig);
	close_pipe(in);
}

static void test_no_escape_key_without_a_terminal(void **state)
{
	struct pipe_ends in = make_pipe();

	term_rig_start(&rig, in.read_fd, -1);
	assert_int_equal(write(in.write_fd, "\001x\001\001", 4), 4);
	term_rig_await_input(&rig, 4);
	assert_memory_equal(rig.input, "\001x\001\001", 4);
	assert_int_equal(rig.quit_calls, 0);
	term_rig_exit(&rig);
	close_pipe(in);
}

// Writes the pattern from *@sent on until the pipe is full.
static void fill_pipe(int fd, size_t *sent)
{
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	for (;;) {
		uint8_t bytes[512];
		ssize_t n;

		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = pattern_byte(*sent + i);
		n = write(fd, bytes, sizeof(bytes));
		if (n < 0)
			break;
		*sent += n;
	}
}

static void expect_pattern(const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		assert_int_equal(data[i], pattern_byte(i));
}

static void test_frontend_that_takes_nothing_stops_reading(void **state)
{
	struct pipe_ends in = make_pipe();
	size_t sent = 0, sent_before;

	term_rig_start(&rig, in.read_fd, -1);
	rig.input_limit = 0;
	fill_pipe(in.write_fd, &sent);
	sent_before = sent;
	for (int i = 0; i < 5; i++) {
		term_rig_run(&rig, 2);
		fill_pipe(in.write_fd, &sent);
	}
	assert_in_range(sent - sent_before, 0, 5 * KIB); // what the console holds, by pages
	assert_int_equal(rig.input_len, 0);

	rig.input_limit = 3; // a little room
	term_input_ready(rig.term);
	term_rig_await_input(&rig, 3);
	rig.input_limit = SIZE_MAX;
	term_input_ready(rig.term);
	term_rig_await_input(&rig, sent);
	expect_pattern(rig.input, sent);
	term_rig_exit(&rig);
	close_pipe(in);
}

static uint64_t cpu_ns(void)
{
	struct timespec used;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	return used.tv_sec * NSEC_PER_SEC + used.tv_nsec;
}

static void expect_idle(void)
{
	uint64_t before = cpu_ns();

	term_rig_run(&rig, 60);
	assert_in_range(cpu_ns() - before, 0, 30000000);
}

static void test_end_of_input(void **state)
{
	struct pipe_ends in = make_pipe();

	term_rig_start(&rig, in.read_fd, -1);
	assert_int_equal(write(in.write_fd, "last", 4), 4);
	close(in.write_fd);
	term_rig_await_input(&rig, 4);
	expect_idle();
	assert_int_equal(rig.quit_calls, 0); // the guest runs on
	term_rig_exit(&rig);
	close(in.read_fd);
}

// epoll reports a hang-up whatever it is asked to watch.
static void test_hang_up_while_nothing_may_be_read(void **state)
{
	struct pipe_ends in = make_pipe();
	size_t sent = 0;

	term_rig_start(&rig, in.read_fd, -1);
	rig.input_limit = 0;
	fill_pipe(in.write_fd, &sent);
	close(in.write_fd);
	expect_idle();
	rig.input_limit = SIZE_MAX;
	term_input_ready(rig.term);
	term_rig_await_input(&rig, sent);
	expect_idle();
	expect_pattern(rig.input, sent);
	term_rig_exit(&rig);
	close(in.read_fd);
}

static void test_dev_null(void **state)
{
	int fd = open("/dev/null", O_RDWR);

	term_rig_start(&rig, fd, fd);
	assert_int_equal(term_rig_print(&rig, "into the void"), 13);
	expect_idle();
	assert_int_equal(rig.input_len, 0);
	term_rig_exit(&rig);
	close(fd);
}

static void test_no_descriptors(void **state)
{
	unsigned columns, rows;

	term_rig_start(&rig, -1, -1);
	for (int i = 0; i < 10000; i++)
		assert_int_equal(term_rig_print(&rig, "nobody reads this"), 17);
	assert_true(term_writable(rig.term));
	assert_false(term_size(rig.term, &columns, &rows));
	expect_idle();
	term_rig_exit(&rig);
}

static void test_files(void **state)
{
	FILE *in = tmpfile(), *out = tmpfile();
	char text[32] = "";

	for (size_t i = 0; i < 100 * KIB; i++)
		putc(pattern_byte(i), in);
	rewind(in);
	term_rig_start(&rig, fileno(in), fileno(out));
	rig.input_limit = 50 * KIB;
	term_rig_await_input(&rig, 50 * KIB);
	expect_idle(); // always ready, yet nothing may be read
	rig.input_limit = SIZE_MAX;
	term_input_ready(rig.term);
	term_rig_await_input(&rig, 100 * KIB);
	expect_pattern(rig.input, 100 * KIB);
	expect_idle();
	term_rig_print(&rig, "to a file");
	term_rig_run(&rig, 5);
	assert_int_equal(pread(fileno(out), text, sizeof(text), 0), 9);
	assert_string_equal(text, "to a file");
	term_rig_exit(&rig);
	fclose(in);
	fclose(out);
}

static void test_term_read_takes_what_waits(void **state)
{
	struct pipe_ends in = make_pipe();
	uint8_t *data = malloc(128 * KIB);
	size_t sent = 0, got = 0;

	term_rig_init(&rig, in.read_fd, -1); // no frontend
	assert_int_equal(term_start(rig.term), 0);
	assert_int_equal(term_read(rig.term, data, 10), 0);
	fill_pipe(in.write_fd, &sent);
	for (int i = 0; got < sent && i < 1000; i++) {
		size_t n;

		term_rig_run(&rig, 1);
		while ((n = term_read(rig.term, data + got, 100))) // restarts reading
			got += n;
	}
	assert_int_equal(got, sent);
	expect_pattern(data, got);
	term_rig_exit(&rig);
	close_pipe(in);
	free(data);
}

static void test_term_read_shares_with_a_frontend(void **state)
{
	struct pipe_ends in = make_pipe();
	uint8_t data[8];

	term_rig_start(&rig, in.read_fd, -1);
	rig.input_limit = 2;
	assert_int_equal(write(in.write_fd, "abcdef", 6), 6);
	term_rig_await_input(&rig, 2);
	assert_int_equal(term_read(rig.term, data, 2), 2);
	assert_memory_equal(data, "cd", 2);
	rig.input_limit = SIZE_MAX;
	term_input_ready(rig.term);
	term_rig_await_input(&rig, 4);
	assert_memory_equal(rig.input, "abef", 4);
	term_rig_exit(&rig);
	close_pipe(in);
}

// -- output --

static void drain_pipe(int fd, uint8_t *data, size_t size, size_t *len)
{
	ssize_t n;

	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	while (*len < size && (n = read(fd, data + *len, size - *len)) > 0)
		*len += n;
}

static void test_output_reaches_the_reader(void **state)
{
	struct pipe_ends out = make_pipe();
	char text[16] = "";

	term_rig_start(&rig, -1, out.write_fd);
	assert_int_equal(term_rig_print(&rig, "hello"), 5);
	term_rig_run(&rig, 2);
	assert_int_equal(read(out.read_fd, text, sizeof(text)), 5);
	assert_string_equal(text, "hello");
	// The flag is shared with other processes.
	assert_false(fcntl(out.write_fd, F_GETFL) & O_NONBLOCK);
	term_rig_exit(&rig);
	close_pipe(out);
}

static void test_writes_wake_the_loop_once(void **state)
{
	struct pipe_ends out = make_pipe();
	uint64_t wakes = 0;

	term_rig_start(&rig, -1, out.write_fd);
	for (int i = 0; i < 10; i++)
		term_rig_print(&rig, "x");
	assert_int_equal(read(rig.loop.wake_fd, &wakes, sizeof(wakes)), sizeof(wakes));
	assert_int_equal(wakes, 1);
	term_rig_run(&rig, 2);
	term_rig_print(&rig, "x");
	assert_int_equal(read(rig.loop.wake_fd, &wakes, sizeof(wakes)), sizeof(wakes));
	term_rig_exit(&rig);
	close_pipe(out);
}

// Prints the pattern from *@sent on until the console takes no more.
static void print_until_full(size_t *sent)
{
	uint8_t bytes[100];
	size_t taken;

	do {
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = pattern_byte(*sent + i);
		taken = term_write(rig.term, bytes, sizeof(bytes));
		*sent += taken;
	} while (taken == sizeof(bytes));
}

static void test_slow_reader(void **state)
{
	struct pipe_ends out = make_pipe();
	uint8_t *data = malloc(256 * KIB);
	size_t sent = 0, got = 0;

	term_rig_start(&rig, -1, out.write_fd);
	for (int i = 0; i < 5; i++) {
		print_until_full(&sent);
		term_rig_run(&rig, 2); // does not block
	}
	assert_in_range(sent, RING_BYTES, RING_BYTES + 64 * KIB);
	print_until_full(&sent);
	assert_false(term_writable(rig.term));
	expect_idle();
	rig.output_ready_calls = 0;
	for (int i = 0; got < sent && i < 1000; i++) {
		drain_pipe(out.read_fd, data, 256 * KIB, &got);
		term_rig_run(&rig, 1);
	}
	assert_int_equal(got, sent);
	expect_pattern(data, got);
	assert_int_equal(rig.output_ready_calls, 1);
	assert_true(term_writable(rig.term));
	expect_idle();
	term_rig_exit(&rig);
	close_pipe(out);
	free(data);
}

static void test_reader_that_leaves(void **state)
{
	struct pipe_ends out = make_pipe();
	size_t sent = 0;
	char text[64];

	term_rig_start(&rig, -1, out.write_fd);
	for (int i = 0; i < 5; i++) {
		print_until_full(&sent);
		term_rig_run(&rig, 2);
	}
	rig.output_ready_calls = 0;
	close(out.read_fd);
	term_rig_await(&rig, &rig.output_ready_calls, 1);
	for (int i = 0; i < 10000; i++)
		assert_int_equal(term_rig_print(&rig, "\nnobody reads this"), 18);
	assert_true(term_writable(rig.term));
	expect_idle();
	term_last_output(rig.term, text, sizeof(text)); // but it is remembered
	assert_non_null(strstr(text, "nobody reads this"));
	term_rig_exit(&rig);
	close(out.write_fd);
}

static void test_full_device(void **state)
{
	int fd = open("/dev/full", O_WRONLY);

	term_rig_start(&rig, -1, fd);
	for (int i = 0; i < 20; i++) {
		size_t sent = 0;

		while (sent < 8 * KIB)
			sent += term_rig_print(&rig, "nowhere to go ");
		term_rig_run(&rig, 1);
	}
	term_rig_exit(&rig);
	close(fd);
}

static void *print_many(void *arg)
{
	for (int i = 0; i < 2000; i++)
		while (!term_write(rig.term, arg, 1))
			sched_yield();
	return NULL;
}

static void test_writers_on_four_threads(void **state)
{
	static uint8_t letters[] = "abcd";
	struct pipe_ends out = make_pipe();
	uint8_t data[8192] = { 0 };
	unsigned counts[4] = { 0 };
	pthread_t threads[4];
	size_t got = 0;

	term_rig_start(&rig, -1, out.write_fd);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, print_many, &letters[i]), 0);
	for (int i = 0; got < 8000 && i < 2000; i++) {
		term_rig_run(&rig, 1);
		drain_pipe(out.read_fd, data, sizeof(data), &got);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(got, 8000);
	for (size_t i = 0; i < got; i++)
		counts[data[i] - 'a']++;
	for (int i = 0; i < 4; i++)
		assert_int_equal(counts[i], 2000);
	term_rig_exit(&rig);
	close_pipe(out);
}

static void test_stop_writes_out_what_is_left(void **state)
{
	struct pipe_ends out = make_pipe();
	char text[16] = "";

	term_rig_start(&rig, -1, out.write_fd);
	term_rig_print(&rig, "the end");
	term_stop(rig.term, 1000);
	term_stop(rig.term, 1000); // nothing to do
	assert_int_equal(read(out.read_fd, text, sizeof(text)), 7);
	assert_string_equal(text, "the end");
	assert_int_equal(term_rig_print(&rig, "too late"), 8);
	term_rig_run(&rig, 2);
	drain_pipe(out.read_fd, (uint8_t *)text, sizeof(text), &(size_t){ 0 });
	assert_string_equal(text, "the end");
	term_rig_exit(&rig);
	close_pipe(out);
}

static void test_stop_does_not_wait_for_ever(void **state)
{
	struct pipe_ends out = make_pipe();
	uint64_t before;
	size_t sent = 0;

	term_rig_start(&rig, -1, out.write_fd);
	for (int i = 0; i < 5; i++) {
		print_until_full(&sent);
		term_rig_run(&rig, 1);
	}
	before = clock_monotonic_ns();
	term_stop(rig.term, 50);
	assert_in_range(clock_monotonic_ns() - before, 49000000, 2000000000);
	term_rig_exit(&rig);
	close_pipe(out);
}

static void test_posts_that_wait_do_not_outlive_the_console(void **state)
{
	struct pipe_ends out = make_pipe();
	struct loop loop;
	struct term *term;
	struct term_events events = { 0 };

	assert_int_equal(loop_init(&loop), 0);
	assert_int_equal(term_create(&term, &loop, -1, out.write_fd, events), 0);
	term_write(term, (const uint8_t *)"x", 1);
	term_input_ready(term);
	term_free(term);
	loop_stop(&loop);
	loop_run(&loop);
	loop_exit(&loop);
	close_pipe(out);
}

// -- what was printed --

static void test_last_output_is_cut_to_lines(void **state)
{
	char text[16384];
	size_t len;

	term_rig_start(&rig, -1, -1);
	assert_int_equal(term_last_output(rig.term, text, sizeof(text)), 0);
	assert_string_equal(text, "");
	term_rig_print(&rig, "one\ntwo\nthree");
	assert_int_equal(term_last_output(rig.term, text, sizeof(text)), 13);
	assert_string_equal(text, "one\ntwo\nthree");
	term_last_output(rig.term, text, 12);
	assert_string_equal(text, "two\nthree");
	term_last_output(rig.term, text, 8);
	assert_string_equal(text, "three");
	term_last_output(rig.term, text, 4);
	assert_string_equal(text, "ree"); // no whole line fits
	assert_int_equal(term_last_output(rig.term, text, 1), 0);
	for (int i = 0; i < 5000; i++) {
		char line[16];

		snprintf(line, sizeof(line), "line %d\n", i);
		term_rig_print(&rig, line);
	}
	len = term_last_output(rig.term, text, sizeof(text));
	assert_in_range(len, sizeof(text) - 16, sizeof(text));
	assert_int_equal(strlen(text), len);
	assert_memory_equal(text, "line ", 5);
	assert_string_equal(text + len - 20, "line 4998\nline 4999\n");
	term_rig_exit(&rig);
}

static void test_panic_is_recognised(void **state)
{
	static const char line[] = "[    1.0] KKernel panicKernel panic - not syncing: VFS";

	term_rig_start(&rig, -1, -1);
	term_rig_print(&rig, "Kernel panic - not syncin\nKernel panic - Not syncing");
	assert_false(term_saw_panic(rig.term));
	for (size_t i = 0; line[i]; i++) {
		assert_int_equal(term_saw_panic(rig.term), i >= strlen(line) - 5);
		term_write(rig.term, (const uint8_t *)&line[i], 1);
	}
	assert_true(term_saw_panic(rig.term));
	term_forget_panic(rig.term);
	assert_false(term_saw_panic(rig.term));
	term_rig_print(&rig, "\nKernel panic - not");
	assert_false(term_saw_panic(rig.term));
	term_rig_print(&rig, " syncing: again\n");
	assert_true(term_saw_panic(rig.term));
	term_rig_exit(&rig);
}

#define TEST(name) cmocka_unit_test(name)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_input_reaches_the_frontend),
		TEST(test_no_escape_key_without_a_terminal),
		TEST(test_frontend_that_takes_nothing_stops_reading),
		TEST(test_end_of_input),
		TEST(test_hang_up_while_nothing_may_be_read),
		TEST(test_dev_null),
		TEST(test_no_descriptors),
		TEST(test_files),
		TEST(test_term_read_takes_what_waits),
		TEST(test_term_read_shares_with_a_frontend),
		TEST(test_output_reaches_the_reader),
		TEST(test_writes_wake_the_loop_once),
		TEST(test_slow_reader),
		TEST(test_reader_that_leaves),
		TEST(test_full_device),
		TEST(test_writers_on_four_threads),
		TEST(test_stop_writes_out_what_is_left),
		TEST(test_stop_does_not_wait_for_ever),
		TEST(test_posts_that_wait_do_not_outlive_the_console),
		TEST(test_last_output_is_cut_to_lines),
		TEST(test_panic_is_recognised),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
