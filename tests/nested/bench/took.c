// SPDX-License-Identifier: GPL-2.0-or-later
// Measures how long a command takes, which says nothing meanwhile.
//
// usage: took [-e PID] COMMAND...
//
// Prints milliseconds; with -e, behind them, those until the process PID had ended as well.
// Ends with the command's status.
#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define END_MS 60000

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static pid_t start(char **command)
{
	pid_t pid = fork();
	int nowhere;

	if (pid < 0)
		err(125, "fork");
	if (pid)
		return pid;
	nowhere = open("/dev/null", O_WRONLY);
	dup2(nowhere, STDOUT_FILENO);
	execvp(command[0], command);
	err(127, "%s", command[0]);
}

// An end that does not come is not waited for.
static void await_end(int pidfd)
{
	struct pollfd end = { .fd = pidfd, .events = POLLIN };

	if (poll(&end, 1, END_MS) != 1)
		warnx("it has not ended after %d ms", END_MS);
}

int main(int argc, char **argv)
{
	int pidfd = -1, status = 0;
	double begin, took;

	if (argc > 3 && strcmp(argv[1], "-e") == 0) {
		pidfd = (int)syscall(SYS_pidfd_open, atoi(argv[2]), 0);
		if (pidfd < 0)
			err(125, "process %s", argv[2]);
		argv += 2;
	} else if (argc < 2) {
		errx(125, "usage: took [-e PID] COMMAND...");
	}
	begin = now_ms();
	waitpid(start(argv + 1), &status, 0);
	took = now_ms() - begin;
	if (pidfd >= 0)
		await_end(pidfd);
	if (pidfd >= 0)
		printf("%.2f %.2f\n", took, now_ms() - begin);
	else
		printf("%.2f\n", took);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 126;
}
