// SPDX-License-Identifier: GPL-2.0-or-later
// One client of the control socket's server: its lines, and what is sent to it.
//
// A client is a small state machine on the server's loop. What it has not ended with a
// newline is kept, up to CONTROL_LINE_MAX bytes; what it does not read is kept, too, up
// to OUTPUT_MAX bytes: beyond either it is dropped. With CALLS_MAX requests unanswered
// it is not read any more until one was. Of silent clients at most CLIENTS_MAX stay for
// longer than PATIENCE_NS, and CLIENTS_LIMIT at all; the one that has been silent for longest
// makes room. Whoever asks at once is heard, however many come with it.

#include "control-priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "version.h"

#define CLIENTS_MAX 64
#define CLIENTS_LIMIT 512
#define PATIENCE_NS (1000 * NSEC_PER_MSEC)
#define CALLS_MAX 8
#define OUTPUT_MAX (1 * MIB)
#define READ_BYTES 4096
#define SIZE_LIMIT UINT16_MAX // columns and rows: what a terminal has

// -- clients --

static struct client **find_link(struct control *control, const struct client *client)
{
	struct client **link = &control->clients;

	while (*link != client)
		link = &(*link)->next;
	return link;
}

struct client *session_find(struct control *control, uint64_t id)
{
	struct client *client = control->clients;

	while (client && client->id != id)
		client = client->next;
	return client;
}

// Its connection is the caller's.
static int release_client(struct client *client)
{
	struct control *control = client->control;

	*find_link(control, client) = client->next;
	control->client_count--;
	loop_remove_fd(&control->loop, &client->event);
	client->next = control->dropped;
	control->dropped = client;
	return client->event.fd;
}

void session_drop(struct client *client)
{
	close(release_client(client));
}

void session_free_dropped(struct control *control)
{
	while (control->dropped) {
		struct client *client = control->dropped;

		control->dropped = client->next;
		free(client->input);
		free(client->output);
		free(client);
	}
}

static void move_to_front(struct client *client)
{
	struct control *control = client->control;

	client->spoke_ns = clock_monotonic_ns();
	*find_link(control, client) = client->next;
	client->next = control->clients;
	control->clients = client;
}

static bool is_silent(const struct client *client)
{
	return !client->calls && !client->subscribed;
}

static struct client *longest_silent(struct control *control)
{
	struct client *longest = NULL;

	for (struct client *client = control->clients; client; client = client->next)
		if (is_silent(client))
			longest = client;
	return longest;
}

static bool is_crowded(const struct control *control, const struct client *longest)
{
	return control->client_count >= CLIENTS_LIMIT ||
	       (control->client_count >= CLIENTS_MAX &&
		clock_monotonic_ns() - longest->spoke_ns >= PATIENCE_NS);
}

bool session_make_room(struct control *control, bool is_full)
{
	struct client *longest = longest_silent(control);

	if (!longest || (!is_full && !is_crowded(control, longest)))
		return false;
	session_drop(longest);
	return true;
}

// -- sending --

static void watch(struct client *client)
{
	uint32_t wanted = (client->output_bytes ? EPOLLOUT : 0) |
			  (client->calls < CALLS_MAX && !client->closing ? EPOLLIN : 0);

	if (wanted != client->watched)
		loop_modify_fd(&client->control->loop, &client->event, wanted);
	client->watched = wanted;
}

bool session_flush(struct client *client)
{
	ssize_t sent = 0;

	if (client->output_bytes)
		sent = send(client->event.fd, client->output, client->output_bytes, MSG_NOSIGNAL);
	if (sent < 0 && errno != EAGAIN && errno != EINTR) {
		client->deaf = true;
		client->output_bytes = 0;
	}
	if (sent > 0) {
		client->output_bytes -= (size_t)sent;
		memmove(client->output, client->output + sent, client->output_bytes);
	}
	if (client->closing && !client->output_bytes && !client->calls) {
		session_drop(client);
		return false;
	}
	watch(client);
	return true;
}

bool session_send(struct client *client, const char *line)
{
	size_t len = strlen(line);
	char *output;

	if (client->deaf)
		return true;
	if (client->output_bytes + len + 1 > OUTPUT_MAX) {
		session_drop(client);
		return false;
	}
	output = realloc(client->output, client->output_bytes + len + 1);
	if (!output) {
		session_drop(client);
		return false;
	}
	memcpy(output + client->output_bytes, line, len + 1);
	output[client->output_bytes + len] = '\n'; // in place of the NUL
	client->output = output;
	client->output_bytes += len + 1;
	return true;
}

