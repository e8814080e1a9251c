// SPDX-License-Identifier: GPL-2.0-or-later
// The control socket's server: who may connect, calls to the main loop, and answers and
// events from there.

#include "control-priv.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FLUSH_NS (200 * NSEC_PER_MSEC)    // for what is unsent at the end
#define RELISTEN_NS (100 * NSEC_PER_MSEC) // after there were no descriptors left

// From any thread to the server's.
struct message {
	struct message *next;
	uint64_t client; // 0: to all who subscribed
	char *line;
};

// -- calls --

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

bool control_start_call(struct control *control, uint64_t client, json_t *request)
{
	struct control_call *call = calloc(1, sizeof(*call));

	if (!call) {
		json_decref(request);
		return false;
	}
	call->post.call = hand_over;
	call->control = control;
	call->client = client;
	call->request = request;
	call->command = json_string_value(json_object_get(request, "command"));
	call->arguments = json_object_get(request, "arguments");
	add_call(control, call);
	loop_post(control->host.main_loop, &call->post);
	return true;
}

json_t *control_error(const char *code, const char *message)
{
	return json_pack("{s:s, s:s}", "code", code, "message", message);
}

// -- new clients --

static bool may_connect(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
	       (peer.uid == geteuid() || peer.uid == 0);
}

static void listen_again(struct loop_timer *timer)
{
	struct control *control = container_of(timer, struct control, relisten);

	loop_modify_fd(&control->loop, &control->listener, EPOLLIN);
}

// No descriptor is left: whoever is silent gives his up, or others may in a while. The
// listener stays readable until then.
static void rest_listener(struct control *control)
{
	if (session_make_room(control, true))
		return;
	loop_modify_fd(&control->loop, &control->listener, 0);
	loop_arm_timer(&control->loop, &control->relisten, clock_monotonic_ns() + RELISTEN_NS);
}

static void listener_ready(struct loop_fd *event, uint32_t epoll_events)
{
	struct control *control = container_of(event, struct control, listener);
	int fd = accept4(event->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			rest_listener(control);
		session_free_dropped(control);
		return;
	}
	if (!may_connect(fd)) {
		warn_ratelimited(&control->limit, "control socket: refused another user's client");
		close(fd);
		return;
	}
	session_make_room(control, false);
	session_begin(control, fd);
	session_free_dropped(control);
}

// -- from other threads --

static void deliver_answer(struct control *control, const struct message *message)
{
	struct client *client = session_find(control, message->client);

	if (!client)
		return;
	client->calls--;
	if (session_send(client, message->line) && session_take_lines(client))
		session_flush(client);
}

static void deliver_event(struct control *control, const struct message *message)
{
	struct client *next;

	for (struct client *client = control->clients; client; client = next) {
		next = client->next;
		if (client->subscribed && session_send(client, message->line))
			session_flush(client);
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
	session_free_dropped(control);
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
			       control_error(code, message)));
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
	viewers_init(&control->viewers, &control->loop, control->host.term);
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
	new->relisten.expired = listen_again;
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
			session_flush(client);
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
	viewers_exit(&control->viewers);
	while (control->clients)
		session_drop(control->clients);
	session_free_dropped(control);
	close(control->listener.fd);
	loop_exit(&control->loop);
	pthread_mutex_destroy(&control->lock);
	free(control);
}
