// SPDX-License-Identifier: GPL-2.0-or-later
// Runs a machine monitor and says what the work of its guest cost the host.
//
// usage: cost COMMAND...
//
// Copies what the command prints. A line that begins with "BENCH" gets a word more: the
// CPU seconds that the command used since the last such line. The status is the command's.
#include <err.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "monitor.h"

static void follow(FILE *output, pid_t pid)
{
	char line[4096];
	double last_s = 0;

	while (fgets(line, sizeof(line), output)) {
		double now_s = monitor_cpu_s(pid);

		line[strcspn(line, "\r\n")] = '\0';
		if (strncmp(line, "BENCH", 5)) {
			puts(line);
			continue;
		}
		printf("%s %.4f\n", line, now_s - last_s);
		last_s = now_s;
	}
}

int main(int argc, char **argv)
{
	int status = 1;
	FILE *output;
	pid_t pid;

	if (argc < 2)
		errx(2, "usage: cost COMMAND...");
	setvbuf(stdout, NULL, _IOLBF, 0);
	output = monitor_start(argv + 1, false, &pid);
	follow(output, pid);
	if (waitpid(pid, &status, 0) < 0)
		err(1, "wait");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