// @message is taken over.
static bool send_json(struct client *client, json_t *message)
{
	char *line = message ? json_dumps(message, JSON_COMPACT) : NULL;
	bool sent = true;

	json_decref(message);
	if (line)
		sent = session_send(client, line);
	free(line);
	return sent;
}

static bool send_error(struct client *client, json_t *id, const char *code, const char *message)
{
	return send_json(client,
			 json_pack("{s:O?, s:o}", "id", id, "error", control_error(code, message)));
}

// -- requests --

// Takes @request over.
static bool start_call(struct client *client, json_t *request)
{
	if (!control_start_call(client->control, client->id, request))
		return send_error(client, NULL, "no-memory", "the VM's host has no memory left");
	client->calls++;
	return true;
}

static bool send_done(struct client *client, json_t *request)
{
	return send_json(client,
			 json_pack("{s:O?, s:{}}", "id", json_object_get(request, "id"), "result"));
}

static bool subscribe(struct client *client, json_t *request)
{
	client->subscribed = true;
	return send_done(client, request);
}

// What is wrong with @request, or NULL.
static const char *check_request(const json_t *request)
{
	json_t *id = json_object_get(request, "id");
	json_t *arguments = json_object_get(request, "arguments");

	if (!json_is_string(json_object_get(request, "command")))
		return "a request is an object with a \"command\" that is a string";
	if (arguments && !json_is_object(arguments))
		return "\"arguments\" is not an object";
	if (json_is_object(id) || json_is_array(id))
		return "\"id\" is not a number or a string";
	return NULL;
}

// -- the console: the connection turns into it --

static bool unpack_wish(json_t *arguments, struct viewer_wish *wish)
{
	int history = true, read_only = false;

	if (json_unpack(arguments, "{s?b, s?b !}", "history", &history, "read_only", &read_only))
		return false;
	wish->history = history;
	wish->read_only = read_only;
	return true;
}

// Why there is nothing to view; NULL: there is, and room for one more.
static const char *cannot_view(const struct client *client)
{
	struct viewers *viewers = &client->control->viewers;

	if (!viewers->term)
		return "it has no console";
	if (client->subscribed || client->calls)
		return "events or answers are to come on this connection; use another one";
	return viewers_make_room(viewers) ? NULL : "too many watch its console";
}

// What came behind @rest, the end of the request's line, is typed.
static bool view_console(struct client *client, json_t *request, const char *rest)
{
	struct viewer_wish wish = { .id = client->id, .typed = rest };
	json_t *id = json_object_get(request, "id");
	const char *problem;
	int fd;

	if (!unpack_wish(json_object_get(request, "arguments"), &wish))
		return send_error(client, id, "invalid-argument",
				  "the arguments are history and read_only, both boolean");
	problem = cannot_view(client);
	if (problem)
		return send_error(client, id, "busy", problem);
	if (!send_json(client, json_pack("{s:O?, s:{s:I}}", "id", id, "result", "viewer",
					 (json_int_t)client->id)) ||
	    !session_flush(client))
		return false;
	if (client->output_bytes) { // the answer must be there before the console's bytes
		session_drop(client);
		return false;
	}
	wish.typed_bytes = (size_t)(client->input + client->input_bytes - rest);
	fd = release_client(client);
	if (viewers_add(&client->control->viewers, fd, wish))
		warn("control socket: no memory for a viewer of the console");
	return false;
}

static bool is_size(json_int_t number)
{
	return number > 0 && number <= SIZE_LIMIT;
}

static bool resize_view(struct client *client, json_t *request)
{
	json_t *id = json_object_get(request, "id");
	json_int_t viewer, columns, rows;

	if (json_unpack(json_object_get(request, "arguments"), "{s:I, s:I, s:I !}", "viewer",
			&viewer, "columns", &columns, "rows", &rows) ||
	    !is_size(columns) || !is_size(rows))
		return send_error(client, id, "invalid-argument",
				  "the arguments are viewer, columns and rows: a number that "
				  "\"console\" gave, and two from 1 to 65535");
	if (viewers_resize(&client->control->viewers, (uint64_t)viewer, (unsigned)columns,
			   (unsigned)rows))
		return send_error(client, id, "invalid-argument", "there is no such viewer");
	return send_done(client, request);
}

