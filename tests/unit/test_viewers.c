// SPDX-License-Identifier: GPL-2.0-or-later
// Viewers of the console: what each sees and types, and those that are slow or gone.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util.h"

#include <cmocka.h>

#include "../../core/viewers.h"
#include "support-term.h"

#define ROUNDS 4 // of both loops, until nothing moves any more

struct stage {
	struct term_rig rig; // the console, without descriptors
	struct loop loop;    // the viewers'
	struct viewers viewers;
};

static struct stage stage;

// Connected, but not started: until then what is typed waits.
static int set_up(void **state)
{
	term_rig_init(&stage.rig, -1, -1);
	if (loop_init(&stage.loop))
		return -1;
	viewers_init(&stage.viewers, &stage.loop, stage.rig.term);
	return 0;
}

static int tear_down(void **state)
{
	viewers_exit(&stage.viewers);
	loop_exit(&stage.loop);
	term_rig_exit(&stage.rig);
	return 0;
}

static void start_console(void)
{
	term_rig_exit(&stage.rig);
	term_rig_start(&stage.rig, -1, -1);
	stage.viewers.term = stage.rig.term;
}

static void end_round(struct loop_timer *timer)
{
	loop_stop(&stage.loop);
}

static void run_loops(void)
{
	struct loop_timer timer = { .expired = end_round };

	for (unsigned i = 0; i < ROUNDS; i++) {
		loop_arm_timer(&stage.loop, &timer, clock_monotonic_ns() + NSEC_PER_MSEC);
		loop_run(&stage.loop);
		term_rig_run(&stage.rig, 1);
	}
}

// Returns the viewer's end.
static int add_viewer(struct viewer_wish wish)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
			 0);
	assert_true(viewers_make_room(&stage.viewers));
	assert_int_equal(viewers_add(&stage.viewers, fds[0], wish), 0);
	return fds[1];
}

// What the viewer @fd sees now, up to @size - 1 bytes.
static size_t look(int fd, char *text, size_t size)
{
	size_t len = 0;
	ssize_t n;

	run_loops();
	while (len < size - 1 && (n = recv(fd, text + len, size - 1 - len, 0)) > 0) {
		len += (size_t)n;
		run_loops();
	}
	text[len] = '\0';
	return len;
}

static void assert_sees(int fd, const char *wanted)
{
	char text[256];

	look(fd, text, sizeof(text));
	assert_string_equal(text, wanted);
}

static void type(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), 0), strlen(text));
}

static void assert_typed(const char *wanted)
{
	run_loops();
	assert_int_equal(stage.rig.input_len, strlen(wanted));
	assert_memory_equal(stage.rig.input, wanted, strlen(wanted));
}

// -- output --

static void test_history_and_what_follows(void **state)
{
	int all, later;

	term_rig_print(&stage.rig, "one\ntwo\n");
	all = add_viewer((struct viewer_wish){ .history = true });
	later = add_viewer((struct viewer_wish){ .history = false });
	assert_sees(all, "one\ntwo\n");
	assert_sees(later, "");
	term_rig_print(&stage.rig, "three");
	assert_sees(all, "three");
	assert_sees(later, "three");
	close(all);
	close(later);
}

static void test_history_begins_a_line(void **state)
{
	static char text[2 * VIEWERS_HISTORY_BYTES];
	char line[16];
	size_t len;
	int fd;

	for (unsigned i = 0; i < 20000; i++) {
		snprintf(line, sizeof(line), "line %u\n", i);
		term_rig_print(&stage.rig, line);
	}
	fd = add_viewer((struct viewer_wish){ .history = true });
	len = look(fd, text, sizeof(text));
	assert_in_range(len, VIEWERS_HISTORY_BYTES - 16, VIEWERS_HISTORY_BYTES);
	assert_memory_equal(text, "line ", 5);
	assert_string_equal(text + len - 11, "line 19999\n");
	close(fd);
}

// What comes in between is bytes of the pattern; the marks are cut out and summed up.
static size_t count_lost(char *text, size_t *len)
{
	static const char mark[] = "\r\n[kvik: ";
	unsigned long long lost;
	size_t sum = 0;
	char *at = text;

	while ((at = strstr(at, mark))) {
		char *end = strstr(at, "here]\r\n");

		assert_non_null(end);
		end += strlen("here]\r\n");
		assert_int_equal(sscanf(at + strlen(mark), "%llu bytes of output are missing here]",
					&lost),
				 1);
		sum += lost;
		memmove(at, end, strlen(end) + 1);
		*len -= (size_t)(end - at);
	}
	return sum;
}

