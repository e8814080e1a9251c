// SPDX-License-Identifier: GPL-2.0-or-later
// The control socket's server: clients, their lines, and what is sent to them.
//
// A client is a small state machine on the server's loop. What it has not ended with a
// newline is kept, up to CONTROL_LINE_MAX bytes; what it does not read is kept, too, up
// to OUTPUT_MAX bytes: beyond either it is dropped. With CALLS_MAX requests unanswered
// it is not read any more until one was. Of silent clients at most CLIENTS_MAX stay for
// longer than PATIENCE_NS, and CLIENTS_LIMIT at all; the one that has been silent for longest
// makes room. Whoever asks at once is heard, however many come with it.

#include "control.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "version.h"

#define CLIENTS_MAX 64
#define CLIENTS_LIMIT 512
#define PATIENCE_NS (1000 * 1000000ULL)
#define CALLS_MAX 8
#define OUTPUT_MAX (1 * MIB)
#define READ_BYTES 4096
#define FLUSH_NS (200 * NSEC_PER_MSEC) // for what is unsent at the end

struct client {
	struct loop_fd event;
	struct control *control;
	uint64_t id;
	uint64_t spoke_ns; // when it did last, or came
	bool subscribed;
	bool closing; // gets what it was promised, then is closed
	unsigned calls;
	uint32_t watched; // epoll events
	char *input;
	size_t input_bytes;
	char *output;
	size_t output_bytes;
	struct client *next; // the one that spoke last comes first
};

struct control {
	struct loop loop;
	struct loop_fd listener;
	struct control_host host;
	struct client *clients;
	struct client *dropped; // to be freed when no callback holds one any more
	unsigned client_count;
	uint64_t last_client;
	struct log_ratelimit limit;
	pthread_mutex_t lock;       // guards the rest
	struct control_call *calls; // not yet answered
	struct message *messages, **messages_end;
	struct loop_post outbox;
};

// From any thread to the server's.
struct message {
	struct message *next;
	uint64_t client; // 0: to all who subscribed
	char *line;
};

static void client_ready(struct loop_fd *event, uint32_t epoll_events);

// -- clients --

static struct client **find_link(struct control *control, const struct client *client)
{
	struct client **link = &control->clients;

	while (*link != client)
		link = &(*link)->next;
	return link;
}

static struct client *find_client(struct control *control, uint64_t id)
{
	struct client *client = control->clients;

	while (client && client->id != id)
		client = client->next;
	return client;
}

static void drop_client(struct client *client)
{
	struct control *control = client->control;

	*find_link(control, client) = client->next;
	control->client_count--;
	loop_remove_fd(&control->loop, &client->event);
	close(client->event.fd);
	client->next = control->dropped;
	control->dropped = client;
}

// At the end of each callback.
static void free_dropped(struct control *control)
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

