// SPDX-License-Identifier: GPL-2.0-or-later
// The control socket's server: well-behaved clients are served, whatever the others do.
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "control-client.h"
#include "control.h"
#include "instance.h"
#include "loop.h"
#include "term.h"

#define NAME "control-test"
#define SILENT_CLIENTS 1000
#define WAIT_MS 10000

static char directory[] = "/tmp/kvik-control-XXXXXX";

struct rig {
	struct instance instance;
	struct loop loop;  // plays the main loop, on a thread
	struct term *term; // without descriptors
	struct control *control;
	struct control_call *kept; // by "keep"
	atomic_uint handled;
};

static void handle(void *opaque, struct control_call *call)
{
	struct rig *rig = opaque;

	atomic_fetch_add(&rig->handled, 1);
	if (strcmp(call->command, "echo") == 0)
		control_reply(call, json_incref(call->arguments));
	else if (strcmp(call->command, "keep") == 0)
		rig->kept = call;
	else
		control_fail(call, "unknown-command", "no '%s'", call->command);
}

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct control_host host = { .vm_name = NAME, .handle = handle, .opaque = rig };
	int fd;

	host.main_loop = &rig->loop;
	if (instance_claim(&rig->instance, NAME) || loop_init(&rig->loop) ||
	    loop_start_thread(&rig->loop, "main"))
		return -1;
	if (term_create(&rig->term, &rig->loop, -1, -1, (struct term_events){ 0 }))
		return -1;
	host.term = rig->term;
	fd = rig->instance.listen_fd;
	rig->instance.listen_fd = -1;
	*state = rig;
	return control_create(&rig->control, fd, host);
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	loop_stop_thread(&rig->loop);
	if (rig->control)
		control_free(rig->control);
	term_free(rig->term);
	loop_exit(&rig->loop);
	instance_release(&rig->instance);
	free(rig);
	return 0;
}

// -- raw clients --

static int raw_client(void)
{
	int fd = instance_connect(NAME);

	assert_true(fd >= 0);
	return fd;
}

static void raw_send(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t sent = send(fd, text, len, MSG_NOSIGNAL);

		if (sent < 0)
			return; // dropped by the server: then its last words tell why
		text += sent;
		len -= (size_t)sent;
	}
}

// The next line without its newline; "" at the end.
static void raw_line(int fd, char *line, size_t size)
{
	size_t len = 0;

	while (len + 1 < size) {
		struct pollfd pollfd = { .fd = fd, .events = POLLIN };

		assert_int_equal(poll(&pollfd, 1, WAIT_MS), 1);
		if (read(fd, line + len, 1) != 1 || line[len] == '\n')
			break;
		len++;
	}
	line[len] = '\0';
}

static void assert_answer(const char *request, const char *wanted)
{
	int fd = raw_client();
	char line[4096];

	raw_line(fd, line, sizeof(line));
	assert_non_null(strstr(line, "\"kvik\""));
	raw_send(fd, request, strlen(request));
	raw_line(fd, line, sizeof(line));
	if (!strstr(line, wanted))
		fail_msg("answer to %.100s: %s", request, line);
	close(fd);
}

// -- well-behaved clients --

static void assert_echo(void)
{
	struct control_client client;
	json_t *result;

	assert_int_equal(control_connect(&client, NAME), 0);
	assert_int_equal(
		control_ask(&client, "echo", json_pack("{s:i}", "n", 42), WAIT_MS, &result), 0);
	assert_int_equal(json_integer_value(json_object_get(result, "n")), 42);
	json_decref(result);
	control_disconnect(&client);
}

static void test_request_and_answer(void **state)
{
	assert_echo();
}

static void test_ids_come_back(void **state)
{
	assert_answer("{\"id\":7,\"command\":\"echo\"}\n", "\"id\":7");
	assert_answer("{\"id\":\"x\",\"command\":\"echo\"}\n", "\"id\":\"x\"");
	assert_answer("{\"command\":\"echo\"}\n", "\"result\":{}");
}

static void test_refusals(void **state)
{
	struct control_client client;
	json_t *result;

	assert_answer("{\"id\":1,\"command\":\"fly\"}\n", "\"unknown-command\"");
	assert_int_equal(control_connect(&client, NAME), 0);
	assert_int_equal(control_ask(&client, "fly", NULL, WAIT_MS, &result), -EREMOTEIO);
	control_disconnect(&client);
}