static void test_slow_viewer(void **state)
{
	static char text[8 * MIB], line[1024];
	int slow = add_viewer((struct viewer_wish){ .history = true });
	int quick = add_viewer((struct viewer_wish){ .history = true });
	size_t printed = 0, seen = 0, lost, len;

	memset(line, 'x', sizeof(line) - 1);
	for (unsigned i = 0; i < 4096; i++) {
		// The VM never waits.
		assert_int_equal(term_rig_print(&stage.rig, line), sizeof(line) - 1);
		printed += sizeof(line) - 1;
		if (i % 64 == 0)
			seen += look(quick, text, sizeof(text));
	}
	seen += look(quick, text, sizeof(text));
	assert_int_equal(seen, printed);
	assert_null(strstr(text, "kvik"));
	len = look(slow, text, sizeof(text));
	lost = count_lost(text, &len);
	assert_true(lost > 0);
	assert_int_equal(lost + len, printed);
	assert_int_equal(strspn(text, "x"), len);
	term_rig_print(&stage.rig, "end");
	assert_sees(slow, "end");
	close(slow);
	close(quick);
}

static void test_viewer_that_is_gone(void **state)
{
	int gone = add_viewer((struct viewer_wish){ .history = true });
	int stays = add_viewer((struct viewer_wish){ .history = true });

	close(gone);
	term_rig_print(&stage.rig, "hello");
	assert_sees(stays, "hello");
	assert_int_equal(stage.viewers.count, 1);
	close(stays);
	run_loops();
	assert_int_equal(stage.viewers.count, 0);
}

static void test_end_of_the_console(void **state)
{
	int fd = add_viewer((struct viewer_wish){ .history = true });
	char text[16];

	term_rig_print(&stage.rig, "last words");
	viewers_exit(&stage.viewers);
	assert_int_equal(recv(fd, text, sizeof(text), 0), 10);
	assert_int_equal(recv(fd, text, sizeof(text), 0), 0);
	close(fd);
}

// -- input --

static void test_all_may_type(void **state)
{
	int one, two, reader;

	start_console();
	one = add_viewer((struct viewer_wish){ .typed = "early ", .typed_bytes = 6 });
	assert_typed("early ");
	two = add_viewer((struct viewer_wish){ 0 });
	reader = add_viewer(
		(struct viewer_wish){ .read_only = true, .typed = "no", .typed_bytes = 2 });
	type(one, "from one ");
	assert_typed("early from one ");
	type(reader, "nothing");
	type(two, "from two");
	assert_typed("early from one from two");
	close(one);
	close(two);
	close(reader);
}

static void test_half_closed_viewer_still_sees(void **state)
{
	int fd;

	start_console();
	fd = add_viewer((struct viewer_wish){ 0 });
	type(fd, "command\n");
	shutdown(fd, SHUT_WR);
	assert_typed("command\n");
	term_rig_print(&stage.rig, "answer");
	assert_sees(fd, "answer");
	close(fd);
}

// Nothing is lost of what comes while the guest does not read, not even of one that leaves.
static void test_input_waits_for_the_guest(void **state)
{
	static char text[20000], got[sizeof(text)];
	int fd = add_viewer((struct viewer_wish){ 0 });
	size_t len = 0;

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)pattern_byte(i);
	assert_int_equal(send(fd, text, sizeof(text), 0), sizeof(text));
	run_loops();
	close(fd);
	run_loops();
	for (unsigned i = 0; i < 1000 && len < sizeof(got); i++) {
		len += term_read(stage.rig.term, (uint8_t *)got + len, 100);
		if (i % 8 == 0)
			run_loops();
	}
	assert_int_equal(len, sizeof(got));
	assert_memory_equal(got, text, sizeof(got));
	run_loops();
	assert_int_equal(stage.viewers.count, 0);
}

