// SPDX-License-Identifier: GPL-2.0-or-later
// Tells the service manager that started kvik how it fares: sd_notify(3)'s protocol.

#include "notify.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

void notify_init(struct notify *notify)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un *address = &notify->address;
	size_t len = path ? strlen(path) : 0;

	*notify = (struct notify){ .address.sun_family = AF_UNIX };
	if (!len)
		return;
	if ((path[0] != '/' && path[0] != '@') || len >= sizeof(address->sun_path)) {
		warn("NOTIFY_SOCKET=%s: is not the path of a Unix socket; nobody is notified",
		     path);
		return;
	}
	memcpy(address->sun_path, path, len);
	if (path[0] == '@') // the abstract namespace (unix(7))
		address->sun_path[0] = '\0';
	notify->address_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	unsetenv("NOTIFY_SOCKET");
}

void notify_send(const struct notify *notify, const char *fmt, ...)
{
	char text[512];
	va_list args;
	int fd;

	if (!notify->address_bytes)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	if (sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&notify->address,
		   notify->address_bytes) < 0)
		debug("notify the service manager: %m");
	close(fd);
}
