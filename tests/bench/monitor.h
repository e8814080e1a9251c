// SPDX-License-Identifier: GPL-2.0-or-later
// A machine monitor that is measured: a child whose output is read, and its CPU time.
#ifndef BENCH_MONITOR_H
#define BENCH_MONITOR_H

#include <err.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

// Returns what it prints on stdout, and @with_errors on stderr, too; ends where there is no
// way to.
static inline FILE *monitor_start(char **command, bool with_errors, pid_t *pid)
{
	FILE *output;
	int ends[2];

	if (pipe(ends))
		err(1, "pipe");
	*pid = fork();
	if (*pid < 0)
		err(1, "fork");
	if (*pid == 0) {
		// Not to outlive who measures it when that one's time is over.
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(ends[1], STDOUT_FILENO);
		if (with_errors)
			dup2(ends[1], STDERR_FILENO);
		close(ends[0]);
		close(ends[1]);
		execvp(command[0], command);
		err(127, "%s", command[0]);
	}
	close(ends[1]);
	output = fdopen(ends[0], "r");
	if (!output)
		err(1, "fdopen");
	return output;
}

// Of all of a process's threads, those that have ended included. 0: it is gone.
static inline double monitor_process_cpu_s(pid_t pid)
{
	struct timespec t;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &t))
		return 0;
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

// Of the guest's vCPUs, too, and of the helpers that its first thread has started, a network's
// for instance.
static inline double monitor_cpu_s(pid_t pid)
{
	double sum_s = monitor_process_cpu_s(pid);
	char path[64];
	FILE *children;
	pid_t helper;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	children = fopen(path, "r");
	while (children && fscanf(children, "%d", &helper) == 1)
		sum_s += monitor_process_cpu_s(helper);
	if (children)
		fclose(children);
	return sum_s;
}

#endif
