// SPDX-License-Identifier: GPL-2.0-or-later
// Abuses a VM's control socket in every way at once, beside a client that behaves.
//
// usage: abuse SOCKET SECONDS
//
// 1000 clients say nothing, others write half a request, lines of 100 MB and random bytes,
// leave while they are answered, and do not read their answers. Meanwhile one asks for the
// status, twenty times a second. Prints "asked N, failed N, late N, worst N ms", where late
// is what took longer than 100 ms, and how much each of the others did.
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define SILENT_CLIENTS 1000
#define LINE_BYTES 100000000
#define CHUNK_BYTES 65536
#define LATE_MS 100
#define ANSWER_S 10

static struct sockaddr_un address = { .sun_family = AF_UNIX };
static atomic_bool done;

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void sleep_ms(long ms)
{
	struct timespec t = { .tv_nsec = ms * 1000000 };

	nanosleep(&t, NULL);
}

// What cannot be reached for a while is tried again.
static int connect_to_vm(void)
{
	struct timeval limit = { .tv_sec = ANSWER_S };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		err(2, "socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

static bool send_text(int fd, const char *text)
{
	return send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text);
}

// -- those that abuse it; each returns what it has done, in ones of its own --

static void close_all(int *fds, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

// All of them stay for a second, then come again.
static long be_silent(void)
{
	static int fds[SILENT_CLIENTS];
	long connections = 0;

	while (!done) {
		for (unsigned i = 0; i < SILENT_CLIENTS; i++, connections++)
			fds[i] = connect_to_vm();
		for (unsigned i = 0; i < 10 && !done; i++)
			sleep_ms(100);
		close_all(fds, SILENT_CLIENTS);
	}
	return connections;
}

static long say_half(void)
{
	int fds[32];
	long requests = 0;

	while (!done) {
		for (unsigned i = 0; i < 32; i++, requests++) {
			fds[i] = connect_to_vm();
			if (fds[i] >= 0)
				send_text(fds[i], "{\"id\":1,\"comma");
		}
		sleep_ms(20);
		close_all(fds, 32);
	}
	return requests;
}

// Its connection is closed long before the end of a line; then there is the next.
static long write_lines(void)
{
	static char chunk[CHUNK_BYTES];
	long bytes = 0;

	memset(chunk, 'x', sizeof(chunk));
	while (!done) {
		long left = LINE_BYTES;
		int fd = connect_to_vm();

		while (fd >= 0 && left > 0 && !done) {
			ssize_t sent = send(fd, chunk, sizeof(chunk), MSG_NOSIGNAL);

			if (sent < 0)
				break;
			left -= sent;
			bytes += sent;
		}
		if (fd >= 0)
			close(fd);
		sleep_ms(1);
	}
	return bytes;
}

static long write_noise(void)
{
	unsigned char noise[4096];
	unsigned seed = 1;
	long bytes = 0;

	while (!done) {
		int fd = connect_to_vm();

		for (unsigned i = 0; i < sizeof(noise); i++)
			noise[i] = (unsigned char)(rand_r(&seed) >> 8);
		if (fd < 0)
			continue;
		bytes += send(fd, noise, sizeof(noise), MSG_NOSIGNAL);
		close(fd);
		sleep_ms(1);
	}
	return bytes;
}

// What has not been read makes the socket's end sudden.
static long leave_early(void)
{
	long requests = 0;

	for (; !done; requests++) {
		int fd = connect_to_vm();

		if (fd < 0)
			continue;
		send_text(fd, "{\"id\":1,\"command\":\"stat\"}\n{\"id\":2,\"command\":\"stat\"}\n");
		sleep_ms(requests % 3);
		close(fd);
	}
	return requests;
}

static long never_read(void)
{
	long requests = 0;

	while (!done) {
		int fd = connect_to_vm();

		while (fd >= 0 && !done) {
			if (send(fd, "{\"command\":\"stat\"}\n", 19, MSG_NOSIGNAL | MSG_DONTWAIT) <
				    0 &&
			    errno != EAGAIN)
				break;
			requests++;
			sleep_ms(1);
		}
		if (fd >= 0)
			close(fd);
	}
	return requests;
}

// -- the one that behaves --

static bool read_until(int fd, const char *what)
{
	char text[8192];
	size_t used = 0;

	while (used + 1 < sizeof(text)) {
		ssize_t got = recv(fd, text + used, sizeof(text) - 1 - used, 0);

		if (got <= 0)
			return false;
		used += (size_t)got;
		text[used] = '\0';
		if (strstr(text, what))
			return true;
	}
	return false;
}

static bool ask(void)
{
	int fd = connect_to_vm();
	bool answered = fd >= 0 && read_until(fd, "\"protocol\"") &&
			send_text(fd, "{\"id\":7,\"command\":\"status\"}\n") &&
			read_until(fd, "\"id\":7,\"result\":");

	if (fd >= 0)
		close(fd);
	return answered;
}

static void behave(double end_ms)
{
	unsigned asked = 0, failed = 0, late = 0;
	double worst_ms = 0;

	for (; now_ms() < end_ms; asked++) {
		double begin = now_ms(), took;

		failed += !ask();
		took = now_ms() - begin;
		late += took > LATE_MS;
		worst_ms = took > worst_ms ? took : worst_ms;
		sleep_ms(50);
	}
	printf("asked %u, failed %u, late %u, worst %.1f ms\n", asked, failed, late, worst_ms);
}

// -- all of them --

static struct abuser {
	const char *name;
	long (*run)(void);
	pthread_t thread;
	long count;
} abusers[] = {
	{ .name = "silent connections", .run = be_silent },
	{ .name = "half requests", .run = say_half },
	{ .name = "bytes of endless lines", .run = write_lines },
	{ .name = "random bytes", .run = write_noise },
	{ .name = "clients that left early", .run = leave_early },
	{ .name = "requests without a reader", .run = never_read },
};

static void *run_abuser(void *opaque)
{
	struct abuser *abuser = opaque;

	abuser->count = abuser->run();
	return NULL;
}

int main(int argc, char **argv)
{
	struct rlimit files = { .rlim_cur = 4096, .rlim_max = 4096 };
	size_t count = sizeof(abusers) / sizeof(abusers[0]);

	if (argc != 3 || strlen(argv[1]) >= sizeof(address.sun_path))
		errx(2, "usage: abuse SOCKET SECONDS");
	strcpy(address.sun_path, argv[1]);
	if (setrlimit(RLIMIT_NOFILE, &files))
		err(2, "setrlimit");
	for (size_t i = 0; i < count; i++)
		if (pthread_create(&abusers[i].thread, NULL, run_abuser, &abusers[i]))
			errx(2, "pthread_create");
	behave(now_ms() + atof(argv[2]) * 1e3);
	done = true;
	for (size_t i = 0; i < count; i++) {
		pthread_join(abusers[i].thread, NULL);
		printf("%s: %ld\n", abusers[i].name, abusers[i].count);
	}
	return 0;
}
