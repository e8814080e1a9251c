// SPDX-License-Identifier: GPL-2.0-or-later
// Runs a helper program on a socket pair: start, messages, end.

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"
#include "user-priv.h"

#define FIRST_FREE_FD 10 // so that the numbers which the helper gets are not in use
#define NULL_DEVICE "/dev/null"

// -- messages --

static void report_line(struct helper *helper)
{
	if (!helper->line_len)
		return;
	helper->line[helper->line_len] = '\0';
	helper->line_len = 0;
	memcpy(helper->last_line, helper->line, sizeof(helper->last_line));
	if (!helper->verbose)
		debug("%s", helper->line);
	else if (log_ratelimit_ok(&helper->limit))
		warn("%s", helper->line);
}

static void take_messages(struct helper *helper, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\n')
			report_line(helper);
		else if (helper->line_len < sizeof(helper->line) - 1)
			helper->line[helper->line_len++] = text[i];
	}
}

static void stop_watching(struct helper *helper)
{
	if (helper->watching)
		loop_remove_fd(helper->loop, &helper->messages);
	helper->watching = false;
}

static void messages_ready(struct loop_fd *self, uint32_t epoll_events)
{
	struct helper *helper = container_of(self, struct helper, messages);
	char text[1024];
	ssize_t n = read(self->fd, text, sizeof(text));

	if (n > 0)
		take_messages(helper, text, (size_t)n);
	else if (n == 0 || errno != EAGAIN)
		stop_watching(helper);
}

void helper_watch(struct helper *helper, struct loop *loop)
{
	stop_watching(helper);
	helper->loop = loop;
	if (loop && helper->messages.fd >= 0)
		helper->watching = loop_add_fd(loop, &helper->messages, EPOLLIN) == 0;
}

static void end_messages(struct helper *helper)
{
	char text[1024];
	ssize_t n;

	stop_watching(helper);
	if (helper->messages.fd < 0)
		return;
	while ((n = read(helper->messages.fd, text, sizeof(text))) > 0)
		take_messages(helper, text, (size_t)n);
	report_line(helper);
	close(helper->messages.fd);
	helper->messages.fd = -1;
}

// -- start --

// The four descriptors of a helper: a socket and a pipe, our end first.
struct ends {
	int socket[2];
	int messages[2];
};

static void close_ends(struct ends *ends)
{
	for (unsigned i = 0; i < 2; i++) {
		if (ends->socket[i] >= 0)
			close(ends->socket[i]);
		if (ends->messages[i] >= 0)
			close(ends->messages[i]);
	}
}

static int move_up(int *fd)
{
	int high = fcntl(*fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD);

	if (high < 0)
		return -errno;
	close(*fd);
	*fd = high;
	return 0;
}

int helper_share_area(struct helper *helper)
{
	int err, fd = frames_area_create(USER_AREA_BYTES);

	if (fd < 0)
		return fd;
	err = move_up(&fd);
	if (err)
		close(fd);
	else
		helper->area_fd = fd;
	return err;
}

static int make_ends(struct ends *ends)
{
	int err;

	*ends = (struct ends){ { -1, -1 }, { -1, -1 } };
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends->socket) < 0 ||
	    pipe2(ends->messages, O_CLOEXEC) < 0) {
		err = -errno;
	} else {
		err = move_up(&ends->socket[1]);
		err = err ? err : move_up(&ends->messages[1]);
		if (!err && fcntl(ends->messages[0], F_SETFL, O_NONBLOCK) < 0)
			err = -errno;
	}
	if (err)
		close_ends(ends);
	return err;
}

// What is not named here the helper does not get.
static int set_actions(posix_spawn_file_actions_t *actions, const struct ends *ends, int area_fd)
{
	int last_fd = area_fd >= 0 ? USER_AREA_FD : USER_FD;
	int err = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, NULL_DEVICE, O_RDONLY, 0);

	err = err ? err :
		    posix_spawn_file_actions_adddup2(actions, ends->messages[1], STDOUT_FILENO);
	err = err ? err :
		    posix_spawn_file_actions_adddup2(actions, ends->messages[1], STDERR_FILENO);
	err = err ? err : posix_spawn_file_actions_adddup2(actions, ends->socket[1], USER_FD);
	if (!err && area_fd >= 0)
		err = posix_spawn_file_actions_adddup2(actions, area_fd, USER_AREA_FD);
	return err ? err : posix_spawn_file_actions_addclosefrom_np(actions, last_fd + 1);
}

// A session of its own: the terminal's keys are not for the helper.
static int set_attributes(posix_spawnattr_t *attributes)
{
	sigset_t none, all;
	int err;

	sigemptyset(&none);
	sigfillset(&all);
	err = posix_spawnattr_setsigmask(attributes, &none);
	err = err ? err : posix_spawnattr_setsigdefault(attributes, &all);
	return err ? err :
		     posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSID |
								  POSIX_SPAWN_SETSIGMASK |
								  POSIX_SPAWN_SETSIGDEF);
}

static int spawn(struct helper *helper, const struct ends *ends)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int err = posix_spawn_file_actions_init(&actions);

	if (err)
		return -err;
	err = posix_spawnattr_init(&attributes);
	if (!err) {
		err = set_actions(&actions, ends, helper->area_fd);
		err = err ? err : set_attributes(&attributes);
		err = err ? err :
			    posix_spawn(&helper->pid, helper->path, &actions, &attributes,
					helper->argv, environ);
		posix_spawnattr_destroy(&attributes);
	}
	posix_spawn_file_actions_destroy(&actions);
	return -err;
}

int helper_start(struct helper *helper)
{
	struct ends ends;
	int err = make_ends(&ends);

	if (err)
		return err;
	frames_enlarge_socket(ends.socket[1]);
	err = spawn(helper, &ends);
	if (err) {
		helper->pid = 0;
		close_ends(&ends);
		return err;
	}
	close(ends.socket[1]);
	close(ends.messages[1]);
	helper->last_line[0] = '\0';
	helper->messages = (struct loop_fd){ .fd = ends.messages[0], .ready = messages_ready };
	helper_watch(helper, helper->loop);
	return ends.socket[0];
}

// -- end --

static void describe_end(int status, char *how, size_t size)
{
	if (WIFSIGNALED(status))
		snprintf(how, size, "signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else
		snprintf(how, size, "exit status %d", WEXITSTATUS(status));
}

// What it kept there is nobody's any more, and not for the next one to see.
static void empty_area(const struct helper *helper)
{
	if (helper->area_fd >= 0)
		(void)!fallocate(helper->area_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
				 USER_AREA_BYTES);
}

// One that ends on its own keeps its status: a signal to it comes too late.
void helper_stop(struct helper *helper, char *how, size_t size)
{
	int status = 0;
	pid_t reaped;

	snprintf(how, size, "it did not run");
	if (helper->pid > 0) {
		kill(helper->pid, SIGKILL);
		do {
			reaped = waitpid(helper->pid, &status, 0);
		} while (reaped < 0 && errno == EINTR);
		if (reaped == helper->pid)
			describe_end(status, how, size);
	}
	helper->pid = 0;
	empty_area(helper);
	end_messages(helper);
}

void helper_free(struct helper *helper)
{
	for (char **arg = helper->argv; arg && *arg; arg++)
		free(*arg);
	free(helper->argv);
	helper->argv = NULL;
	if (helper->area_fd >= 0)
		close(helper->area_fd);
	helper->area_fd = -1;
}
