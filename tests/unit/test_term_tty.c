// SPDX-License-Identifier: GPL-2.0-or-later
// The console on a terminal: raw mode and its end, escape keys, size, jobs.

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "log.h"
#include "support-term.h"
#include "term.h"
#include "util.h"

#include <cmocka.h>

static struct term_rig rig;

// A terminal: the user sits at the master.
static struct {
	int master;
	int slave;
	struct termios cooked; // as it was at first
} tty;

static int setup(void **state)
{
	alarm(60); // a hang is a failure
	tty.master = posix_openpt(O_RDWR | O_NOCTTY);
	assert_true(tty.master >= 0);
	assert_int_equal(grantpt(tty.master), 0);
	assert_int_equal(unlockpt(tty.master), 0);
	tty.slave = open(ptsname(tty.master), O_RDWR | O_NOCTTY);
	assert_true(tty.slave >= 0);
	assert_int_equal(tcgetattr(tty.slave, &tty.cooked), 0);
	assert_true(tty.cooked.c_lflag & ICANON);
	return 0;
}

static int teardown(void **state)
{
	close(tty.slave);
	if (tty.master >= 0)
		close(tty.master);
	return 0;
}

static void type(const char *keys, size_t len)
{
	assert_int_equal(write(tty.master, keys, len), len);
}

static bool is_raw(void)
{
	struct termios modes;

	assert_int_equal(tcgetattr(tty.slave, &modes), 0);
	return !(modes.c_lflag & (ICANON | ECHO | ISIG)) && !(modes.c_oflag & OPOST);
}

static bool is_cooked(void)
{
	struct termios modes;

	assert_int_equal(tcgetattr(tty.slave, &modes), 0);
	return modes.c_lflag == tty.cooked.c_lflag && modes.c_iflag == tty.cooked.c_iflag &&
	       modes.c_oflag == tty.cooked.c_oflag && modes.c_cflag == tty.cooked.c_cflag &&
	       !memcmp(modes.c_cc, tty.cooked.c_cc, sizeof(modes.c_cc));
}

static void test_raw_mode_and_back(void **state)
{
	term_rig_init(&rig, tty.slave, tty.slave);
	assert_true(term_is_tty(rig.term));
	assert_true(is_cooked()); // not before the start
	assert_int_equal(term_start(rig.term), 0);
	assert_true(is_raw());
	assert_false(fcntl(tty.slave, F_GETFL) & O_NONBLOCK);
	term_stop(rig.term, 0);
	assert_true(is_cooked());
	assert_int_equal(term_start(rig.term), 0); // again
	assert_true(is_raw());
	term_rig_exit(&rig); // stops it too
	assert_true(is_cooked());
}

static void test_keys_reach_the_guest(void **state)
{
	static const char keys[] = "a\003\004\r\n\021\023\177\033[A\377";

	term_rig_start(&rig, tty.slave, tty.slave);
	type(keys, sizeof(keys) - 1);
	term_rig_await_input(&rig, sizeof(keys) - 1);
	assert_memory_equal(rig.input, keys, sizeof(keys) - 1);
	term_rig_exit(&rig);
}

static void test_output_is_not_changed(void **state)
{
	char text[16] = "";

	term_rig_start(&rig, tty.slave, tty.slave);
	term_rig_print(&rig, "a\nb\r\n");
	term_rig_run(&rig, 5);
	assert_int_equal(read(tty.master, text, sizeof(text)), 5);
	assert_string_equal(text, "a\nb\r\n");
	term_rig_exit(&rig);
}

static void test_escape_key(void **state)
{
	term_rig_start(&rig, tty.slave, tty.slave);
	type("b\001\001c", 4); // sends one
	term_rig_await_input(&rig, 3);
	assert_memory_equal(rig.input, "b\001c", 3);
	type("\001", 1);
	term_rig_run(&rig, 5); // in a read of its own
	type("zd\001", 3);     // an unknown key is swallowed
	term_rig_await_input(&rig, 4);
	assert_int_equal(rig.input[3], 'd');
	assert_int_equal(rig.quit_calls, 0);
	type("x", 1);
	term_rig_await(&rig, &rig.quit_calls, 1);
	assert_int_equal(rig.input_len, 4);
	term_rig_exit(&rig);
}

