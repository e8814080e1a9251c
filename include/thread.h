// SPDX-License-Identifier: GPL-2.0-or-later
// Starting a named thread that takes no signals.
#ifndef KVIK_THREAD_H
#define KVIK_THREAD_H

#include <pthread.h>

#include "util.h"

// Starts @entry(@arg) with all signals blocked, so that the main thread alone
// takes them; @name shows in ps and gdb (cut at 15 bytes). Returns 0, or -errno
// after a message.
int thread_create(pthread_t *thread, const char *name, void *(*entry)(void *arg), void *arg)
	MUST_CHECK;

#endif
