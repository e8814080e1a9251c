// SPDX-License-Identifier: GPL-2.0-or-later
// Starting a named thread that takes no signals.

#include "thread.h"

#include <signal.h>
#include <stdio.h>

#include "log.h"

#define THREAD_NAME_SIZE 16 // pthread_setname_np(3), NUL included

int thread_create(pthread_t *thread, const char *name, void *(*entry)(void *arg), void *arg)
{
	char short_name[THREAD_NAME_SIZE];
	sigset_t all, before;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(thread, NULL, entry, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error)
		return fail(error, "start thread %s", name);

	snprintf(short_name, sizeof(short_name), "%s", name);
	pthread_setname_np(*thread, short_name);
	return 0;
}
