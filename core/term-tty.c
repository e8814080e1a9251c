// SPDX-License-Identifier: GPL-2.0-or-later
// The terminal behind the console: raw mode, and restoring it whatever happens.

#include "term-tty.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "log.h"

static const int fatal_signals[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGSYS };

// For the handler of fatal signals, which has no other way to know: a process has
// one terminal in raw mode at a time.
static struct {
	volatile sig_atomic_t fd; // -1: nothing to restore
	struct termios cooked;
	struct sigaction before[ARRAY_SIZE(fatal_signals)];
} guard = { .fd = -1 };

// -- fatal signals --

static void die_restored(int number, siginfo_t *info, void *context)
{
	int saved_errno = errno;

	tcsetattr(guard.fd, TCSANOW, &guard.cooked);
	for (unsigned i = 0; i < ARRAY_SIZE(fatal_signals); i++)
		if (fatal_signals[i] == number)
			sigaction(number, &guard.before[i], NULL);
	// A fault comes again as soon as this returns; a signal that was sent does not.
	if (info->si_code <= 0)
		raise(number);
	errno = saved_errno;
}

static void guard_terminal(const struct term_tty *tty)
{
	struct sigaction action = {
		.sa_sigaction = die_restored,
		.sa_flags = SA_SIGINFO | SA_ONSTACK,
	};

	if (guard.fd >= 0)
		return;
	guard.cooked = tty->cooked;
	guard.fd = tty->fd;
	sigemptyset(&action.sa_mask);
	sigaddset(&action.sa_mask, SIGTTOU); // tcsetattr() from the background
	for (unsigned i = 0; i < ARRAY_SIZE(fatal_signals); i++)
		sigaction(fatal_signals[i], &action, &guard.before[i]);
}

static void unguard_terminal(const struct term_tty *tty)
{
	if (guard.fd != tty->fd)
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(fatal_signals); i++)
		sigaction(fatal_signals[i], &guard.before[i], NULL);
	guard.fd = -1;
}

// -- descriptors --

static bool is_pty_master(int fd)
{
	unsigned number;

	return !ioctl(fd, TIOCGPTN, &number);
}

// A description of its own; -1 if there cannot be one.
static int reopen_terminal(int fd)
{
	char path[32];

	// To open a master again would make a new terminal.
	if (!isatty(fd) || is_pty_master(fd))
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

int term_tty_duplicate(int fd)
{
	int copy = reopen_terminal(fd);

	if (copy < 0)
		copy = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	return copy < 0 ? fail(errno, "console: duplicate descriptor %d", fd) : copy;
}

bool term_tty_foreground(const struct term_tty *tty)
{
	pid_t group = tcgetpgrp(tty->fd);

	return group < 0 || group == getpgrp();
}

// -- modes --

// With SIGTTOU blocked, so that a job in the background is not stopped.
static int set_modes(int fd, const struct termios *modes)
{
	sigset_t ttou, before;
	int ret;

	sigemptyset(&ttou);
	sigaddset(&ttou, SIGTTOU);
	pthread_sigmask(SIG_BLOCK, &ttou, &before);
	ret = tcsetattr(fd, TCSANOW, modes) ? -errno : 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return ret;
}

static int set_raw(const struct term_tty *tty)
{
	struct termios raw = tty->cooked;

	cfmakeraw(&raw);
	return set_modes(tty->fd, &raw);
}

int term_tty_make_raw(struct term_tty *tty)
{
	int ret;

	if (tcgetattr(tty->fd, &tty->cooked))
		return fail(errno, "console: read the terminal's modes");
	guard_terminal(tty);
	ret = set_raw(tty);
	if (ret) {
		unguard_terminal(tty);
		return fail(-ret, "console: set the terminal to raw mode");
	}
	tty->raw = true;
	log_set_raw_terminal(isatty(STDERR_FILENO));
	return 0;
}

void term_tty_renew_raw(struct term_tty *tty)
{
	set_raw(tty);
}

void term_tty_restore(struct term_tty *tty)
{
	if (!tty->raw)
		return;
	tty->raw = false;
	set_modes(tty->fd, &tty->cooked);
	unguard_terminal(tty);
	log_set_raw_terminal(false);
}

bool term_tty_size(int fd, unsigned *columns, unsigned *rows)
{
	struct winsize size;

	if (fd < 0 || ioctl(fd, TIOCGWINSZ, &size) || !size.ws_col || !size.ws_row)
		return false;
	*columns = size.ws_col;
	*rows = size.ws_row;
	return true;
}
