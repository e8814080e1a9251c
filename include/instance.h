// SPDX-License-Identifier: GPL-2.0-or-later
// Names of running VMs: who has one, and the way to its control socket.
//
// Both live in one directory that only its owner may enter: $KVIK_RUNTIME_DIR, else
// /run/kvik for root, else $XDG_RUNTIME_DIR/kvik, else one of the user's own below /tmp.
// NAME.lock is locked (flock) for as long as the VM lives, whatever ends it, so that the lock says
// what a process id or a left-over socket cannot; NAME.sock is the socket. What a
// killed VM leaves is cleaned up by whoever meets it next. Main thread.
#ifndef KVIK_INSTANCE_H
#define KVIK_INSTANCE_H

#include <stdbool.h>
#include <sys/types.h>

#include "util.h"

#define INSTANCE_NAME_MAX 64 // bytes

// [A-Za-z0-9._-], 1 to INSTANCE_NAME_MAX of them, no '.' or '-' in front.
bool instance_name_is_valid(const char *name);

struct instance {
	const char *name;
	int dir_fd;
	int lock_fd;
	int listen_fd; // -1: none; whoever takes it sets it to -1 and closes it
};

// Takes @name, which outlives the claim, and listens on its socket. Returns 0; -EEXIST
// after a message when a VM has it; other -errno after a message.
int instance_claim(struct instance *instance, const char *name) MUST_CHECK;
void instance_release(struct instance *instance);

// A file for the messages of the VM @name, which the caller has claimed: NAME.log beside the
// others, emptied with @fresh. It stays when the VM ends, until it is removed; if it is empty,
// until a killed VM is cleaned up. Returns the descriptor or -errno after a message.
int instance_open_log(const char *name, bool fresh) MUST_CHECK;
void instance_remove_log(const char *name);

// Connects to the control socket of the VM @name. Returns the descriptor; -ENOENT when
// there is no such VM (no message), or other -errno after a message.
int instance_connect(const char *name) MUST_CHECK;

struct instance_names {
	char **names; // sorted
	unsigned count;
};

// The names of all VMs that run now. Returns 0 or -errno after a message.
int instance_list(struct instance_names *list) MUST_CHECK;
void instance_list_free(struct instance_names *list);

#endif
