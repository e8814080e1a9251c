// SPDX-License-Identifier: GPL-2.0-or-later
// A list for poll(), made anew in each round.
#ifndef KVIK_SLIRP_POLLS_H
#define KVIK_SLIRP_POLLS_H

#include <poll.h>

struct polls {
	struct pollfd *fds;
	unsigned count;
	unsigned room;
};

// The place in the list, or -1: no memory.
int polls_add(struct polls *polls, int fd, short events);

#endif
