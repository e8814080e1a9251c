// SPDX-License-Identifier: GPL-2.0-or-later
// One TCP connection of the guest's (RFC 9293): its end on this side, and the host's socket.
//
// The path to the guest is a socket between processes and a virtqueue: no congestion to
// control, no segments out of order. One is lost only where the guest has no memory for it.

#include "flow.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define WINDOW_SHIFT 4 // that RING_BYTES fit into 16 bits
#define WINDOW_MAX 65535U
#define READ_ROOM_MIN (RING_BYTES / 8) // not for a few bytes each
#define ACK_BYTES (8 * KIB)            // less waits for an answer that goes along with it
#define ACK_DELAY_MS 20
#define RETRY_FIRST_MS 300
#define RETRY_SHIFT_MAX 5U // up to 10 s
#define REPEATS_LOSS 3     // RFC 5681 3.2: so many say that a segment is lost
#define ANSWERS_MAX 6      // then the guest is taken for gone
#define SILENCE_MS 120000  // then it is asked whether it still knows the connection
#define MSS_DEFAULT 536U   // RFC 9293 3.7.1
#define MSS_MIN 88U        // half of a segment are headers then; as Linux

// -- sending to the guest --

static uint16_t window_field(const struct flow *flow, uint8_t flags)
{
	// A SYN's is never scaled (RFC 7323 2.2).
	unsigned shift = flags & TCP_SYN ? 0 : (unsigned)flow->shift;

	return (uint16_t)MIN(ring_room(&flow->to_host) >> shift, (size_t)WINDOW_MAX);
}

static unsigned ip_and_tcp_bytes(const struct flow *flow)
{
	return flow->name.ipv6 ? 60 : 40;
}

// @len bytes from @offset on of what waits for the guest. False: not now.
static bool emit(struct flow *flow, uint8_t flags, size_t offset, size_t len)
{
	uint8_t headers[SEGMENT_HEADERS_MAX];
	struct segment segment = {
		.name = flow->name,
		.seq = flow->acknowledged + (uint32_t)offset,
		.ack = flow->expected,
		.window = window_field(flow, flags),
		.flags = flags,
		.window_shift = SEGMENT_NO_SHIFT,
		.len = len,
	};
	struct iovec iov[3];
	unsigned count = 1;

	if (flags & TCP_SYN) {
		segment.mss = (uint16_t)(flow->wire->mtu - ip_and_tcp_bytes(flow));
		segment.window_shift = flow->shift ? flow->shift : SEGMENT_NO_SHIFT;
	}
	iov[0] = (struct iovec){ headers, segment_write_headers(headers, &segment, flow->macs) };
	if (len)
		count += ring_slice(&flow->to_guest, offset, len, &iov[1]);
	if (!flow->wire->send(flow->wire->opaque, iov, count))
		return false;
	flow->ack_due = false;
	flow->ack_ms = 0;
	flow->expected_told = flow->expected;
	flow->window_told = ring_room(&flow->to_host);
	return true;
}

static void note_sent(struct flow *flow, size_t len)
{
	flow->sent += (uint32_t)len;
	if ((int32_t)(flow->sent - flow->sent_most) > 0)
		flow->sent_most = flow->sent;
}

// One segment at most where the guest does not answer, and one byte of it where it has no
// room: @probe. Returns its length, or 0.
static size_t next_length(const struct flow *flow, size_t sent, bool probe)
{
	size_t waits = flow->to_guest.used - MIN(sent, flow->to_guest.used);
	size_t room = flow->window - MIN((size_t)flow->window, sent);
	size_t most = MIN(room, flow->segment_max), len = MIN(waits, most);

	if (flow->retries && sent)
		return 0;
	if (!len && waits && probe)
		return 1;
	// Not a small one for want of room (RFC 9293 3.8.6.2.1).
	return len < waits && len < flow->segment_max && sent ? 0 : len;
}

static void push_data(struct flow *flow, bool probe)
{
	size_t sent = flow->sent - flow->acknowledged, len;

	while ((len = next_length(flow, sent, probe))) {
		bool last = sent + len == flow->to_guest.used;

		if (!emit(flow, TCP_ACK | (last ? TCP_PSH : 0), sent, len))
			return;
		note_sent(flow, len);
		sent += len;
	}
	if (flow->host_ended && !flow->fin_acknowledged && sent == flow->to_guest.used &&
	    emit(flow, TCP_FIN | TCP_ACK, sent, 0))
		note_sent(flow, 1);
}