static void test_events_reach_subscribers_only(void **state)
{
	struct rig *rig = *state;
	struct control_client listener, other;
	json_t *object;

	assert_int_equal(control_connect(&listener, NAME), 0);
	assert_int_equal(control_connect(&other, NAME), 0);
	assert_int_equal(control_ask(&listener, "subscribe", NULL, WAIT_MS, &object), 0);
	json_decref(object);
	control_event(rig->control, "paused", NULL);
	assert_int_equal(control_next(&listener, WAIT_MS, &object), 0);
	assert_string_equal(json_string_value(json_object_get(object, "event")), "paused");
	assert_true(json_is_real(json_object_get(object, "time")));
	json_decref(object);
	assert_int_equal(control_ask(&other, "echo", NULL, WAIT_MS, &object), 0);
	json_decref(object);
	assert_int_equal(other.input_bytes, 0);
	control_disconnect(&listener);
	control_disconnect(&other);
}

static void test_answer_after_half_close(void **state)
{
	int fd = raw_client();
	char line[4096];

	raw_line(fd, line, sizeof(line));
	raw_send(fd, "{\"id\":1,\"command\":\"echo\"}\n", 26);
	shutdown(fd, SHUT_WR);
	raw_line(fd, line, sizeof(line));
	assert_non_null(strstr(line, "\"result\""));
	raw_line(fd, line, sizeof(line));
	assert_string_equal(line, ""); // and then it is closed
	close(fd);
}

static void test_several_requests_at_once(void **state)
{
	struct rig *rig = *state;
	int fd = raw_client();
	char line[4096];

	raw_line(fd, line, sizeof(line));
	for (unsigned i = 0; i < 100; i++) {
		int len = snprintf(line, sizeof(line), "{\"id\":%u,\"command\":\"echo\"}\n", i);

		raw_send(fd, line, (size_t)len);
	}
	for (unsigned i = 0; i < 100; i++) {
		char wanted[32];

		snprintf(wanted, sizeof(wanted), "\"id\":%u,", i);
		raw_line(fd, line, sizeof(line));
		assert_non_null(strstr(line, wanted)); // in their order
	}
	assert_int_equal(atomic_load(&rig->handled), 100);
	close(fd);
}

// -- the others --

static void test_nonsense(void **state)
{
	static const char *const lines[] = {
		"nonsense\n",
		"[]\n",
		"{}\n",
		"{\"command\":1}\n",
		"{\"command\":\"echo\",\"arguments\":[]}\n",
		"{\"command\":\"echo\",\"id\":{}}\n",
		"{\"command\":\"echo\",\"command\":\"echo\"}\n",
		"{\"command\":\"echo\xff\"}\n",
		"{\"command\":\"echo\",\"id\":99999999999999999999}\n",
		"1\n",
	};

	for (unsigned i = 0; i < ARRAY_SIZE(lines); i++)
		assert_answer(lines[i], "\"bad-request\"");
	assert_echo();
}

static void test_deep_nesting(void **state)
{
	size_t len = 60 * 1024;
	char *text = malloc(len + 2);

	memset(text, '[', len);
	strcpy(text + len, "\n");
	assert_answer(text, "\"bad-request\"");
	free(text);
}

static void test_long_line(void **state)
{
	size_t len = 4 * MIB;
	char *text = malloc(len + 1);

	memset(text, 'x', len);
	text[len] = '\0';
	assert_answer(text, "longer than 64 KiB");
	free(text);
	assert_echo();
}

static void test_silent_clients(void **state)
{
	static int fds[SILENT_CLIENTS];

	for (unsigned i = 0; i < SILENT_CLIENTS; i++) {
		fds[i] = raw_client();
		raw_send(fds[i], "{\"id\":", 6);
		if (i % 100 == 0)
			assert_echo();
	}
	assert_echo();
	for (unsigned i = 0; i < SILENT_CLIENTS; i++)
		close(fds[i]);
}

static void test_client_that_does_not_read(void **state)
{
	struct rig *rig = *state;
	struct control_client listener;
	char *text = calloc(1, 32 * 1024);
	json_t *object;

	memset(text, 'x', 32 * 1024 - 1);
	assert_int_equal(control_connect(&listener, NAME), 0);
	assert_int_equal(control_ask(&listener, "subscribe", NULL, WAIT_MS, &object), 0);
	json_decref(object);
	for (unsigned i = 0; i < 256; i++)
		control_event(rig->control, "noise", json_pack("{s:s}", "text", text));
	assert_echo(); // behind all of them: they have been dealt with
	for (unsigned got = 0;; got++) {
		if (control_next(&listener, WAIT_MS, &object))
			break; // it was dropped
		json_decref(object);
		assert_true(got < 256);
	}
	control_disconnect(&listener);
	free(text);
}

static void test_clients_that_leave(void **state)
{
	for (unsigned i = 0; i < 200; i++) {
		int fd = raw_client();

		raw_send(fd, "{\"id\":1,\"command\":\"echo\"}\n", i % 27);
		close(fd);
	}
	assert_echo();
}

