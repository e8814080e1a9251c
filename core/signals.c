// SPDX-License-Identifier: GPL-2.0-or-later
// Signals as events of a loop, by a signalfd.

#include "signals.h"

#include <errno.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "log.h"

void signals_ending(sigset_t *set)
{
	static const int ignorable[] = { SIGHUP, SIGINT, SIGQUIT };

	sigemptyset(set);
	sigaddset(set, SIGTERM);
	for (unsigned i = 0; i < ARRAY_SIZE(ignorable); i++) {
		struct sigaction action;

		if (sigaction(ignorable[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
			sigaddset(set, ignorable[i]);
	}
}

int signals_catch(struct signals *signals, const sigset_t *set)
{
	signals->event.fd = signalfd(-1, set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals->event.fd < 0)
		return fail(errno, "signalfd");
	pthread_sigmask(SIG_BLOCK, set, &signals->before);
	return 0;
}

int signals_take(struct signals *signals)
{
	struct signalfd_siginfo got;

	if (read(signals->event.fd, &got, sizeof(got)) != sizeof(got))
		return 0;
	return (int)got.ssi_signo;
}

void signals_release(struct signals *signals)
{
	pthread_sigmask(SIG_SETMASK, &signals->before, NULL);
	close(signals->event.fd);
}