// @is_full: this process can have no more files.
static void make_room(struct control *control, bool is_full)
{
	struct client *longest = longest_silent(control);

	if (longest && (is_full || is_crowded(control, longest)))
		drop_client(longest);
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

// Returns false when the client is gone.
static bool flush_client(struct client *client)
{
	ssize_t sent = 0;

	if (client->output_bytes)
		sent = send(client->event.fd, client->output, client->output_bytes, MSG_NOSIGNAL);
	if (sent < 0 && errno != EAGAIN && errno != EINTR) {
		drop_client(client);
		return false;
	}
	if (sent > 0) {
		client->output_bytes -= (size_t)sent;
		memmove(client->output, client->output + sent, client->output_bytes);
	}
	if (client->closing && !client->output_bytes && !client->calls) {
		drop_client(client);
		return false;
	}
	watch(client);
	return true;
}

// Queues @line and its newline. False: the client does not read, and is gone.
static bool send_line(struct client *client, const char *line)
{
	size_t len = strlen(line);
	char *output;

	if (client->output_bytes + len + 1 > OUTPUT_MAX) {
		drop_client(client);
		return false;
	}
	output = realloc(client->output, client->output_bytes + len + 1);
	if (!output) {
		drop_client(client);
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
		sent = send_line(client, line);
	free(line);
	return sent;
}

static json_t *error_object(const char *code, const char *message)
{
	return json_pack("{s:s, s:s}", "code", code, "message", message);
}

static bool send_error(struct client *client, json_t *id, const char *code, const char *message)
{
	return send_json(client,
			 json_pack("{s:O?, s:o}", "id", id, "error", error_object(code, message)));
}

// -- requests --

static void add_call(struct control *control, struct control_call *call)
{
	pthread_mutex_lock(&control->lock);
	call->next = control->calls;
	control->calls = call;
	pthread_mutex_unlock(&control->lock);
}

static void destroy_call(struct control_call *call)
{
	json_decref(call->request);
	free(call);
}

// Any thread.
static void free_call(struct control_call *call)
{
	struct control *control = call->control;
	struct control_call **link = &control->calls;

	pthread_mutex_lock(&control->lock);
	while (*link != call)
		link = &(*link)->next;
	*link = call->next;
	pthread_mutex_unlock(&control->lock);
	destroy_call(call);
}

static void hand_over(struct loop_post *post)
{
	struct control_call *call = container_of(post, struct control_call, post);
	const struct control_host *host = &call->control->host;

	host->handle(host->opaque, call);
}

// Takes @request over, for the main thread: jansson's objects are not to be shared.
static bool start_call(struct client *client, json_t *request)
{
	struct control_call *call = calloc(1, sizeof(*call));

	if (!call) {
		json_decref(request);
		return send_error(client, NULL, "no-memory", "the VM's host has no memory left");
	}
	if (!json_object_get(request, "arguments"))
		json_object_set_new(request, "arguments", json_object());
	call->post.call = hand_over;
	call->control = client->control;
	call->client = client->id;
	call->request = request;
	call->command = json_string_value(json_object_get(request, "command"));
	call->arguments = json_object_get(request, "arguments");
	client->calls++;
	add_call(client->control, call);
	loop_post(client->control->host.main_loop, &call->post);
	return true;
}

static bool subscribe(struct client *client, json_t *request)
{
	client->subscribed = true;
	return send_json(client,
			 json_pack("{s:O?, s:{}}", "id", json_object_get(request, "id"), "result"));
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

static bool is_subscription(const json_t *request)
{
	return strcmp(json_string_value(json_object_get(request, "command")), "subscribe") == 0;
}

// Returns false when the client is gone.
static bool handle_line(struct client *client, const char *line, size_t len)
{
	json_error_t error;
	json_t *request = json_loadb(line, len, JSON_REJECT_DUPLICATES, &error);
	const char *problem = request ? check_request(request) : error.text;
	bool alive;

	move_to_front(client);
	if (!problem && !is_subscription(request))
		return start_call(client, request);
	if (problem)
		alive = send_error(client, json_object_get(request, "id"), "bad-request", problem);
	else
		alive = subscribe(client, request);
	json_decref(request);
	return alive;
}

static void remove_input(struct client *client, size_t len)
{
	client->input_bytes -= len;
	memmove(client->input, client->input + len, client->input_bytes);
}

// Takes the complete lines. False: the client is gone.
static bool take_lines(struct client *client)
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
		drop_client(client);
		return false;
	}
	client->input = input;
	got = recv(client->event.fd, input + client->input_bytes, READ_BYTES, 0);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (got < 0) {
		drop_client(client);
		return false;
	}
	client->closing = !got; // it may have shut down its side only
	client->input_bytes += (size_t)got;
	if (!take_lines(client))
		return false;
	if (line_is_too_long(client)) {
		client->closing = true;
		client->input_bytes = 0;
		return send_error(client, NULL, "bad-request", "the line is longer than 64 KiB");
	}
	return true;
}

static void client_ready(struct loop_fd *event, uint32_t epoll_events)
{
	struct client *client = container_of(event, struct client, event);
	struct control *control = client->control;

	if (epoll_events & (EPOLLERR | EPOLLHUP))
		drop_client(client);
	else if (!(epoll_events & EPOLLIN) || receive(client))
		flush_client(client);
	free_dropped(control);
}

// -- new clients --

static bool may_connect(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
	       (peer.uid == geteuid() || peer.uid == 0);
}

static bool greet(struct client *client)
{
	return send_json(client, json_pack("{s:{s:s, s:i, s:s}}", "kvik", "version", KVIK_VERSION,
					   "protocol", CONTROL_PROTOCOL, "name",
					   client->control->host.vm_name));
}

static void add_client(struct control *control, int fd)
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
		flush_client(client);
}

static void listener_ready(struct loop_fd *event, uint32_t epoll_events)
{
	struct control *control = container_of(event, struct control, listener);
	int fd = accept4(event->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE)
			make_room(control, true);
		free_dropped(control);
		return;
	}
	if (!may_connect(fd)) {
		warn_ratelimited(&control->limit, "control socket: refused another user's client");
		close(fd);
		return;
	}
	make_room(control, false);
	add_client(control, fd);
	free_dropped(control);
}

// -- from other threads --

static void deliver_answer(struct control *control, const struct message *message)
{
	struct client *client = find_client(control, message->client);

	if (!client)
		return;
	client->calls--;
	if (send_line(client, message->line) && take_lines(client))
		flush_client(client);
}

