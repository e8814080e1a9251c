// SPDX-License-Identifier: GPL-2.0-or-later
// The control socket's server: JSON requests, replies and events, one object a line.
//
// docs/control.md describes the protocol. The server has a thread of its own, so that
// no client can hold up the VM or another client: what a client sends is read, checked
// and bounded there. Requests for the VM are then posted to the main loop, one call
// each; its answer goes back the same way, whether the client is still there or not.
#ifndef KVIK_CONTROL_H
#define KVIK_CONTROL_H

#include <jansson.h>

#include "loop.h"
#include "util.h"

#define CONTROL_PROTOCOL 1 // version, told in the greeting
#define CONTROL_LINE_MAX (64 * KIB)

struct control;
struct term;

// A request that waits for its answer. The handler owns it until it has answered by
// control_reply() or control_fail(), which may be later; each call is answered once.
struct control_call {
	struct loop_post post; // the server's own, as what follows
	struct control *control;
	uint64_t client;
	json_t *request;
	struct control_call *next;
	// For the handler.
	const char *command;
	json_t *arguments; // an object, perhaps an empty one
	struct control_call *next_waiting;
};

struct control_host {
	const char *vm_name; // outlives the server
	struct loop *main_loop;
	struct term *term; // outlives it, too
	// Runs on the main loop.
	void (*handle)(void *opaque, struct control_call *call);
	void *opaque;
};

// Serves @listen_fd, which it takes over (also on failure). Returns 0 or -errno after a
// message. Main thread.
int control_create(struct control **control, int listen_fd, struct control_host host) MUST_CHECK;
// Every call was answered. Gives what is still to be sent a moment to leave. Main thread.
void control_free(struct control *control);

// Answers a call. @result is taken over; NULL stands for an empty object. Any thread.
void control_reply(struct control_call *call, json_t *result);
// @code is one of docs/control.md's: "invalid-argument".
void control_fail(struct control_call *call, const char *code, const char *fmt, ...)
	PRINTF_LIKE(3, 4);

// Tells all who subscribed. @data, an object or NULL, is taken over. Any thread.
void control_event(struct control *control, const char *event, json_t *data);

#endif