// Nobody will read the answer, but it was asked for.
static void test_request_of_a_client_that_leaves_at_once(void **state)
{
	struct rig *rig = *state;

	for (unsigned i = 0; i < 100; i++) {
		int fd = raw_client();

		raw_send(fd, "{\"command\":\"echo\"}\n", 19);
		raw_send(fd, "{\"command\":\"echo\"}\n", 19);
		close(fd);
	}
	for (unsigned i = 0; i < WAIT_MS && atomic_load(&rig->handled) < 200; i++)
		poll(NULL, 0, 1);
	assert_int_equal(atomic_load(&rig->handled), 200);
}

static uint64_t cpu_ns(void)
{
	struct timespec used;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (uint64_t)used.tv_sec * NSEC_PER_SEC + (uint64_t)used.tv_nsec;
}

// The one who connects waits in the queue until the host has a descriptor again.
static void test_host_without_descriptors(void **state)
{
	struct rlimit before, none;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), free_fd;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	uint64_t used_ns;
	char line[256];

	assert_echo();
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s.sock", directory, NAME);
	getrlimit(RLIMIT_NOFILE, &before);
	none = before;
	free_fd = dup(fd); // the lowest
	none.rlim_cur = (rlim_t)free_fd;
	close(free_fd);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	used_ns = cpu_ns();
	poll(NULL, 0, 300);
	assert_true(cpu_ns() - used_ns < 100 * NSEC_PER_MSEC); // the server does not spin
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	raw_line(fd, line, sizeof(line));
	assert_non_null(strstr(line, "\"kvik\""));
	close(fd);
}

// -- the console --

static void assert_reply(int fd, const char *command, const char *arguments, const char *behind,
			 const char *wanted)
{
	char line[256];

	snprintf(line, sizeof(line), "{\"command\":\"%s\",\"arguments\":%s}\n%s", command,
		 arguments, behind);
	raw_send(fd, line, strlen(line));
	raw_line(fd, line, sizeof(line));
	if (!strstr(line, wanted))
		fail_msg("answer to %s %s: %s", command, arguments, line);
}

// From the greeting to the request's answer.
static int console_client(const char *arguments, const char *wanted)
{
	int fd = raw_client();
	char line[256];

	raw_line(fd, line, sizeof(line));
	assert_reply(fd, "console", arguments, "typed", wanted);
	return fd;
}

static void assert_typed(struct rig *rig, const char *wanted)
{
	char text[64];
	size_t len = 0;

	for (unsigned i = 0; i < WAIT_MS && len < strlen(wanted); i++) {
		len += term_read(rig->term, (uint8_t *)text + len, sizeof(text) - len);
		poll(NULL, 0, 1);
	}
	assert_int_equal(len, strlen(wanted));
	assert_memory_equal(text, wanted, len);
}

static void test_connection_becomes_the_console(void **state)
{
	struct rig *rig = *state;
	char line[64];
	int fd;

	term_write(rig->term, (const uint8_t *)"before\n", 7);
	fd = console_client("{}", "\"result\":{\"viewer\":1}");
	raw_line(fd, line, sizeof(line));
	assert_string_equal(line, "before");
	assert_typed(rig, "typed");
	raw_send(fd, "{\"command\":\"echo\"}\n", 19); // is input now
	assert_typed(rig, "{\"command\":\"echo\"}\n");
	term_write(rig->term, (const uint8_t *)"after\n", 6);
	raw_line(fd, line, sizeof(line));
	assert_string_equal(line, "after");
	control_free(rig->control);
	rig->control = NULL;
	assert_int_equal(read(fd, line, 1), 0);
	close(fd);
}

static void test_console_refusals(void **state)
{
	int fd = raw_client();
	char line[256];

	close(console_client("{\"history\":1}", "\"invalid-argument\""));
	close(console_client("{\"colour\":true}", "\"invalid-argument\""));
	raw_line(fd, line, sizeof(line));
	raw_send(fd, "{\"command\":\"subscribe\"}\n{\"command\":\"console\"}\n", 47);
	raw_line(fd, line, sizeof(line));
	raw_line(fd, line, sizeof(line));
	assert_non_null(strstr(line, "\"busy\""));
	close(fd);
	assert_echo();
}