static void deliver_event(struct control *control, const struct message *message)
{
	struct client *next;

	for (struct client *client = control->clients; client; client = next) {
		next = client->next;
		if (client->subscribed && send_line(client, message->line))
			flush_client(client);
	}
}

static void empty_outbox(struct loop_post *post)
{
	struct control *control = container_of(post, struct control, outbox);
	struct message *message;

	pthread_mutex_lock(&control->lock);
	message = control->messages;
	control->messages = NULL;
	control->messages_end = &control->messages;
	pthread_mutex_unlock(&control->lock);
	while (message) {
		struct message *next = message->next;

		if (message->client)
			deliver_answer(control, message);
		else
			deliver_event(control, message);
		free(message->line);
		free(message);
		message = next;
	}
	free_dropped(control);
}

// @content is taken over.
static void post_message(struct control *control, uint64_t client, json_t *content)
{
	struct message *message = calloc(1, sizeof(*message));

	if (message)
		message->line = json_dumps(content, JSON_COMPACT);
	json_decref(content);
	if (!message || !message->line) {
		free(message);
		return;
	}
	message->client = client;
	pthread_mutex_lock(&control->lock);
	*control->messages_end = message;
	control->messages_end = &message->next;
	pthread_mutex_unlock(&control->lock);
	loop_post(&control->loop, &control->outbox);
}

void control_reply(struct control_call *call, json_t *result)
{
	post_message(call->control, call->client,
		     json_pack("{s:O?, s:o}", "id", json_object_get(call->request, "id"), "result",
			       result ? result : json_object()));
	free_call(call);
}

void control_fail(struct control_call *call, const char *code, const char *fmt, ...)
{
	char message[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	post_message(call->control, call->client,
		     json_pack("{s:O?, s:o}", "id", json_object_get(call->request, "id"), "error",
			       error_object(code, message)));
	free_call(call);
}

static double wall_clock_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void control_event(struct control *control, const char *event, json_t *data)
{
	post_message(control, 0,
		     json_pack("{s:s, s:f, s:o}", "event", event, "time", wall_clock_s(), "data",
			       data ? data : json_object()));
}

// -- life --

static int start_server(struct control *control)
{
	int err = loop_init(&control->loop);

	if (err)
		return err;
	err = loop_add_fd(&control->loop, &control->listener, EPOLLIN);
	if (!err)
		err = loop_start_thread(&control->loop, "control");
	if (err)
		loop_exit(&control->loop);
	return err;
}

int control_create(struct control **control, int listen_fd, struct control_host host)
{
	struct control *new = calloc(1, sizeof(*new));
	int err;

	if (!new) {
		close(listen_fd);
		return fail(ENOMEM, "control socket");
	}
	new->host = host;
	new->listener = (struct loop_fd){ .fd = listen_fd, .ready = listener_ready };
	new->outbox.call = empty_outbox;
	new->messages_end = &new->messages;
	pthread_mutex_init(&new->lock, NULL);
	err = start_server(new);
	if (err) {
		close(listen_fd);
		free(new);
		return err;
	}
	*control = new;
	return 0;
}

static bool has_output(const struct control *control)
{
	for (const struct client *client = control->clients; client; client = client->next)
		if (client->output_bytes)
			return true;
	return false;
}

// The thread has ended: what it did on its loop is done here now.
static void flush_all(struct control *control)
{
	uint64_t deadline_ns = clock_monotonic_ns() + FLUSH_NS;
	struct timespec pause = { .tv_nsec = NSEC_PER_MSEC };

	empty_outbox(&control->outbox);
	while (has_output(control) && clock_monotonic_ns() < deadline_ns) {
		struct client *next;

		nanosleep(&pause, NULL);
		for (struct client *client = control->clients; client; client = next) {
			next = client->next;
			flush_client(client);
		}
	}
}

// Those that the main loop did not come to.
static void drop_calls(struct control *control)
{
	struct control_call *next;

	for (struct control_call *call = control->calls; call; call = next) {
		next = call->next;
		loop_cancel_post(control->host.main_loop, &call->post);
		destroy_call(call);
	}
	control->calls = NULL;
}

void control_free(struct control *control)
{
	loop_stop_thread(&control->loop);
	loop_remove_fd(&control->loop, &control->listener);
	drop_calls(control);
	flush_all(control);
	while (control->clients)
		drop_client(control->clients);
	free_dropped(control);
	close(control->listener.fd);
	loop_exit(&control->loop);
	pthread_mutex_destroy(&control->lock);
	free(control);
}
