// SPDX-License-Identifier: GPL-2.0-or-later
// The parts of kvik-slirp.
#ifndef KVIK_SLIRP_HELPER_H
#define KVIK_SLIRP_HELPER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "util.h"

// What the command line says.
struct settings {
	int fd;
	int area_fd; // -1: none
	struct in_addr host_ip;
	struct in_addr guest_ip;
	unsigned mtu;
	const char **forwards; // "PROTO:[ADDR:]PORT-[ADDR:]PORT"
	unsigned forward_count;
};

// One end of a forward.
struct endpoint {
	struct sockaddr_storage address;
	socklen_t len;
};

struct forward {
	bool udp;
	struct endpoint host;
	struct endpoint guest; // no address: the guest's first
};

// -EINVAL without a message.
int forward_parse(struct forward *forward, const char *text) MUST_CHECK;

// -- stack.c: libslirp between the socket and the host's network --

struct stack;
int stack_create(struct stack **result, const struct settings *settings) MUST_CHECK;
// Until the other end of the socket is closed: 0; or -errno after a message.
int stack_run(struct stack *stack) MUST_CHECK;

// -- confine.c --

// Gives up what the rest of the program does not need. 0 or -errno after a message.
int confine(void) MUST_CHECK;

#endif
