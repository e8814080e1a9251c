// SPDX-License-Identifier: GPL-2.0-or-later
// The client's end of a control socket: one line out, lines in until the answer.

#include "control-client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control.h"
#include "instance.h"
#include "log.h"
#include "loop.h"

#define READ_BYTES 4096
#define ANSWER_MAX (4 * MIB)
#define GREETING_MS 5000

// -- lines --

static int64_t now_ms(void)
{
	return (int64_t)(clock_monotonic_ns() / NSEC_PER_MSEC);
}

static int wait_readable(const struct control_client *client, int64_t deadline_ms)
{
	struct pollfd pollfd = { .fd = client->fd, .events = POLLIN };
	int64_t left_ms = deadline_ms < 0 ? -1 : MAX(deadline_ms - now_ms(), (int64_t)0);
	int got = poll(&pollfd, 1, (int)left_ms);

	if (got == 0)
		return fail_msg(ETIMEDOUT, "VM %s: does not answer", client->vm_name);
	if (got < 0 && errno != EINTR)
		return fail(errno, "VM %s: wait for its answer", client->vm_name);
	return 0;
}

static int read_more(struct control_client *client, int64_t deadline_ms)
{
	int err = wait_readable(client, deadline_ms);
	char *input;
	ssize_t got;

	if (err)
		return err;
	if (client->input_bytes > ANSWER_MAX)
		return fail_msg(EPROTO, "VM %s: sends a line without an end", client->vm_name);
	input = realloc(client->input, client->input_bytes + READ_BYTES);
	if (!input)
		return fail(ENOMEM, "VM %s: its answer", client->vm_name);
	client->input = input;
	got = recv(client->fd, input + client->input_bytes, READ_BYTES, MSG_DONTWAIT);
	if (got == 0 || (got < 0 && errno == ECONNRESET))
		return -EPIPE;
	if (got < 0 && errno != EAGAIN && errno != EINTR)
		return fail(errno, "VM %s: read its answer", client->vm_name);
	client->input_bytes += (size_t)MAX(got, (ssize_t)0);
	return 0;
}

static int take_line(struct control_client *client, size_t len, json_t **object)
{
	json_error_t error;

	*object = json_loadb(client->input, len, 0, &error);
	client->input_bytes -= len + 1;
	memmove(client->input, client->input + len + 1, client->input_bytes);
	if (!json_is_object(*object)) {
		json_decref(*object);
		return fail_msg(EPROTO, "VM %s: sends what is not JSON: %s", client->vm_name,
				error.text);
	}
	return 0;
}

static int next_until(struct control_client *client, int64_t deadline_ms, json_t **object)
{
	for (;;) {
		char *end = client->input_bytes ? memchr(client->input, '\n', client->input_bytes) :
						  NULL;
		int err;

		if (end)
			return take_line(client, (size_t)(end - client->input), object);
		err = read_more(client, deadline_ms);
		if (err)
			return err;
	}
}

bool control_pending(const struct control_client *client)
{
	return client->input_bytes && memchr(client->input, '\n', client->input_bytes);
}

static int64_t deadline_of(int timeout_ms)
{
	return timeout_ms < 0 ? -1 : now_ms() + timeout_ms;
}

int control_next(struct control_client *client, int timeout_ms, json_t **object)
{
	return next_until(client, deadline_of(timeout_ms), object);
}

// -- requests --

static int send_request(struct control_client *client, json_t *request)
{
	char *line = json_dumps(request, JSON_COMPACT);
	size_t left, len = line ? strlen(line) : 0;
	const char *at = line;
	int err = 0;

	if (!line)
		return fail(ENOMEM, "VM %s: a request", client->vm_name);
	line[len] = '\n'; // in place of the NUL
	for (left = len + 1; left && !err;) {
		ssize_t sent = send(client->fd, at, left, MSG_NOSIGNAL);

		if (sent < 0 && errno != EINTR)
			err = errno == EPIPE ? -EPIPE : fail(errno, "VM %s: send", client->vm_name);
		at += MAX(sent, (ssize_t)0);
		left -= (size_t)MAX(sent, (ssize_t)0);
	}
	free(line);
	return err;
}

