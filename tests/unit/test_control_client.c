// SPDX-License-Identifier: GPL-2.0-or-later
// The client's end of a control socket: when a VM is gone.
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util.h"

#include <cmocka.h>

#include "control-client.h"
#include "control.h"
#include "instance.h"

#define NAME "slow"

static char directory[] = "/tmp/kvik-client-XXXXXX";

// A process that greets its client, says no more, and has given up its name; it ends with
// @until's other end.
static void play_ending_vm(int until)
{
	struct instance instance;
	struct pollfd client;
	char byte;
	int fd;

	if (instance_claim(&instance, NAME))
		_exit(1);
	client = (struct pollfd){ .fd = instance.listen_fd, .events = POLLIN };
	if (poll(&client, 1, -1) != 1)
		_exit(1);
	fd = accept(instance.listen_fd, NULL, NULL);
	dprintf(fd, "{\"kvik\":{\"protocol\":%d}}\n", CONTROL_PROTOCOL);
	instance_release(&instance);
	close(fd);
	_exit(read(until, &byte, 1) != 0);
}

static int connect_soon(struct control_client *client)
{
	int err = -ENOENT;

	for (unsigned tries = 0; err == -ENOENT && tries < 1000; tries++) {
		err = control_connect(client, NAME);
		if (err)
			usleep(10000);
	}
	return err;
}

static void test_gone_with_its_process(void **state)
{
	struct control_client client;
	int until[2], status;
	pid_t pid;

	assert_int_equal(pipe(until), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(until[1]);
		play_ending_vm(until[0]);
	}
	close(until[0]);
	assert_int_equal(connect_soon(&client), 0);
	assert_int_equal(control_wait_gone(&client, 50), -ETIMEDOUT);
	close(until[1]);
	assert_int_equal(control_wait_gone(&client, 10000), 0);
	control_disconnect(&client);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static int make_directory(void **state)
{
	return !mkdtemp(directory) || setenv("KVIK_RUNTIME_DIR", directory, 1);
}

static int remove_directory(void **state)
{
	return rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gone_with_its_process),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
