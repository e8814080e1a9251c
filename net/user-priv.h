// SPDX-License-Identifier: GPL-2.0-or-later
// A helper program that is the other end of a user-mode network.
#ifndef KVIK_NET_USER_PRIV_H
#define KVIK_NET_USER_PRIV_H

#include <limits.h>

#include "log.h"
#include "stream-priv.h"

#define USER_FD 3      // the socket's number in the helper
#define USER_AREA_FD 4 // and that of the memory it shares with kvik, if it does
#define USER_AREA_BYTES (32 * MIB)
#define USER_LINE_BYTES 400
#define USER_MTU_SLIRP 65520
#define USER_MTU_MAX 65520U // of both helpers; beyond 65521 libslirp does not go
#define USER_MTU_PASST 1500
#define USER_HOST_IP "192.168.33.1"
#define USER_GUEST_IP "192.168.33.15"

// Runs at most once at a time; what it writes on its standard error becomes messages.
struct helper {
	char path[PATH_MAX];
	char **argv; // ends with NULL; owned
	int area_fd; // -1: none; owned
	pid_t pid;   // 0: does not run
	struct loop *loop;
	struct loop_fd messages; // .fd -1: none
	bool watching;
	char line[USER_LINE_BYTES];
	size_t line_len;
	char last_line[USER_LINE_BYTES]; // empty: it said nothing
	bool verbose;                    // its messages are for the user
	struct log_ratelimit limit;
};

// Makes an area_fd for it, before all else. 0 or -errno without a message.
int helper_share_area(struct helper *helper) MUST_CHECK;
// Finds the program and makes its arguments. 0 or -errno after net_fail().
int helper_prepare(struct helper *helper, const struct net_config *config) MUST_CHECK;
// Starts it on the other end of a new socket. Our end's descriptor, or -errno without a
// message.
int helper_start(struct helper *helper) MUST_CHECK;
// Ends it, if it has not ended, and writes how it ended to @how.
void helper_stop(struct helper *helper, char *how, size_t size);
// Its messages are reported by @loop; NULL: they wait.
void helper_watch(struct helper *helper, struct loop *loop);
void helper_free(struct helper *helper); // stopped

#endif