static bool answers(const json_t *object, unsigned id)
{
	json_t *its_id = json_object_get(object, "id");

	return json_is_integer(its_id) && json_integer_value(its_id) == id;
}

static int refusal(const struct control_client *client, const json_t *error)
{
	const char *message = json_string_value(json_object_get(error, "message"));

	return fail_msg(EREMOTEIO, "VM %s: %s", client->vm_name,
			message ? message : "refused without a reason");
}

static int wait_for_answer(struct control_client *client, int64_t deadline_ms, json_t **result)
{
	json_t *object = NULL;
	int err = 0;

	do {
		json_decref(object);
		object = NULL;
		err = next_until(client, deadline_ms, &object);
	} while (!err && !answers(object, client->last_id));
	if (err)
		return err;
	*result = json_incref(json_object_get(object, "result"));
	if (!*result)
		err = refusal(client, json_object_get(object, "error"));
	json_decref(object);
	return err;
}

// -EPIPE so far has no message.
static int tell_end(const struct control_client *client, int err)
{
	return err == -EPIPE ? fail_msg(EPIPE, "VM %s: has ended", client->vm_name) : err;
}

int control_send(struct control_client *client, const char *command, json_t *arguments)
{
	json_t *request = json_pack("{s:i, s:s, s:o}", "id", (int)++client->last_id, "command",
				    command, "arguments", arguments ? arguments : json_object());
	int err = send_request(client, request);

	json_decref(request);
	return tell_end(client, err);
}

int control_answer(struct control_client *client, int timeout_ms, json_t **result)
{
	return tell_end(client, wait_for_answer(client, deadline_of(timeout_ms), result));
}

int control_ask(struct control_client *client, const char *command, json_t *arguments,
		int timeout_ms, json_t **result)
{
	int err = control_send(client, command, arguments);

	return err ? err : control_answer(client, timeout_ms, result);
}

// -- life --

static int check_greeting(const struct control_client *client, const json_t *greeting)
{
	json_t *protocol = json_object_get(json_object_get(greeting, "kvik"), "protocol");

	if (json_integer_value(protocol) == CONTROL_PROTOCOL)
		return 0;
	return fail_msg(EPROTO,
			"VM %s: was started by another version of kvik, which speaks "
			"protocol %lld and not %d; use that version's commands",
			client->vm_name, (long long)json_integer_value(protocol), CONTROL_PROTOCOL);
}

// Who listens at the other end of @fd.
static int open_peer(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len))
		return -1;
	return pidfd_open(peer.pid, 0);
}

int control_wait_gone(const struct control_client *client, int timeout_ms)
{
	struct pollfd process = { .fd = client->process_fd, .events = POLLIN };
	int got;

	if (client->process_fd < 0)
		return 0;
	do
		got = poll(&process, 1, timeout_ms);
	while (got < 0 && errno == EINTR);
	if (got > 0)
		return 0;
	return fail_msg(ETIMEDOUT, "VM %s: has stopped, but its process is still there",
			client->vm_name);
}

int control_connect(struct control_client *client, const char *name)
{
	json_t *greeting;
	int err;

	*client = (struct control_client){ .vm_name = name };
	client->fd = instance_connect(name);
	if (client->fd < 0)
		return client->fd;
	client->process_fd = open_peer(client->fd);
	err = control_next(client, GREETING_MS, &greeting);
	if (!err) {
		err = check_greeting(client, greeting);
		json_decref(greeting);
	}
	if (!err)
		return 0;
	control_disconnect(client);
	return err == -EPIPE ? -ENOENT : err;
}

void control_disconnect(struct control_client *client)
{
	close(client->fd);
	if (client->process_fd >= 0)
		close(client->process_fd);
	free(client->input);
}