static void arm_timer(struct flow *flow)
{
	bool waits = flow->sent_most != flow->acknowledged ||
		     (flow->to_guest.used && !flow->window);

	if (!waits)
		flow->retry_ms = 0;
	else if (!flow->retry_ms)
		flow->retry_ms = flow->wire->now_ms +
				 (RETRY_FIRST_MS << MIN(flow->retries, RETRY_SHIFT_MAX));
}

static void check_done(struct flow *flow)
{
	if (flow->shut && flow->fin_acknowledged && !flow->ack_due)
		flow->state = FLOW_DONE;
}

// The guest may not speak again: it must come to know.
static void abandon(struct flow *flow)
{
	flow->state = FLOW_ABANDONED;
	flow->ack_ms = 0;
	flow->retry_ms = 0;
	flow->ask_ms = 0;
}

static void push(struct flow *flow, bool probe)
{
	if (flow->state == FLOW_ABANDONED &&
	    emit(flow, TCP_RST | TCP_ACK, flow->sent - flow->acknowledged, 0))
		flow->state = FLOW_DONE;
	if (flow->state != FLOW_OPEN)
		return;
	push_data(flow, probe);
	if (flow->ack_due)
		emit(flow, TCP_ACK, flow->sent - flow->acknowledged, 0);
	arm_timer(flow);
	check_done(flow);
}

void flow_push(struct flow *flow)
{
	push(flow, false);
}

// Our SYN, which is repeated until the guest has it.
static void answer(struct flow *flow)
{
	flow->state = FLOW_ANSWERED;
	flow->sent = flow->sent_most = flow->acknowledged + 1;
	(void)!emit(flow, TCP_SYN | TCP_ACK, 0, 0);
	arm_timer(flow);
}

int64_t flow_deadline_ms(const struct flow *flow)
{
	const int64_t deadlines_ms[] = { flow->ack_ms, flow->retry_ms, flow->ask_ms };
	int64_t nearest = INT64_MAX;

	for (unsigned i = 0; i < ARRAY_SIZE(deadlines_ms); i++)
		if (deadlines_ms[i])
			nearest = MIN(nearest, deadlines_ms[i]);
	return nearest;
}

static void hear(struct flow *flow)
{
	flow->ask_ms = flow->wire->now_ms + SILENCE_MS;
}

// A guest that was started anew, or waits no more for the host's end, refuses this one
// (RFC 9293 3.8.4); one that knows it acknowledges.
static void ask(struct flow *flow)
{
	hear(flow);
	(void)!emit(flow, TCP_ACK, (size_t)-1, 0);
}

// A guest that does not answer may be paused: it is never given up, and one that has been
// started anew refuses what it does not know.
static void retry(struct flow *flow)
{
	flow->retry_ms = 0;
	flow->retries++;
	if (flow->state == FLOW_ANSWERED && flow->retries > ANSWERS_MAX) {
		abandon(flow);
	} else if (flow->state == FLOW_ANSWERED) {
		answer(flow);
	} else {
		flow->sent = flow->acknowledged;
		push(flow, true);
	}
}

void flow_expire(struct flow *flow)
{
	// Where the guest takes no frames, nothing is gained by waking up for it again.
	if (flow->ack_ms && flow->ack_ms <= flow->wire->now_ms) {
		flow->ack_due = true;
		flow->ack_ms = 0;
	}
	if (flow->ask_ms && flow->ask_ms <= flow->wire->now_ms)
		ask(flow);
	if (flow->retry_ms && flow->retry_ms <= flow->wire->now_ms)
		retry(flow);
}

// -- the host's socket --

// Data from the guest: how many bytes were taken, sent at once or kept.
static size_t send_to_host(struct flow *flow, const uint8_t *data, size_t len)
{
	ssize_t n = 0;

	if (!flow->to_host.used && len)
		n = send(flow->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		abandon(flow);
		return 0;
	}
	n = MAX(n, (ssize_t)0);
	return (size_t)n + ring_put(&flow->to_host, data + n, len - (size_t)n);
}

static void tell_end(struct flow *flow)
{
	if (!flow->guest_ended || flow->shut || flow->to_host.used)
		return;
	flow->shut = true;
	shutdown(flow->fd, SHUT_WR);
}

