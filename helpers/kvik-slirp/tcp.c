// SPDX-License-Identifier: GPL-2.0-or-later
// The table of the guest's TCP connections.

#include "tcp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

#define BUCKETS 256
#define LEFT_MAX 256

struct tcp {
	struct tcp_config config;
	struct tcp_wire wire;
	struct flow *flows; // all of them
	unsigned flow_count;
	struct flow *buckets[BUCKETS]; // the same, by their names
	// The last ones that libslirp got: it may be connecting yet when their SYN is repeated.
	struct tcp_name left[LEFT_MAX];
	unsigned left_count; // ever
};

int tcp_create(struct tcp **result, const struct tcp_config *config, struct tcp_wire wire)
{
	struct tcp *tcp = calloc(1, sizeof(*tcp));

	if (!tcp)
		return fail(ENOMEM, "a table of connections");
	tcp->config = *config;
	tcp->wire = wire;
	*result = tcp;
	return 0;
}

// -- the table --

static struct flow **bucket_of(struct tcp *tcp, const struct tcp_name *name)
{
	unsigned hash = name->guest_port * 31U + name->host_port;

	return &tcp->buckets[(hash ^ hash >> 8) % BUCKETS];
}

static struct flow *find(struct tcp *tcp, const struct tcp_name *name)
{
	struct flow *flow = *bucket_of(tcp, name);

	while (flow && memcmp(&flow->name, name, sizeof(*name)) != 0)
		flow = flow->next_in_bucket;
	return flow;
}

static void add(struct tcp *tcp, struct flow *flow)
{
	struct flow **bucket = bucket_of(tcp, &flow->name);

	flow->next = tcp->flows;
	tcp->flows = flow;
	flow->next_in_bucket = *bucket;
	*bucket = flow;
	tcp->flow_count++;
}

// @link is what leads to it in the list of all.
static void take_out(struct tcp *tcp, struct flow **link)
{
	struct flow *flow = *link, **bucket_link = bucket_of(tcp, &flow->name);

	while (*bucket_link != flow)
		bucket_link = &(*bucket_link)->next_in_bucket;
	*bucket_link = flow->next_in_bucket;
	*link = flow->next;
	tcp->flow_count--;
	flow_free(flow);
}

// Calls @visit for each connection, and frees those that are done.
static void for_each(struct tcp *tcp, void (*visit)(struct flow *flow, void *opaque), void *opaque)
{
	struct flow **link = &tcp->flows;

	while (*link) {
		visit(*link, opaque);
		if ((*link)->state == FLOW_DONE)
			take_out(tcp, link);
		else
			link = &(*link)->next;
	}
}

static void end(struct flow *flow, void *opaque)
{
	flow->state = FLOW_DONE;
}

void tcp_free(struct tcp *tcp)
{
	for_each(tcp, end, NULL);
	free(tcp);
}

// -- frames from the guest --

// The router's address stands for the host.
static bool translate4(const struct tcp *tcp, const struct tcp_name *name, struct sockaddr_in *in4)
{
	in4->sin_family = AF_INET;
	in4->sin_port = name->host_port;
	memcpy(&in4->sin_addr, name->host_ip, sizeof(in4->sin_addr));
	if (in4->sin_addr.s_addr == tcp->config.nameserver.s_addr)
		return false;
	if (in4->sin_addr.s_addr == tcp->config.host.s_addr)
		in4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return true;
}

static bool translate6(const struct tcp *tcp, const struct tcp_name *name, struct sockaddr_in6 *in6)
{
	in6->sin6_family = AF_INET6;
	in6->sin6_port = name->host_port;
	memcpy(&in6->sin6_addr, name->host_ip, sizeof(in6->sin6_addr));
	if (IN6_ARE_ADDR_EQUAL(&in6->sin6_addr, &tcp->config.nameserver6) ||
	    IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr))
		return false;
	if (IN6_ARE_ADDR_EQUAL(&in6->sin6_addr, &tcp->config.host6))
		in6->sin6_addr = in6addr_loopback;
	return true;
}

static bool translate(const struct tcp *tcp, const struct tcp_name *name,
		      struct sockaddr_storage *address)
{
	memset(address, 0, sizeof(*address));
	if (name->ipv6)
		return translate6(tcp, name, (struct sockaddr_in6 *)address);
	return translate4(tcp, name, (struct sockaddr_in *)address);
}

static bool was_left(const struct tcp *tcp, const struct tcp_name *name)
{
	unsigned count = MIN(tcp->left_count, (unsigned)LEFT_MAX);

	for (unsigned i = 0; i < count; i++)
		if (memcmp(&tcp->left[i], name, sizeof(*name)) == 0)
			return true;
	return false;
}

static void leave(struct tcp *tcp, const struct tcp_name *name)
{
	tcp->left[tcp->left_count % LEFT_MAX] = *name;
	// The indices go on where they were when it wraps.
	tcp->left_count = tcp->left_count + 1 ? tcp->left_count + 1 : LEFT_MAX;
}

static bool open_flow(struct tcp *tcp, const struct segment *syn, const uint8_t *frame)
{
	struct sockaddr_storage address;
	struct flow *flow = NULL;

	if (!translate(tcp, &syn->name, &address) || was_left(tcp, &syn->name))
		return false;
	if (tcp->flow_count < TCP_FLOWS_MAX)
		flow = flow_open(&tcp->wire, syn, frame, &address);
	if (flow)
		add(tcp, flow);
	else
		leave(tcp, &syn->name);
	return flow != NULL;
}

bool tcp_input(struct tcp *tcp, const uint8_t *frame, size_t len)
{
	struct segment segment;
	struct flow *flow;

	if (!segment_parse(&segment, frame, len))
		return false;
	flow = find(tcp, &segment.name);
	if (!flow)
		return (segment.flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN &&
		       open_flow(tcp, &segment, frame);
	if (flow->state != FLOW_DONE)
		flow_input(flow, &segment);
	return true;
}

// -- rounds --

static void add_poll(struct flow *flow, void *opaque)
{
	short events = flow_events(flow);

	// Without events there would still be POLLHUP.
	flow->poll_index = events ? polls_add(opaque, flow->fd, events) : -1;
}

void tcp_add_polls(struct tcp *tcp, struct polls *polls)
{
	for_each(tcp, add_poll, polls);
}

static void take_poll(struct flow *flow, void *opaque)
{
	const struct polls *polls = opaque;
	short events = flow->poll_index < 0 ? 0 : polls->fds[flow->poll_index].revents;

	flow->poll_index = -1;
	if (events)
		flow_ready(flow, events);
}

void tcp_take_polls(struct tcp *tcp, const struct polls *polls, int64_t now_ms)
{
	tcp->wire.now_ms = now_ms;
	for_each(tcp, take_poll, (void *)polls);
}

int64_t tcp_deadline_ms(const struct tcp *tcp)
{
	int64_t nearest = INT64_MAX;

	for (const struct flow *flow = tcp->flows; flow; flow = flow->next)
		nearest = MIN(nearest, flow_deadline_ms(flow));
	return nearest;
}

static void end_round(struct flow *flow, void *opaque)
{
	flow_expire(flow);
	flow_push(flow);
}

void tcp_end_round(struct tcp *tcp)
{
	for_each(tcp, end_round, NULL);
}
