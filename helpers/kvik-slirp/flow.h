// SPDX-License-Identifier: GPL-2.0-or-later
// One TCP connection of the guest's: its end on this side, and the host's socket behind it.
//
// Data waits in two rings. What came from the host stays there until the guest has
// acknowledged it, since frames may be lost in the guest; the window that the guest sees is
// the room in the other. So nothing has to be dropped in either direction.
#ifndef KVIK_SLIRP_FLOW_H
#define KVIK_SLIRP_FLOW_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "ring.h"
#include "segment.h"

// What all connections share.
struct tcp_wire {
	// Sends a frame, virtio's header before it, to the guest. False: not now, and it was not.
	bool (*send)(void *opaque, const struct iovec *iov, unsigned count);
	void *opaque;
	unsigned mtu;
	struct area *area; // where send() needs no copy of data; NULL: nowhere
	int64_t now_ms;
};

enum flow_state {
	FLOW_CONNECTING, // the host's socket is; the guest waits
	FLOW_ANSWERED,   // our SYN is out
	FLOW_OPEN,       // the guest has acknowledged that
	FLOW_ABANDONED,  // the guest is still to be told by a RST
	FLOW_DONE,       // to be freed
};

struct flow {
	struct flow *next, *next_in_bucket; // the table's
	struct tcp_wire *wire;
	struct tcp_name name;
	uint8_t macs[SEGMENT_MACS_BYTES]; // of the guest's first frame
	enum flow_state state;
	int fd;
	int poll_index;
	// To the guest. In sequence numbers: acknowledged <= sent <= sent_most.
	struct ring to_guest; // from @acknowledged on
	uint32_t acknowledged, sent, sent_most;
	uint32_t window; // from @acknowledged on
	size_t segment_max;
	int guest_shift;
	bool host_ended; // a FIN follows what is in @to_guest
	bool fin_acknowledged;
	// From the guest.
	struct ring to_host;
	uint32_t expected;
	uint32_t expected_told; // that is acknowledged
	size_t window_told;
	int shift;
	bool guest_ended;
	bool shut; // the host knows
	bool ack_due;
	int64_t ack_ms; // 0: none, or it is due then unless something is sent before
	// Retransmission.
	int64_t retry_ms; // 0: none
	unsigned retries; // without an answer since
	unsigned repeats; // of the guest's last acknowledgement
	int64_t ask_ms;   // 0: not open
};

// For the guest's SYN: connects to @address, which stands for the host that it named. NULL:
// that failed at once.
struct flow *flow_open(struct tcp_wire *wire, const struct segment *syn,
		       const uint8_t macs[SEGMENT_MACS_BYTES],
		       const struct sockaddr_storage *address);
void flow_free(struct flow *flow);
// A segment from the guest.
void flow_input(struct flow *flow, const struct segment *segment);
// What to wait for on the host's socket; 0: nothing. POLL*.
short flow_events(const struct flow *flow);
void flow_ready(struct flow *flow, short events);
// Sends to the guest what there is to send. At the end of a round, and when wire->send()
// takes frames again.
void flow_push(struct flow *flow);
// When there is something to do without anything having come; INT64_MAX: never.
int64_t flow_deadline_ms(const struct flow *flow);
// If it has passed.
void flow_expire(struct flow *flow);

#endif