static void test_size_of_a_viewer(void **state)
{
	int viewer = console_client("{}", "\"result\":{\"viewer\":1}"), fd = raw_client();
	static const char *const wrong[] = {
		"{}",
		"{\"viewer\":1,\"columns\":80}",
		"{\"viewer\":1,\"columns\":80,\"rows\":0}",
		"{\"viewer\":1,\"columns\":65536,\"rows\":25}",
		"{\"viewer\":1,\"columns\":80,\"rows\":-25}",
		"{\"viewer\":1,\"columns\":4294967376,\"rows\":25}",
		"{\"viewer\":1,\"columns\":\"80\",\"rows\":25}",
		"{\"viewer\":1,\"columns\":80,\"rows\":25,\"depth\":8}",
		"{\"viewer\":2,\"columns\":80,\"rows\":25}", // which is no viewer
		"{\"viewer\":-1,\"columns\":80,\"rows\":25}",
	};
	char line[256];
	struct rig *rig = *state;
	unsigned columns, rows;

	raw_line(fd, line, sizeof(line));
	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_reply(fd, "console-size", wrong[i], "", "\"invalid-argument\"");
	assert_false(term_size(rig->term, &columns, &rows));
	assert_reply(fd, "console-size", "{\"viewer\":1,\"columns\":65535,\"rows\":1}", "",
		     "\"result\":{}");
	assert_true(term_size(rig->term, &columns, &rows));
	assert_int_equal(columns, 65535);
	assert_int_equal(rows, 1);
	close(viewer);
	close(fd);
}

static void test_too_many_viewers(void **state)
{
	int fds[33];

	for (unsigned i = 0; i < 32; i++)
		fds[i] = console_client("{\"read_only\":true}", "\"result\"");
	fds[32] = console_client("{}", "\"busy\"");
	for (unsigned i = 0; i < 33; i++)
		close(fds[i]);
	assert_echo();
}

// Flooded with output and silent, sending what is not read, random bytes: the others are
// served.
static void test_hostile_viewers(void **state)
{
	static char noise[256 * 1024];
	struct rig *rig = *state;
	int fds[16];

	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (char)(i * 2654435761u >> 13);
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = console_client("{}", "\"result\"");
		assert_true(send(fds[i], noise, sizeof(noise), MSG_DONTWAIT) > 0);
		if (i % 4 == 0)
			close(fds[i]);
	}
	for (unsigned i = 0; i < 64; i++) {
		// The VM does not wait.
		assert_int_equal(term_write(rig->term, (uint8_t *)noise, sizeof(noise)),
				 sizeof(noise));
		if (i % 8 == 0)
			assert_echo();
	}
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
		if (i % 4)
			close(fds[i]);
	assert_echo();
}

static bool was_kept(struct rig *rig)
{
	for (unsigned i = 0; i < WAIT_MS && !atomic_load(&rig->handled); i++)
		poll(NULL, 0, 1);
	return atomic_load(&rig->handled);
}

static void test_late_answer(void **state)
{
	struct rig *rig = *state;
	int fd = raw_client();

	raw_send(fd, "{\"id\":1,\"command\":\"keep\"}\n", 26);
	assert_true(was_kept(rig));
	close(fd);
	assert_echo();
	control_reply(rig->kept, NULL); // nobody is there to hear it
	assert_echo();
}

// What the main loop had no time for, and what is still in a buffer.
static void test_end(void **state)
{
	struct rig *rig = *state;
	int fd = raw_client();
	char line[4096];

	raw_line(fd, line, sizeof(line));
	raw_send(fd, "{\"id\":1,\"command\":\"keep\"}\n", 26);
	assert_true(was_kept(rig));
	loop_stop_thread(&rig->loop);
	raw_send(fd, "{\"id\":2,\"command\":\"echo\"}\n", 26);
	control_fail(rig->kept, "ended", "the end");
	control_free(rig->control);
	rig->control = NULL;
	raw_line(fd, line, sizeof(line));
	assert_non_null(strstr(line, "\"ended\""));
	close(fd);
}

static int make_directory(void **state)
{
	struct rlimit files = { .rlim_cur = 4096, .rlim_max = 4096 };

	setrlimit(RLIMIT_NOFILE, &files);
	return !mkdtemp(directory) || setenv("KVIK_RUNTIME_DIR", directory, 1);
}

static int remove_directory(void **state)
{
	return rmdir(directory);
}

#define control_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		control_test(test_request_and_answer),
		control_test(test_ids_come_back),
		control_test(test_refusals),
		control_test(test_events_reach_subscribers_only),
		control_test(test_answer_after_half_close),
		control_test(test_several_requests_at_once),
		control_test(test_nonsense),
		control_test(test_deep_nesting),
		control_test(test_long_line),
		control_test(test_silent_clients),
		control_test(test_client_that_does_not_read),
		control_test(test_clients_that_leave),
		control_test(test_request_of_a_client_that_leaves_at_once),
		control_test(test_host_without_descriptors),
		control_test(test_connection_becomes_the_console),
		control_test(test_console_refusals),
		control_test(test_size_of_a_viewer),
		control_test(test_too_many_viewers),
		control_test(test_hostile_viewers),
		control_test(test_late_answer),
		control_test(test_end),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