// One who types at a guest that does not read leaves the others, and the terminal, room.
static void test_flood_of_input(void **state)
{
	static char text[64 * KIB];
	uint8_t byte;
	int flood = add_viewer((struct viewer_wish){ 0 });
	int other = add_viewer((struct viewer_wish){ 0 });

	memset(text, 'f', sizeof(text));
	assert_true(send(flood, text, sizeof(text), 0) > 0);
	run_loops();
	type(other, "o");
	for (unsigned i = 0; i < 8000; i++) {
		if (term_read(stage.rig.term, &byte, 1) == 1 && byte == 'o')
			break;
		if (i % 256 == 0)
			run_loops();
		assert_int_not_equal(i, 7999);
	}
	close(flood);
	close(other);
}

// -- many --

static void test_too_many(void **state)
{
	int fds[VIEWERS_MAX];

	for (unsigned i = 0; i < VIEWERS_MAX; i++)
		fds[i] = add_viewer((struct viewer_wish){ 0 });
	run_loops();
	assert_false(viewers_make_room(&stage.viewers));
	// One that is gone, but whose input the guest has not taken, makes room.
	for (unsigned i = 0; i < 8; i++)
		type(fds[0], "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
			     "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
			     "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
	run_loops();
	close(fds[0]);
	run_loops();
	assert_int_equal(stage.viewers.count, VIEWERS_MAX);
	assert_true(viewers_make_room(&stage.viewers));
	assert_int_equal(stage.viewers.count, VIEWERS_MAX - 1);
	for (unsigned i = 1; i < VIEWERS_MAX; i++)
		close(fds[i]);
}

// -- size --

static void assert_size(unsigned columns, unsigned rows)
{
	run_loops();
	assert_int_equal(stage.rig.columns, columns);
	assert_int_equal(stage.rig.rows, rows);
}

static void test_size_of_the_newest(void **state)
{
	int old, new, silent;

	start_console();
	old = add_viewer((struct viewer_wish){ .id = 1 });
	assert_int_equal(viewers_resize(&stage.viewers, 1, 80, 25), 0);
	assert_size(80, 25);
	new = add_viewer((struct viewer_wish){ .id = 2 });
	silent = add_viewer((struct viewer_wish){ .id = 3 });
	assert_size(80, 25);
	assert_int_equal(viewers_resize(&stage.viewers, 2, 132, 43), 0);
	assert_size(132, 43);
	assert_int_equal(viewers_resize(&stage.viewers, 1, 100, 50), 0);
	assert_size(132, 43);
	close(new);
	assert_size(100, 50);
	assert_int_equal(viewers_resize(&stage.viewers, 2, 10, 10), -ENOENT);
	close(old);
	assert_size(100, 50); // the console has no terminal of its own
	close(silent);
}

static void assert_view_size(unsigned columns, unsigned rows)
{
	unsigned its_columns, its_rows;

	run_loops();
	assert_true(term_size(stage.rig.term, &its_columns, &its_rows));
	assert_int_equal(its_columns, columns);
	assert_int_equal(its_rows, rows);
}

// One that has gone may still have input for the guest.
static void test_size_of_one_that_has_gone(void **state)
{
	int here, gone;

	here = add_viewer((struct viewer_wish){ .id = 1 });
	gone = add_viewer((struct viewer_wish){ .id = 2 });
	assert_int_equal(viewers_resize(&stage.viewers, 1, 80, 25), 0);
	assert_int_equal(viewers_resize(&stage.viewers, 2, 132, 43), 0);
	assert_view_size(132, 43);
	for (unsigned i = 0; i < 64; i++)
		type(gone, "0123456789abcdef0123456789abcdef");
	run_loops();
	close(gone);
	assert_view_size(80, 25);
	assert_int_equal(stage.viewers.count, 2);
	assert_int_equal(viewers_resize(&stage.viewers, 2, 10, 10), 0);
	assert_view_size(80, 25);
	close(here);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_history_and_what_follows),
		TEST(test_history_begins_a_line),
		TEST(test_slow_viewer),
		TEST(test_viewer_that_is_gone),
		TEST(test_end_of_the_console),
		TEST(test_all_may_type),
		TEST(test_half_closed_viewer_still_sees),
		TEST(test_input_waits_for_the_guest),
		TEST(test_flood_of_input),
		TEST(test_too_many),
		TEST(test_size_of_the_newest),
		TEST(test_size_of_one_that_has_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