// Also where messages go to a file.
static void test_help_on_the_terminal(void **state)
{
	FILE *file = tmpfile();
	int saved = dup(STDERR_FILENO);
	char text[512];
	ssize_t len;

	term_rig_start(&rig, tty.slave, tty.slave);
	dup2(fileno(file), STDERR_FILENO);
	type("\001he", 3);
	term_rig_await_input(&rig, 1);
	dup2(saved, STDERR_FILENO);
	close(saved);
	fclose(file);
	len = read(tty.master, text, sizeof(text) - 1);
	term_rig_exit(&rig);
	assert_true(len > 0);
	text[len] = 0;
	assert_non_null(strstr(text, "Ctrl-a x "));
	assert_non_null(strstr(text, "Ctrl-a Ctrl-a "));
	assert_non_null(strstr(text, "Ctrl-a h "));
	for (char *end = strchr(text, '\n'); end; end = strchr(end + 1, '\n'))
		assert_int_equal(end[-1], '\r');
}

static void test_log_lines_end_for_a_raw_terminal(void **state)
{
	static const char expected[] = "kvik run: raw\r\nkvik run: cooked\r\n";
	int saved = dup(STDERR_FILENO);
	char text[64] = "";
	ssize_t n;

	dup2(tty.slave, STDERR_FILENO);
	term_rig_start(&rig, tty.slave, tty.slave);
	info("raw");
	term_stop(rig.term, 0);
	info("cooked");
	dup2(saved, STDERR_FILENO);
	close(saved);
	term_rig_exit(&rig);
	// The kernel may hand them over one by one.
	for (size_t got = 0; got < sizeof(expected) - 1; got += (size_t)n) {
		n = read(tty.master, text + got, sizeof(text) - 1 - got);
		assert_true(n > 0);
	}
	assert_string_equal(text, expected);
}

// A guest that hangs must not keep the user from ending it.
static void test_escape_key_behind_typed_ahead(void **state)
{
	term_rig_start(&rig, tty.slave, tty.slave);
	rig.input_limit = 0;
	for (int i = 0; i < 100; i++) {
		type("is anybody there? ", 18);
		term_rig_run(&rig, 1);
	}
	type("\001x", 2);
	term_rig_await(&rig, &rig.quit_calls, 1);
	rig.input_limit = SIZE_MAX;
	term_input_ready(rig.term);
	term_rig_await_input(&rig, 1800);
	term_rig_exit(&rig);
}

static void test_terminal_that_nobody_reads(void **state)
{
	size_t sent = 0, got = 0, taken;

	term_rig_start(&rig, tty.slave, tty.slave);
	do {
		taken = term_rig_print(&rig, "0123456789abcdef");
		sent += taken;
		if (taken < 16)
			term_rig_run(&rig, 5); // does not block
	} while (taken == 16 || sent < 70 * KIB);
	type("k", 1);
	term_rig_await_input(&rig, 1); // input goes on
	while (got < sent) {
		char text[4096];
		ssize_t n = read(tty.master, text, sizeof(text));

		assert_true(n > 0);
		for (ssize_t i = 0; i < n; i++, got++)
			assert_int_equal(text[i], "0123456789abcdef"[got % 16]);
		term_rig_run(&rig, 1);
	}
	term_rig_exit(&rig);
}

static void test_size(void **state)
{
	struct winsize size = { .ws_col = 132, .ws_row = 43 };
	unsigned columns = 0, rows = 0;

	term_rig_start(&rig, tty.slave, tty.slave);
	assert_false(term_size(rig.term, &columns, &rows)); // 0 by 0
	assert_int_equal(ioctl(tty.master, TIOCSWINSZ, &size), 0);
	assert_true(term_size(rig.term, &columns, &rows));
	assert_int_equal(columns, 132);
	assert_int_equal(rows, 43);
	// The kernel tells the foreground job; this is not its terminal's job.
	kill(getpid(), SIGWINCH);
	term_rig_await(&rig, &rig.resized_calls, 1);
	assert_int_equal(rig.columns, 132);
	assert_int_equal(rig.rows, 43);
	// A viewer's, as long as there is one.
	term_set_view_size(rig.term, 80, 25);
	term_rig_await(&rig, &rig.resized_calls, 2);
	assert_int_equal(rig.columns, 80);
	assert_int_equal(rig.rows, 25);
	term_set_view_size(rig.term, 80, 25);
	kill(getpid(), SIGWINCH);
	term_rig_await(&rig, &rig.resized_calls, 3);
	assert_int_equal(rig.columns, 80);
	term_set_view_size(rig.term, 0, 0);
	term_rig_await(&rig, &rig.resized_calls, 4);
	assert_int_equal(rig.columns, 132);
	assert_int_equal(rig.rows, 43);
	term_rig_exit(&rig);
	kill(getpid(), SIGWINCH); // back to being ignored
}