static void continue_to_host(struct flow *flow)
{
	struct iovec pieces[2];
	struct msghdr message = { .msg_iov = pieces };
	ssize_t n;

	message.msg_iovlen = ring_slice(&flow->to_host, 0, flow->to_host.used, pieces);
	n = sendmsg(flow->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		abandon(flow);
		return;
	}
	ring_drop(&flow->to_host, (size_t)MAX(n, (ssize_t)0));
	// The guest may have stopped for want of room.
	flow->ack_due |= flow->window_told < RING_BYTES / 4 &&
			 ring_room(&flow->to_host) >= RING_BYTES / 2;
	tell_end(flow);
}

static void receive_from_host(struct flow *flow)
{
	struct iovec pieces[2];
	unsigned count;
	ssize_t n;

	if (!ring_allocate(&flow->to_guest, flow->wire->area)) {
		abandon(flow);
		return;
	}
	count = ring_slice(&flow->to_guest, flow->to_guest.used, ring_room(&flow->to_guest),
			   pieces);
	n = readv(flow->fd, pieces, (int)count);
	if (n > 0)
		flow->to_guest.used += (size_t)n;
	else if (n == 0)
		flow->host_ended = true;
	else if (errno != EAGAIN && errno != EINTR)
		abandon(flow);
}

