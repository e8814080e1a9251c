// SPDX-License-Identifier: GPL-2.0-or-later
// The guest's TCP connections to the outside, by their own way past libslirp: with large
// windows, and no copy or checksum that the kernels do not make anyhow.
//
// What it does not take (connections to the guest, the name server's, what cannot be
// connected to) is libslirp's, which gives the guest its answer.
#ifndef KVIK_SLIRP_TCP_H
#define KVIK_SLIRP_TCP_H

#include <netinet/in.h>

#include "flow.h"
#include "polls.h"

// At a time; more are left to libslirp, too. Each may hold twice RING_BYTES, if guest and
// host want it so.
#define TCP_FLOWS_MAX 256

// The addresses of the network's that are not what they seem.
struct tcp_config {
	struct in_addr host, nameserver;
	struct in6_addr host6, nameserver6;
};

struct tcp;
// @wire without its time. 0 or -errno after a message.
int tcp_create(struct tcp **result, const struct tcp_config *config, struct tcp_wire wire)
	MUST_CHECK;
void tcp_free(struct tcp *tcp);
// A frame from the guest. False: it is not for it.
bool tcp_input(struct tcp *tcp, const uint8_t *frame, size_t len) MUST_CHECK;
// A round: what to wait for, and how long at most (INT64_MAX: for ever); what came; the end.
void tcp_add_polls(struct tcp *tcp, struct polls *polls);
int64_t tcp_deadline_ms(const struct tcp *tcp);
void tcp_take_polls(struct tcp *tcp, const struct polls *polls, int64_t now_ms);
void tcp_end_round(struct tcp *tcp);

#endif
