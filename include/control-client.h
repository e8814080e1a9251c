// SPDX-License-Identifier: GPL-2.0-or-later
// The client's end of a control socket (docs/control.md). One thread.
#ifndef KVIK_CONTROL_CLIENT_H
#define KVIK_CONTROL_CLIENT_H

#include <jansson.h>
#include <stdbool.h>

#include "util.h"

struct control_client {
	const char *vm_name;
	int fd;
	int process_fd; // of the VM's; -1: it cannot be seen from here
	unsigned last_id;
	char *input;
	size_t input_bytes;
};

#define CONTROL_WAIT_FOREVER (-1)

// Connects to the VM @name, which outlives the client, and takes its greeting. Returns 0;
// -ENOENT when there is no such VM (no message); other -errno after a message.
int control_connect(struct control_client *client, const char *name) MUST_CHECK;
void control_disconnect(struct control_client *client);

// Sends a request and waits for its answer. @arguments, an object or NULL, is taken over;
// *@result belongs to the caller. Returns 0, or -errno after a message: -EREMOTEIO where
// the VM refused (the message is its own), -ETIMEDOUT, -EPIPE where it has ended. Events
// that come meanwhile are dropped.
int control_ask(struct control_client *client, const char *command, json_t *arguments,
		int timeout_ms, json_t **result) MUST_CHECK;

// The same in two steps, between which others can be asked; control_send() returns 0 or
// -errno after a message.
int control_send(struct control_client *client, const char *command, json_t *arguments) MUST_CHECK;
int control_answer(struct control_client *client, int timeout_ms, json_t **result) MUST_CHECK;

// Waits for the next object that is sent, an event after "subscribe". Returns 0, -EPIPE at
// the VM's end (no message), or -errno after a message.
int control_next(struct control_client *client, int timeout_ms, json_t **object) MUST_CHECK;
// After the VM's last word: waits until its process is gone, and with it its name, its files
// and the locks on its disks. Returns 0, or -ETIMEDOUT after a message.
int control_wait_gone(const struct control_client *client, int timeout_ms) MUST_CHECK;
// Whether one has come already, which polling the descriptor would not show.
bool control_pending(const struct control_client *client);

#endif
