// SPDX-License-Identifier: GPL-2.0-or-later
// What a machine monitor costs: the CPU time of a child that is not waited for yet.
#ifndef BENCH_CPU_TIME_H
#define BENCH_CPU_TIME_H

#include <sys/types.h>
#include <time.h>

// Of all of its threads, the guest's vCPUs and those that have ended included. Negative:
// unknown.
static inline double cpu_time_s(pid_t pid)
{
	struct timespec t;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &t))
		return -1;
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

#endif
