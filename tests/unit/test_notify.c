// SPDX-License-Identifier: GPL-2.0-or-later
// Word to the service manager: where it goes, and what is in it.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "util.h"

#include <cmocka.h>

#include "notify.h"

static int listen_at(const char *name, size_t len)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(address.sun_path, name, len);
	assert_int_equal(bind(fd, (struct sockaddr *)&address,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
			 0);
	return fd;
}

static void assert_arrives(int fd, const char *wanted)
{
	char text[256] = "";

	assert_true(recv(fd, text, sizeof(text) - 1, 0) >= 0);
	assert_string_equal(text, wanted);
}

static void test_path(void **state)
{
	struct notify notify;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/tmp/kvik-notify-%d", getpid());
	fd = listen_at(path, strlen(path));
	setenv("NOTIFY_SOCKET", path, 1);
	notify_init(&notify);
	assert_null(getenv("NOTIFY_SOCKET"));
	notify_send(&notify, "READY=1\nMAINPID=%d", 42);
	assert_arrives(fd, "READY=1\nMAINPID=42");
	close(fd);
	unlink(path);
	notify_send(&notify, "STOPPING=1"); // nobody is there any more
}

static void test_abstract(void **state)
{
	struct notify notify;
	char path[64];
	int fd, len = snprintf(path, sizeof(path), "@kvik-notify-%d", getpid());

	setenv("NOTIFY_SOCKET", path, 1);
	path[0] = '\0';
	fd = listen_at(path, (size_t)len);
	notify_init(&notify);
	notify_send(&notify, "STATUS=well");
	assert_arrives(fd, "STATUS=well");
	close(fd);
}

static void test_none(void **state)
{
	struct notify notify;
	char path[256];

	unsetenv("NOTIFY_SOCKET");
	notify_init(&notify);
	notify_send(&notify, "READY=1");
	setenv("NOTIFY_SOCKET", "relative", 1);
	notify_init(&notify);
	assert_int_equal(notify.address_bytes, 0);
	memset(path, '/', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	setenv("NOTIFY_SOCKET", path, 1);
	notify_init(&notify);
	assert_int_equal(notify.address_bytes, 0);
	notify_send(&notify, "READY=1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_path),
		cmocka_unit_test(test_abstract),
		cmocka_unit_test(test_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
