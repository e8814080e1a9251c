// SPDX-License-Identifier: MIT-0
// TCP to the host at 192.168.33.1, port 5001: a stream each way, and round trips of one byte.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"
#include "net-request.h"

#define HOST 0xc0a82101
#define PORT 5001
#define STREAM_BYTES (64 << 20)
#define TRIPS 2000

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void transfer(int fd, int write_it, u8 *buf, u64 count)
{
	while (count) {
		size_t len = count < NET_CHUNK ? count : NET_CHUNK;
		ssize_t n = write_it ? write(fd, buf, len) : read(fd, buf, len);

		if (n <= 0)
			die("the connection");
		count -= (u64)n;
	}
}

static int request(u64 what, u64 count)
{
	struct sockaddr_in host = {
		.sin_family = AF_INET,
		.sin_port = htons(PORT),
		.sin_addr.s_addr = htonl(HOST),
	};
	struct net_request request = { what, count };
	int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&host, sizeof(host)))
		die("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	transfer(fd, 1, (u8 *)&request, sizeof(request));
	return fd;
}

static void stream(struct res *r, u64 what)
{
	u64 bytes = sc(STREAM_BYTES);
	u8 *buf = xmap(NET_CHUNK);
	double t = now();
	int fd = request(what, bytes);

	transfer(fd, what == NET_SEND, buf, bytes);
	// The host says when it has all of it.
	if (what == NET_SEND)
		transfer(fd, 0, buf, 1);
	r->t = now() - t;
	close(fd);
	r->work = bytes;
	r->unit = "bytes";
}

void bench_net_send(struct res *r)
{
	stream(r, NET_SEND);
}

void bench_net_receive(struct res *r)
{
	stream(r, NET_RECEIVE);
}

void bench_net_trips(struct res *r)
{
	u64 trips = sc(TRIPS);
	int fd = request(NET_TRIPS, trips);
	u8 byte = 0;
	double t = now();

	for (u64 i = 0; i < trips; i++) {
		transfer(fd, 1, &byte, 1);
		transfer(fd, 0, &byte, 1);
	}
	r->t = now() - t;
	close(fd);
	r->work = trips;
	r->unit = "trips";
}
