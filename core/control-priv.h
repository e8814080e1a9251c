// SPDX-License-Identifier: GPL-2.0-or-later
// The two halves of the control socket's server: control.c is the server, control-session.c
// one client of it. All of this is the server's thread's, or its who has ended that.
#ifndef KVIK_CONTROL_PRIV_H
#define KVIK_CONTROL_PRIV_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control.h"
#include "log.h"
#include "loop.h"
#include "viewers.h"

struct client {
	struct loop_fd event;
	struct control *control;
	uint64_t id;
	uint64_t spoke_ns; // when it did last, or came
	bool subscribed;
	bool closing; // gets what it was promised, then is closed
	bool deaf;    // reads no more: nothing is sent, but what it has asked for is done
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
	struct loop_timer relisten; // when the host has descriptors again, perhaps
	struct control_host host;
	struct viewers viewers;
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

// Serves the connection @fd, and takes it over, also where it cannot.
void session_begin(struct control *control, int fd);
struct client *session_find(struct control *control, uint64_t id); // NULL: it has left
void session_drop(struct client *client);
void session_free_dropped(struct control *control); // at the end of each callback
// Drops the client that has been silent for longest, if there are too many or @is_full: this
// process can have no more files. False: nothing was to be dropped.
bool session_make_room(struct control *control, bool is_full);

// These return false when the client is gone.
// Queues @line and its newline.
bool session_send(struct client *client, const char *line);
bool session_flush(struct client *client);
// Takes the complete lines, as far as it may have requests under way.
bool session_take_lines(struct client *client);

// Hands a request, with "command" and "arguments", to the main loop, which gets the object
// for itself: jansson's are not to be shared. False: no memory.
bool control_start_call(struct control *control, uint64_t client, json_t *request);
// {"code":...,"message":...}
json_t *control_error(const char *code, const char *message);

#endif