static void finish_connecting(struct flow *flow)
{
	socklen_t len = sizeof(int);
	int error = 0, on = 1;

	if (getsockopt(flow->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error) {
		abandon(flow);
		return;
	}
	// The guest has put together already what it wants to.
	(void)setsockopt(flow->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	answer(flow);
}

short flow_events(const struct flow *flow)
{
	bool wants_more = !flow->host_ended && ring_room(&flow->to_guest) >= READ_ROOM_MIN;

	if (flow->state == FLOW_CONNECTING)
		return POLLOUT;
	if (flow->state != FLOW_OPEN)
		return 0;
	return (short)((wants_more ? POLLIN : 0) | (flow->to_host.used ? POLLOUT : 0));
}

void flow_ready(struct flow *flow, short events)
{
	short wanted = flow_events(flow);

	if (flow->state == FLOW_CONNECTING) {
		finish_connecting(flow);
		return;
	}
	if (flow->to_host.used && (events & ~POLLIN))
		continue_to_host(flow);
	if ((wanted & POLLIN) && (events & ~POLLOUT) && flow->state == FLOW_OPEN)
		receive_from_host(flow);
}

// -- what the guest sends --

static void answered(struct flow *flow)
{
	flow->retries = 0;
	flow->retry_ms = 0;
}

// A guest that had no room has not kept what was sent to find out.
static void take_window(struct flow *flow, uint32_t window)
{
	if (!flow->window && window) {
		flow->sent = flow->acknowledged;
		answered(flow);
	}
	flow->window = window;
}

// It is sent again without waiting for the time when it would be anyhow.
static void count_repeat(struct flow *flow)
{
	if (flow->sent_most != flow->acknowledged && ++flow->repeats == REPEATS_LOSS &&
	    !flow->retries)
		flow->retry_ms = flow->wire->now_ms;
}

static void take_ack(struct flow *flow, const struct segment *segment)
{
	uint32_t acked = segment->ack - flow->acknowledged;
	size_t data = MIN((size_t)acked, flow->to_guest.used);
	uint32_t window;
	bool repeats;

	if ((int32_t)acked < 0)
		return; // an old one
	if (acked > flow->sent_most - flow->acknowledged) {
		flow->ack_due = true;
		return;
	}
	window = (uint32_t)segment->window << flow->guest_shift;
	repeats = !acked && !segment->len && window == flow->window;
	take_window(flow, window);
	if (!acked) {
		if (repeats)
			count_repeat(flow);
		return;
	}
	ring_drop(&flow->to_guest, data);
	flow->fin_acknowledged = acked > data;
	flow->acknowledged = segment->ack;
	if ((int32_t)(flow->sent - flow->acknowledged) < 0)
		flow->sent = flow->acknowledged;
	flow->repeats = 0;
	answered(flow);
}

static void acknowledge(struct flow *flow, bool at_once)
{
	size_t bytes = flow->expected - flow->expected_told;

	if (at_once || bytes >= MIN(ACK_BYTES, 2 * flow->segment_max))
		flow->ack_due = true;
	else if (!flow->ack_ms)
		flow->ack_ms = flow->wire->now_ms + ACK_DELAY_MS;
}

// What is not the next is acknowledged again: the guest repeats from there.
static void take_data(struct flow *flow, const struct segment *segment)
{
	uint32_t known = flow->expected - segment->seq; // of its bytes
	size_t fresh, taken;
	bool fin = segment->flags & TCP_FIN;

	if (!segment->len && !fin && !known)
		return;
	if (known > segment->len || flow->guest_ended) {
		flow->ack_due = true;
		return;
	}
	fresh = segment->len - known;
	taken = send_to_host(flow, segment->data + known, fresh);
	if (flow->state != FLOW_OPEN)
		return;
	flow->expected += (uint32_t)taken;
	acknowledge(flow, known || taken < fresh || fin);
	if (fin && taken == fresh) {
		flow->guest_ended = true;
		flow->expected++;
	}
	tell_end(flow);
}

// The host is to see the same.
static void take_reset(struct flow *flow)
{
	const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

	(void)setsockopt(flow->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	flow->state = FLOW_DONE;
}

// The acknowledgement of our SYN opens the connection.
static bool is_open(struct flow *flow, const struct segment *segment)
{
	if (flow->state == FLOW_ANSWERED && segment->ack == flow->acknowledged + 1) {
		flow->state = FLOW_OPEN;
		flow->acknowledged++;
		answered(flow);
	}
	return flow->state == FLOW_OPEN;
}

void flow_input(struct flow *flow, const struct segment *segment)
{
	if (segment->flags & TCP_RST) {
		// RFC 5961 3.2
		if (segment->seq == flow->expected)
			take_reset(flow);
		else
			flow->ack_due = true;
	} else if (segment->flags & TCP_SYN) {
		if (flow->state == FLOW_ANSWERED)
			answer(flow);
		flow->ack_due = flow->state == FLOW_OPEN; // RFC 5961 4.2
	} else if ((segment->flags & TCP_ACK) && is_open(flow, segment)) {
		take_ack(flow, segment);
		take_data(flow, segment);
	}
	if (flow->state == FLOW_OPEN)
		hear(flow);
}

// -- its beginning and end --

// Urgent data are data (RFC 6093 4), and keepalives of the guest's end at this side of the
// connection.
static void prepare_socket(int fd)
{
	const int on = 1;

	(void)setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

static int connect_to(const struct sockaddr_storage *address)
{
	socklen_t len = address->ss_family == AF_INET ? sizeof(struct sockaddr_in) :
							sizeof(struct sockaddr_in6);
	int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	prepare_socket(fd);
	if (connect(fd, (const struct sockaddr *)address, len) == 0 || errno == EINPROGRESS)
		return fd;
	close(fd);
	return -1;
}

static void take_options(struct flow *flow, const struct segment *syn)
{
	unsigned mss = syn->mss ? MAX((unsigned)syn->mss, MSS_MIN) : MSS_DEFAULT;

	if (syn->window_shift != SEGMENT_NO_SHIFT) {
		flow->shift = WINDOW_SHIFT;
		flow->guest_shift = syn->window_shift;
	}
	flow->window = syn->window;
	flow->segment_max = MIN(mss, flow->wire->mtu - ip_and_tcp_bytes(flow));
}

struct flow *flow_open(struct tcp_wire *wire, const struct segment *syn,
		       const uint8_t macs[SEGMENT_MACS_BYTES],
		       const struct sockaddr_storage *address)
{
	struct flow *flow = calloc(1, sizeof(*flow));

	if (!flow)
		return NULL;
	flow->wire = wire;
	flow->name = syn->name;
	memcpy(flow->macs, macs, sizeof(flow->macs));
	flow->fd = connect_to(address);
	if (flow->fd < 0) {
		free(flow);
		return NULL;
	}
	(void)!getrandom(&flow->acknowledged, sizeof(flow->acknowledged), GRND_NONBLOCK);
	flow->sent = flow->sent_most = flow->acknowledged;
	flow->expected = syn->seq + 1;
	take_options(flow, syn);
	return flow;
}

void flow_free(struct flow *flow)
{
	close(flow->fd);
	ring_free(&flow->to_guest);
	ring_free(&flow->to_host);
	free(flow);
}