// -- lines --

// Takes @request over. Returns false when the client is gone.
static bool take_request(struct client *client, json_t *request, const char *rest)
{
	const char *command = json_string_value(json_object_get(request, "command"));
	bool alive;

	if (!json_object_get(request, "arguments"))
		json_object_set_new(request, "arguments", json_object());
	if (strcmp(command, "console") == 0)
		alive = view_console(client, request, rest);
	else if (strcmp(command, "console-size") == 0)
		alive = resize_view(client, request);
	else if (strcmp(command, "subscribe") == 0)
		alive = subscribe(client, request);
	else
		return start_call(client, request);
	json_decref(request);
	return alive;
}

// The same.
static bool handle_line(struct client *client, const char *line, size_t len)
{
	json_error_t error;
	json_t *request = json_loadb(line, len, JSON_REJECT_DUPLICATES, &error);
	const char *problem = request ? check_request(request) : error.text;
	bool alive;

	move_to_front(client);
	if (!problem)
		return take_request(client, request, line + len + 1);
	alive = send_error(client, json_object_get(request, "id"), "bad-request", problem);
	json_decref(request);
	return alive;
}

static void remove_input(struct client *client, size_t len)
{
	client->input_bytes -= len;
	memmove(client->input, client->input + len, client->input_bytes);
}

bool session_take_lines(struct client *client)
{
	while (client->calls < CALLS_MAX && client->input_bytes) {
		char *end = memchr(client->input, '\n', client->input_bytes);
		size_t len;

		if (!end)
			break;
		len = (size_t)(end - client->input);
		if (len && !handle_line(client, client->input, len))
			return false;
		remove_input(client, len + 1);
	}
	return true;
}

static bool line_is_too_long(const struct client *client)
{
	return client->input_bytes >= CONTROL_LINE_MAX &&
	       !memchr(client->input, '\n', client->input_bytes);
}

// Returns false when the client is gone.
static bool receive(struct client *client)
{
	char *input = realloc(client->input, client->input_bytes + READ_BYTES);
	ssize_t got;

	if (!input) {
		session_drop(client);
		return false;
	}
	client->input = input;
	got = recv(client->event.fd, input + client->input_bytes, READ_BYTES, 0);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (got < 0) {
		session_drop(client);
		return false;
	}
	client->closing = !got; // it may have shut down its side only
	client->input_bytes += (size_t)got;
	if (!session_take_lines(client))
		return false;
	if (line_is_too_long(client)) {
		client->closing = true;
		client->input_bytes = 0;
		return send_error(client, NULL, "bad-request", "the line is longer than 64 KiB");
	}
	return true;
}

// Of one that has gone, what it has asked for is done nevertheless.
static void client_ready(struct loop_fd *event, uint32_t epoll_events)
{
	struct client *client = container_of(event, struct client, event);
	struct control *control = client->control;
	bool gone = epoll_events & (EPOLLERR | EPOLLHUP), readable = epoll_events & EPOLLIN;

	if (!readable || receive(client)) {
		if (gone && (!readable || client->closing))
			session_drop(client);
		else
			session_flush(client);
	}
	session_free_dropped(control);
}

// -- new clients --

static bool greet(struct client *client)
{
	return send_json(client, json_pack("{s:{s:s, s:i, s:s}}", "kvik", "version", KVIK_VERSION,
					   "protocol", CONTROL_PROTOCOL, "name",
					   client->control->host.vm_name));
}

void session_begin(struct control *control, int fd)
{
	struct client *client = calloc(1, sizeof(*client));

	if (!client) {
		close(fd);
		return;
	}
	client->event = (struct loop_fd){ .fd = fd, .ready = client_ready };
	client->control = control;
	client->id = ++control->last_client;
	client->spoke_ns = clock_monotonic_ns();
	client->watched = EPOLLIN;
	if (loop_add_fd(&control->loop, &client->event, EPOLLIN)) {
		close(fd);
		free(client);
		return;
	}
	client->next = control->clients;
	control->clients = client;
	control->client_count++;
	if (greet(client))
		session_flush(client);
}
