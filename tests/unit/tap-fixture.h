// SPDX-License-Identifier: GPL-2.0-or-later
// For tests on real interfaces: a network of their own, and a packet socket as peer.
#ifndef KVIK_TAP_FIXTURE_H
#define KVIK_TAP_FIXTURE_H

#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util.h"

#include <cmocka.h>

#define TYPE 0x88b5 // IEEE 802: for local experiments

static const char *why_not;

// -- a network of our own --

static inline void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd >= 0 && write(fd, text, strlen(text)) < 0)
		why_not = "this host lets a user map no ids";
	if (fd >= 0)
		close(fd);
}

static inline void unshare_network(void)
{
	char map[32];

	snprintf(map, sizeof(map), "0 %u 1", getuid());
	if (unshare(CLONE_NEWNET) == 0)
		return;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
		why_not = "this host gives a user no network of its own";
		return;
	}
	write_text("/proc/self/setgroups", "deny");
	write_text("/proc/self/uid_map", map);
}

// IPv6 looks for routers and neighbours by itself: no frame but the tests' shall pass.
static inline void silence_network(void)
{
	const char *const files[] = {
		"/proc/sys/net/ipv6/conf/all/disable_ipv6",
		"/proc/sys/net/ipv6/conf/default/disable_ipv6",
	};

	for (unsigned i = 0; i < ARRAY_SIZE(files); i++)
		if (access(files[i], W_OK) == 0)
			write_text(files[i], "1");
}

static inline void try_tap(void)
{
	int fd = open("/dev/net/tun", O_RDWR);
	struct ifreq ifr = { .ifr_flags = IFF_TAP };

	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0)
		why_not = "this host has no taps for a user";
	if (fd >= 0)
		close(fd);
}

// Sets @why_not where that fails.
static inline void enter_network(void)
{
	unshare_network();
	silence_network();
	if (!why_not)
		try_tap();
}

// All tests at once, as TAP has it; main()'s result.
static inline int skip_all(void)
{
	printf("1..0 # SKIP %s\n", why_not);
	return 0;
}

// -- frames --

static inline int open_packets(const char *name)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(TYPE),
		.sll_ifindex = (int)if_nametoindex(name),
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(TYPE));

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static inline void make_frame(uint8_t *frame, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		frame[i] = (uint8_t)(i * 3);
	memset(frame, 0xff, 6);
	memcpy(frame + 6, "\x02\x01\x02\x03\x04\x05", 6);
	frame[12] = TYPE >> 8;
	frame[13] = TYPE & 0xff;
}

#endif