static void test_raw_again_after_being_stopped(void **state)
{
	term_rig_start(&rig, tty.slave, tty.slave);
	assert_int_equal(tcsetattr(tty.slave, TCSANOW, &tty.cooked), 0); // as a shell does
	kill(getpid(), SIGCONT);
	for (int i = 0; i < 1000 && !is_raw(); i++)
		term_rig_run(&rig, 1);
	assert_true(is_raw());
	term_rig_exit(&rig);
	assert_true(is_cooked());
}

static void test_terminal_that_goes_away(void **state)
{
	term_rig_start(&rig, tty.slave, tty.slave);
	term_rig_run(&rig, 1);
	close(tty.master);
	tty.master = -1;
	for (int i = 0; i < 10000; i++) {
		term_rig_print(&rig, "0123456789abcdef");
		if (i % 1000 == 0)
			term_rig_run(&rig, 1);
	}
	assert_true(term_writable(rig.term));
	assert_int_equal(rig.quit_calls, 0); // SIGHUP tells, not the console
	term_rig_exit(&rig);
}

// -- crashes --

static volatile int *volatile nowhere = (volatile int *)64; // never mapped

static void die_by(int number)
{
	if (number == SIGSEGV)
		*nowhere = 1;
	else if (number == SIGABRT)
		abort();
	else
		kill(getpid(), number);
}

static void run_doomed_child(int number)
{
	signal(number, SIG_DFL); // cmocka and the sanitizers have handlers of their own
	term_rig_start(&rig, tty.slave, tty.slave);
	if (!is_raw())
		_exit(0);
	die_by(number);
	term_rig_run(&rig, 1000); // kill() may take a moment
	_exit(0);
}

static void test_fatal_signals_restore(void **state)
{
	static const int numbers[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGSYS };

	for (unsigned i = 0; i < ARRAY_SIZE(numbers); i++) {
		pid_t pid = fork();
		int status;

		assert_true(pid >= 0);
		if (!pid)
			run_doomed_child(numbers[i]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == numbers[i]);
		assert_true(is_cooked());
	}
}

static void test_handlers_are_put_back(void **state)
{
	struct sigaction before, after;

	assert_int_equal(sigaction(SIGSEGV, NULL, &before), 0);
	term_rig_start(&rig, tty.slave, tty.slave);
	assert_int_equal(sigaction(SIGSEGV, NULL, &after), 0);
	assert_ptr_not_equal(before.sa_handler, after.sa_handler);
	assert_int_equal(sigaction(SIGPIPE, NULL, &after), 0);
	assert_ptr_equal(after.sa_handler, SIG_IGN);
	term_rig_exit(&rig);
	assert_int_equal(sigaction(SIGSEGV, NULL, &after), 0);
	assert_ptr_equal(before.sa_handler, after.sa_handler);
}

// -- jobs --

// In a job that does not have the terminal: must neither be stopped nor touch it
// until it gets it.
static int run_background_job(void)
{
	term_rig_start(&rig, tty.slave, tty.slave);
	term_rig_run(&rig, 20);
	if (!is_cooked())
		return 2;
	kill(getppid(), SIGUSR1); // now give it to us
	for (int i = 0; i < 400 && !is_raw(); i++)
		term_rig_run(&rig, 10);
	if (!is_raw())
		return 3;
	term_rig_await_input(&rig, 3);
	term_rig_exit(&rig);
	return is_cooked() ? 0 : 4;
}

// A session whose leader has the terminal; the job is its child.
static int run_session(void)
{
	sigset_t usr1;
	int status, got;
	pid_t job;

	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	if (setsid() < 0 || ioctl(tty.slave, TIOCSCTTY, 0))
		return 10;
	job = fork();
	if (!job) {
		setpgid(0, 0);
		_exit(run_background_job());
	}
	setpgid(job, job);
	sigwait(&usr1, &got);
	tcsetpgrp(tty.slave, job);
	if (waitpid(job, &status, WUNTRACED) != job || !WIFEXITED(status))
		return 11; // stopped, or killed
	return WEXITSTATUS(status);
}

static void test_job_in_the_background(void **state)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid)
		_exit(run_session());
	type("key", 3); // to whoever has the terminal
	type("\n", 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_raw_mode_and_back),
		TEST(test_keys_reach_the_guest),
		TEST(test_output_is_not_changed),
		TEST(test_escape_key),
		TEST(test_help_on_the_terminal),
		TEST(test_log_lines_end_for_a_raw_terminal),
		TEST(test_escape_key_behind_typed_ahead),
		TEST(test_terminal_that_nobody_reads),
		TEST(test_size),
		TEST(test_raw_again_after_being_stopped),
		TEST(test_terminal_that_goes_away),
		TEST(test_fatal_signals_restore),
		TEST(test_handlers_are_put_back),
		TEST(test_job_in_the_background),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
