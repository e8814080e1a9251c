// SPDX-License-Identifier: GPL-2.0-or-later
// Preloaded into kvik: while the file $SKIP_TIME exists, CLOCK_MONOTONIC is an hour further.
//
// What waits until a time of that clock waits by the host's, from which the hour is taken.
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define HOUR_S 3600

static time_t skipped_s(void)
{
	const char *path = getenv("SKIP_TIME");

	return path && access(path, F_OK) == 0 ? HOUR_S : 0;
}

// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): libc has reserved names
int clock_gettime(clockid_t clock, struct timespec *time)
{
	int (*real)(clockid_t, struct timespec *) =
		(int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
	int ret = real(clock, time);

	if (clock == CLOCK_MONOTONIC && ret == 0)
		time->tv_sec += skipped_s();
	return ret;
}

// The software engine's timers; their condition variable goes by CLOCK_MONOTONIC.
int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
			   const struct timespec *time)
{
	struct timespec until = *time;

	until.tv_sec -= until.tv_sec > HOUR_S ? skipped_s() : 0;
	return pthread_cond_clockwait(cond, mutex, CLOCK_MONOTONIC, &until);
}
