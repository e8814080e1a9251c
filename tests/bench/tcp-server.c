// SPDX-License-Identifier: GPL-2.0-or-later
// Runs on the host: what guest/net.c connects to.
//
// usage: tcp-server PORT
//
// Each connection begins with a struct net_request and says what it wants.
#include <arpa/inet.h>
#include <err.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest/net-request.h"

static char data[NET_CHUNK];

// False at the end of the connection.
static int take(int fd, uint64_t count)
{
	while (count) {
		ssize_t n = read(fd, data, count < sizeof(data) ? count : sizeof(data));

		if (n <= 0)
			return 0;
		count -= (uint64_t)n;
	}
	return 1;
}

static int give(int fd, uint64_t count)
{
	while (count) {
		ssize_t n = write(fd, data, count < sizeof(data) ? count : sizeof(data));

		if (n <= 0)
			return 0;
		count -= (uint64_t)n;
	}
	return 1;
}

static void serve(int fd)
{
	struct net_request request;
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (recv(fd, &request, sizeof(request), MSG_WAITALL) != sizeof(request))
		return;
	switch (request.what) {
	case NET_SEND:
		if (take(fd, request.count))
			give(fd, 1);
		break;
	case NET_RECEIVE:
		give(fd, request.count);
		break;
	case NET_TRIPS:
		while (request.count-- && take(fd, 1) && give(fd, 1))
			;
		break;
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);

	if (argc != 2)
		errx(2, "usage: tcp-server PORT");
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);
	address.sin_port = htons((uint16_t)atoi(argv[1]));
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 8))
		err(1, "port %s", argv[1]);
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		// One that is left hanging is not to stop the next.
		if (fd >= 0 && fork() == 0) {
			serve(fd);
			_exit(0);
		}
		close(fd);
	}
}
