// SPDX-License-Identifier: GPL-2.0-or-later
// Viewers of the console: sockets that get its output and whose bytes are its input.
//
// All on the thread of one loop, which is another than the console's. The output is kept
// once for all of them (struct term's history): a viewer that does not read takes no memory
// but its socket's, delays nobody, and is told how much it has missed when it reads on.
#ifndef KVIK_VIEWERS_H
#define KVIK_VIEWERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop.h"
#include "term.h"
#include "util.h"

#define VIEWERS_MAX 32
#define VIEWERS_HISTORY_BYTES (64 * KIB) // of what a new one is shown

struct viewer;

struct viewers {
	struct loop *loop;
	struct term *term; // NULL: there is no console, and no viewer
	struct loop_post changed;
	struct viewer *list;
	unsigned count;
};

struct viewer_wish {
	bool history;   // begins with the last lines
	bool read_only; // what it sends is thrown away
	uint64_t id;    // for viewers_resize()
	const char *typed;
	size_t typed_bytes; // sent already
};

void viewers_init(struct viewers *viewers, struct loop *loop, struct term *term);
// The loop runs no more: sends what the sockets take at once, and closes them.
void viewers_exit(struct viewers *viewers);

// Whether there is room for one more. Those that are gone, and whose input the guest has not
// taken, make room.
bool viewers_make_room(struct viewers *viewers);
// Takes over the socket @fd, which is non-blocking, also on failure. Returns 0 or -errno.
int viewers_add(struct viewers *viewers, int fd, struct viewer_wish wish) MUST_CHECK;
// The size of the terminal of the viewer that was added as @id; neither is 0. Of those that
// have told one, and are still there, the one that was added last counts: the console has its
// size. -ENOENT: there is no such viewer.
int viewers_resize(struct viewers *viewers, uint64_t id, unsigned columns, unsigned rows)
	MUST_CHECK;

#endif
