// SPDX-License-Identifier: GPL-2.0-or-later
// Signals as events of a loop.
#ifndef KVIK_SIGNALS_H
#define KVIK_SIGNALS_H

#include <signal.h>

#include "loop.h"
#include "util.h"

struct signals {
	struct loop_fd event; // the owner sets ready() and watches it for EPOLLIN
	sigset_t before;      // the mask
};

// Those that end a command: SIGTERM, and SIGINT, SIGHUP and SIGQUIT, but not where whoever
// started it has them ignored (nohup, a script's background job).
void signals_ending(sigset_t *set);

// Blocks @set and opens the descriptor. Before any thread is made, since threads inherit the
// mask. Returns 0 or -errno after a message. Main thread.
int signals_catch(struct signals *signals, const sigset_t *set) MUST_CHECK;
// The next one that has come, or 0.
int signals_take(struct signals *signals);
void signals_release(struct signals *signals);

#endif
