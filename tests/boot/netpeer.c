// SPDX-License-Identifier: GPL-2.0-or-later
// Both ends of the network tests' connections, for the host and for the guest.
//
//   netpeer serve ADDR PORT         TCP "get" and "put", UDP echo, until it is killed
//   netpeer dns ADDR PORT NAME IP   answers A queries for NAME with IP
//   netpeer get|put ADDR PORT BYTES read from, write to "serve" over TCP
//   netpeer udp ADDR PORT COUNT BYTES
//                                   datagrams there and back
//   netpeer lo                      switch the loopback device on
//
// What is sent is a sequence that depends on nothing but the place in it: each byte is
// checked where it arrives. Prints "get ok 1000 bytes, 12.3 MB/s"; status 1 and a reason
// where anything is not as it should be.
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHUNK_BYTES 65536
#define PERIOD 65521 // a prime: no alignment hides a shift
#define PATIENCE_MS 20000
#define DATAGRAM_MAX 65507

static void fatal(const char *what)
{
	printf("netpeer: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void wrong(const char *what)
{
	printf("netpeer: %s\n", what);
	exit(1);
}

// -- data --

static uint8_t pattern[PERIOD + CHUNK_BYTES]; // so that a chunk may begin anywhere in it

static void make_pattern(void)
{
	uint32_t x = 2463534242;

	for (unsigned i = 0; i < PERIOD; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		pattern[i] = (uint8_t)(x >> 8);
	}
	memcpy(pattern + PERIOD, pattern, PERIOD);
	memcpy(pattern + 2 * PERIOD, pattern, CHUNK_BYTES - PERIOD);
}

static const uint8_t *expected(uint64_t place)
{
	return pattern + place % PERIOD;
}

// -- sockets --

union address {
	struct sockaddr any;
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;
};

static socklen_t make_address(union address *address, const char *ip, const char *port)
{
	memset(address, 0, sizeof(*address));
	if (inet_pton(AF_INET, ip, &address->in4.sin_addr) == 1) {
		address->in4.sin_family = AF_INET;
		address->in4.sin_port = htons((uint16_t)atoi(port));
		return sizeof(address->in4);
	}
	address->in6.sin6_family = AF_INET6;
	address->in6.sin6_port = htons((uint16_t)atoi(port));
	if (inet_pton(AF_INET6, ip, &address->in6.sin6_addr) != 1)
		wrong("no such address");
	return sizeof(address->in6);
}

static int open_bound(int type, const char *ip, const char *port)
{
	union address address;
	socklen_t len = make_address(&address, ip, port);
	int fd = socket(address.any.sa_family, type, 0), on = 1;

	if (fd < 0)
		fatal("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (address.any.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, &address.any, len) < 0)
		fatal("bind");
	if (type == SOCK_STREAM && listen(fd, 16) < 0)
		fatal("listen");
	return fd;
}

static int open_connected(int type, const char *ip, const char *port)
{
	const struct timeval patience = { PATIENCE_MS / 1000, 0 };
	union address address;
	socklen_t len = make_address(&address, ip, port);
	int fd = socket(address.any.sa_family, type, 0);

	if (fd < 0)
		fatal("socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, &address.any, len) < 0)
		fatal("connect");
	return fd;
}

static void write_all(int fd, const void *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n <= 0)
			fatal("write");
		data = (const char *)data + n;
		len -= (size_t)n;
	}
}

// -- TCP: a line "get N" or "put N", then the data; "put" is answered with a line --

static void send_data(int fd, uint64_t total)
{
	for (uint64_t done = 0; done < total;) {
		size_t len = total - done < CHUNK_BYTES ? (size_t)(total - done) : CHUNK_BYTES;

		write_all(fd, expected(done), len);
		done += len;
	}
}

// How many bytes came before the end, or UINT64_MAX where one was wrong.
static uint64_t receive_data(int fd, uint64_t total)
{
	static uint8_t data[CHUNK_BYTES];
	uint64_t done = 0;

	while (done < total) {
		ssize_t n = read(fd, data, sizeof(data));

		if (n <= 0)
			break;
		if (memcmp(data, expected(done), (size_t)n) != 0)
			return UINT64_MAX;
		done += (uint64_t)n;
	}
	return done;
}

static void read_line(int fd, char *line, size_t size)
{
	size_t len = 0;

	while (len < size - 1 && read(fd, line + len, 1) == 1 && line[len] != '\n')
		len++;
	line[len] = '\0';
}

static void answer(int fd)
{
	char line[64];
	uint64_t total;

	read_line(fd, line, sizeof(line));
	total = strtoull(line + 3, NULL, 10);
	if (strncmp(line, "get", 3) == 0) {
		send_data(fd, total);
	} else if (strncmp(line, "put", 3) == 0) {
		const char *verdict = receive_data(fd, total) == total ? "ok\n" : "wrong\n";

		write_all(fd, verdict, strlen(verdict));
	}
	exit(0);
}

static void echo(int fd)
{
	static uint8_t data[DATAGRAM_MAX];
	union address from;
	socklen_t len = sizeof(from);
	ssize_t n = recvfrom(fd, data, sizeof(data), 0, &from.any, &len);

	if (n >= 0)
		sendto(fd, data, (size_t)n, 0, &from.any, len);
}

static void serve(const char *ip, const char *port)
{
	struct pollfd fds[2] = {
		{ .fd = open_bound(SOCK_STREAM, ip, port), .events = POLLIN },
		{ .fd = open_bound(SOCK_DGRAM, ip, port), .events = POLLIN },
	};

	signal(SIGCHLD, SIG_IGN);
	printf("serving\n");
	fflush(stdout);
	while (poll(fds, 2, -1) > 0) {
		if (fds[0].revents) {
			int fd = accept(fds[0].fd, NULL, NULL);

			if (fd >= 0 && fork() == 0)
				answer(fd);
			close(fd);
		}
		if (fds[1].revents)
			echo(fds[1].fd);
	}
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void report(const char *what, uint64_t bytes, double start)
{
	printf("%s ok %llu bytes, %.1f MB/s\n", what, (unsigned long long)bytes,
	       (double)bytes / (now() - start) / 1e6);
}

static void transfer(const char *what, int fd, const char *count)
{
	uint64_t total = strtoull(count, NULL, 10);
	double start = now();
	char line[64];
	int len = snprintf(line, sizeof(line), "%s %s\n", what, count);

	write_all(fd, line, (size_t)len);
	if (strcmp(what, "get") == 0) {
		if (receive_data(fd, total) != total)
			wrong("get: not what was sent");
	} else {
		send_data(fd, total);
		read_line(fd, line, sizeof(line));
		if (strcmp(line, "ok") != 0)
			wrong("put: not what arrived");
	}
	report(what, total, start);
}

// -- UDP --

static void exchange(int fd, const char *count, const char *size)
{
	static uint8_t data[DATAGRAM_MAX];
	size_t len = strtoul(size, NULL, 10);
	unsigned long total = strtoul(count, NULL, 10);
	double start = now();

	for (unsigned long i = 0; i < total; i++) {
		if (send(fd, expected(i), len, 0) != (ssize_t)len)
			fatal("udp: send");
		if (recv(fd, data, sizeof(data), 0) != (ssize_t)len ||
		    memcmp(data, expected(i), len) != 0)
			wrong("udp: not what was sent");
	}
	report("udp", (uint64_t)total * len, start);
}

// -- DNS (RFC 1035 4.1) --

// Whether the question is for @name; *@end is behind it.
static bool asks_for(const uint8_t *query, size_t len, const char *name, size_t *end)
{
	char asked[256] = "";
	size_t at = 12;

	while (at < len && query[at] && at + 1 + query[at] < len &&
	       strlen(asked) + query[at] + 2 < sizeof(asked)) {
		if (asked[0])
			strcat(asked, ".");
		strncat(asked, (const char *)query + at + 1, query[at]);
		at += 1u + query[at];
	}
	*end = at + 5; // the empty label, type and class
	return *end <= len && strcasecmp(asked, name) == 0;
}

static void answer_query(int fd, const char *name, const char *ip)
{
	// A pointer to the name in the question; A, IN, 60 s, four bytes.
	uint8_t record[16] = { 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4 };
	uint8_t query[512 + sizeof(record)];
	union address from;
	socklen_t from_len = sizeof(from);
	ssize_t len = recvfrom(fd, query, 512, 0, &from.any, &from_len);
	size_t end;
	bool known;

	if (len < 17)
		return;
	known = asks_for(query, (size_t)len, name, &end);
	if (end > (size_t)len)
		return;
	inet_pton(AF_INET, ip, record + 12);
	query[2] = 0x84;
	query[3] = known ? 0x80 : 0x83;
	query[7] = known && query[end - 3] == 1;
	memset(query + 8, 0, 4);
	memcpy(query + end, record, sizeof(record));
	sendto(fd, query, end + (query[7] ? sizeof(record) : 0), 0, &from.any, from_len);
}

static void serve_names(const char *ip, const char *port, const char *name, const char *address)
{
	int fd = open_bound(SOCK_DGRAM, ip, port);

	printf("serving\n");
	fflush(stdout);
	for (;;)
		answer_query(fd, name, address);
}

static void loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		fatal("lo");
}

int main(int argc, char **argv)
{
	const char *command = argc > 1 ? argv[1] : "";

	make_pattern();
	signal(SIGPIPE, SIG_IGN);
	if (strcmp(command, "serve") == 0 && argc == 4)
		serve(argv[2], argv[3]);
	else if (strcmp(command, "dns") == 0 && argc == 6)
		serve_names(argv[2], argv[3], argv[4], argv[5]);
	else if ((strcmp(command, "get") == 0 || strcmp(command, "put") == 0) && argc == 5)
		transfer(command, open_connected(SOCK_STREAM, argv[2], argv[3]), argv[4]);
	else if (strcmp(command, "udp") == 0 && argc == 6)
		exchange(open_connected(SOCK_DGRAM, argv[2], argv[3]), argv[4], argv[5]);
	else if (strcmp(command, "lo") == 0 && argc == 2)
		loopback_up();
	else
		wrong("see the head of its source");
	return 0;
}
