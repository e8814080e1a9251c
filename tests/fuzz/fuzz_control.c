// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzzes the control socket: the input is what one client sends before it falls silent.
//
// The server lives as long as the fuzzer; a main loop on a thread answers what is a
// request. The client must be given an end, whatever it sent.

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control.h"
#include "instance.h"
#include "log.h"
#include "loop.h"
#include "term.h"

#define NAME "fuzz"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct instance instance;
static struct loop main_loop;
static struct control *control;
static struct term *term; // without descriptors
static char directory[] = "/tmp/kvik-fuzz-XXXXXX";

static void handle(void *opaque, struct control_call *call)
{
	if (call->command[0] == 'e')
		control_reply(call, json_incref(call->arguments));
	else
		control_fail(call, "unknown-command", "no '%s'", call->command);
	control_event(control, "handled", NULL);
}

static void stop_server(void)
{
	loop_stop_thread(&main_loop);
	control_free(control);
	term_free(term);
	loop_exit(&main_loop);
	instance_release(&instance);
	rmdir(directory);
}

static void start_server(void)
{
	struct control_host host = { .vm_name = NAME, .main_loop = &main_loop, .handle = handle };
	struct term_events events = { 0 };
	int fd;

	log_set_level(LOG_LEVEL_ERROR);
	if (!mkdtemp(directory) || setenv("KVIK_RUNTIME_DIR", directory, 1) ||
	    instance_claim(&instance, NAME) || loop_init(&main_loop) ||
	    term_create(&host.term, &main_loop, -1, -1, events) ||
	    loop_start_thread(&main_loop, "main"))
		abort();
	term = host.term;
	fd = instance.listen_fd;
	instance.listen_fd = -1;
	if (control_create(&control, fd, host) || atexit(stop_server))
		abort();
}

// A viewer of the console is given none before the VM's end.
static bool may_view(const uint8_t *data, size_t size)
{
	return memmem(data, size, "console", 7) || memchr(data, '\\', size);
}

// To the end, which comes when all was answered.
static void read_answers(int fd, bool viewer)
{
	char text[4096];

	while (recv(fd, text, sizeof(text), viewer ? MSG_DONTWAIT : 0) > 0)
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool viewer = may_view(data, size);
	int fd;

	if (!control)
		start_server();
	fd = instance_connect(NAME);
	if (fd < 0)
		abort();
	while (size) {
		ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);

		if (sent < 0)
			break;
		data += sent;
		size -= (size_t)sent;
	}
	shutdown(fd, SHUT_WR);
	read_answers(fd, viewer);
	close(fd);
	return 0;
}
