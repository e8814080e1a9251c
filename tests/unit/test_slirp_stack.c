// SPDX-License-Identifier: GPL-2.0-or-later
// kvik-slirp's rounds: when it wakes up for libslirp, which is one of the test's own here.

#include <pthread.h>
#include <setjmp.h>
#include <slirp/libslirp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../helpers/kvik-slirp/slirp-helper.h"

#include <cmocka.h>

#define HABIT_MS 1000 // what libslirp asks for when there is nothing to do
#define PATIENCE_MS 5000

// -- libslirp --

static uint32_t wanted_ms;
static bool has_socket;
static int socket_fd;
static atomic_uint rounds;

Slirp *slirp_new(const SlirpConfig *config, const SlirpCb *callbacks, void *opaque)
{
	return (Slirp *)&rounds;
}

void slirp_pollfds_fill(Slirp *slirp, uint32_t *timeout_ms, SlirpAddPollCb add_poll, void *opaque)
{
	*timeout_ms = MIN(*timeout_ms, wanted_ms);
	if (has_socket)
		add_poll(socket_fd, SLIRP_POLL_IN, opaque);
}

void slirp_pollfds_poll(Slirp *slirp, int error, SlirpGetREventsCb get_revents, void *opaque)
{
	rounds++;
}

void slirp_input(Slirp *slirp, const uint8_t *frame, int len)
{
}

int slirp_add_hostxfwd(Slirp *slirp, const struct sockaddr *host, socklen_t host_len,
		       const struct sockaddr *guest, socklen_t guest_len, int flags)
{
	return -1;
}

// -- a stack that runs --

struct rig {
	struct stack *stack;
	int fds[2];
	pthread_t thread;
	int result;
};

static void *run(void *opaque)
{
	struct rig *rig = opaque;

	rig->result = stack_run(rig->stack);
	return NULL;
}

static void start(struct rig *rig)
{
	struct settings settings = {
		.host_ip.s_addr = htonl(0x0a000001),
		.guest_ip.s_addr = htonl(0x0a00000f),
		.mtu = 1500,
	};

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, rig->fds), 0);
	settings.fd = rig->fds[1];
	socket_fd = rig->fds[0]; // nothing is ever there to read
	rounds = 0;
	assert_int_equal(stack_create(&rig->stack, &settings), 0);
	assert_int_equal(pthread_create(&rig->thread, NULL, run, rig), 0);
}

// A stack ends with its process: so each is left where the leak checker finds it.
static void stop(struct rig *rig)
{
	shutdown(rig->fds[0], SHUT_RDWR);
	pthread_join(rig->thread, NULL);
	assert_int_equal(rig->result, 0);
	close(rig->fds[0]);
	close(rig->fds[1]);
}

static bool comes_to(unsigned count)
{
	for (unsigned i = 0; i < PATIENCE_MS && rounds < count; i++)
		usleep(1000);
	return rounds >= count;
}

// -- tests --

// A connection that waits for the guest has no socket in the list, but its timers run.
static void test_timers_without_a_socket(void **state)
{
	static struct rig rig;

	wanted_ms = 10;
	has_socket = false;
	start(&rig);
	assert_true(comes_to(5));
	stop(&rig);
}

static void test_timers_with_a_socket(void **state)
{
	static struct rig rig;

	wanted_ms = 10;
	has_socket = true;
	start(&rig);
	assert_true(comes_to(5));
	stop(&rig);
}

static void test_sleeps_where_nothing_is_to_be_done(void **state)
{
	static struct rig rig;

	wanted_ms = HABIT_MS;
	has_socket = false;
	start(&rig);
	usleep((HABIT_MS + 200) * 1000);
	assert_int_equal(rounds, 0);
	stop(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_timers_without_a_socket),
		cmocka_unit_test(test_timers_with_a_socket),
		cmocka_unit_test(test_sleeps_where_nothing_is_to_be_done),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
