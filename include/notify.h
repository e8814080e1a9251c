// SPDX-License-Identifier: GPL-2.0-or-later
// Tells the service manager that started kvik how it fares: sd_notify(3)'s protocol.
//
// One datagram of NAME=VALUE lines to the Unix socket that $NOTIFY_SOCKET names; where that
// is not set, nothing happens. Main thread.
#ifndef KVIK_NOTIFY_H
#define KVIK_NOTIFY_H

#include <sys/socket.h>
#include <sys/un.h>

#include "util.h"

struct notify {
	struct sockaddr_un address;
	socklen_t address_bytes; // 0: nobody listens
};

// Takes the variable out of the environment: it is not for programs that kvik starts.
void notify_init(struct notify *notify);
// Nobody waits for an answer, and nothing can be done where it does not arrive.
void notify_send(const struct notify *notify, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
