// SPDX-License-Identifier: GPL-2.0-or-later
// A list for poll(), made anew in each round.

#include "polls.h"

#include <stdlib.h>

#include "util.h"

int polls_add(struct polls *polls, int fd, short events)
{
	if (polls->count == polls->room) {
		unsigned room = MAX(64U, polls->room * 2);
		struct pollfd *fds = realloc(polls->fds, room * sizeof(*fds));

		if (!fds)
			return -1;
		polls->fds = fds;
		polls->room = room;
	}
	polls->fds[polls->count] = (struct pollfd){ .fd = fd, .events = events };
	return (int)polls->count++;
}
