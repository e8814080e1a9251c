// SPDX-License-Identifier: GPL-2.0-or-later
// Between the guest's socket and the host's network: libslirp, but for the guest's TCP
// connections (tcp.c).
//
// A round: sleep in poll(), look at the sockets of the host's that are ready, take what came
// from the guest, by the bufferful, and send all small frames that this made for the guest
// with one call of the kernel's. Each frame follows a header of virtio's, by which the guest
// leaves checksums to us, and we to it. What TCP has for the guest lies in memory that is
// shared with kvik, and frames refer to it.

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <slirp/libslirp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "area.h"
#include "frames.h"
#include "iov.h"
#include "log.h"
#include "net.h"
#include "polls.h"
#include "slirp-helper.h"
#include "tcp.h"
#include "vnet.h"

#define IN_BYTES (512 * KIB)
// More waits only while the guest takes nothing; then frames are lost, as on a wire.
#define OUT_BYTES (4 * MIB)
#define COPY_BYTES 4096 // larger frames are sent at once, as they lie
#define NAMESERVER 3    // the last byte of its address
#define SLIRP_IDLE_MS 1000

struct timer {
	SlirpTimerCb expired;
	void *opaque;
	int64_t deadline_ms; // INT64_MAX: not armed
	struct timer *next;
};

struct stack {
	Slirp *slirp;
	int fd;
	struct frames_buffer in;
	struct frames_buffer out;
	bool full;    // the socket takes no more in this round
	bool refused; // so TCP could not send something
	struct area area;
	struct tcp *tcp;
	struct timer *timers;
	struct polls polls; // the first is the guest's socket
	struct log_ratelimit limit;
};

// -- what libslirp calls --

// Whether all but the frame's beginning does.
static bool lies_in_area(const struct stack *stack, const struct iovec *iov, unsigned count)
{
	for (unsigned i = 1; i < count; i++)
		if (!area_has(&stack->area, iov[i].iov_base, iov[i].iov_len))
			return false;
	return count > 1;
}

// A frame that waits in @out is sent.
static bool send_frame(struct stack *stack, const struct iovec *iov, unsigned count)
{
	int err;

	if (stack->full || iov_total(iov, count) <= COPY_BYTES)
		return frames_put(&stack->out, iov, count) == 0;
	if (lies_in_area(stack, iov, count))
		return frames_put_shared(&stack->out, &stack->area.memory, iov, count) == 0;
	err = frames_send(&stack->out, stack->fd, iov, count);
	// An end of the connection is found at the end of the round.
	stack->full = err != 0;
	return err != -ENOBUFS;
}

static ssize_t send_packet(const void *frame, size_t len, void *opaque)
{
	// Its checksums are good, and it has not left the host since.
	struct net_header header = { .flags = NET_HEADER_DATA_VALID };
	const struct iovec iov[] = { { &header, sizeof(header) }, { (void *)frame, len } };

	(void)!send_frame(opaque, iov, 2);
	return (ssize_t)len;
}

// For TCP, which keeps what cannot be sent.
static bool send_segment(void *opaque, const struct iovec *iov, unsigned count)
{
	struct stack *stack = opaque;

	bool sent = !stack->full && send_frame(stack, iov, count);

	stack->refused |= !sent;
	return sent;
}

static void guest_error(const char *message, void *opaque)
{
	struct stack *stack = opaque;

	if (log_ratelimit_ok(&stack->limit))
		err("%s", message);
}

static int64_t now_ns(void *opaque)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * (int64_t)NSEC_PER_SEC + now.tv_nsec;
}

static void *timer_new(SlirpTimerCb expired, void *cb_opaque, void *opaque)
{
	struct stack *stack = opaque;
	struct timer *timer = malloc(sizeof(*timer));

	if (!timer)
		return NULL;
	*timer = (struct timer){ expired, cb_opaque, INT64_MAX, stack->timers };
	stack->timers = timer;
	return timer;
}

static void timer_free(void *which, void *opaque)
{
	struct stack *stack = opaque;
	struct timer **link = &stack->timers;

	while (*link && *link != which)
		link = &(*link)->next;
	if (*link)
		*link = (*link)->next;
	free(which);
}

static void timer_mod(void *which, int64_t deadline_ms, void *opaque)
{
	struct timer *timer = which;

	if (timer)
		timer->deadline_ms = deadline_ms;
}

static void ignore_fd(int fd, void *opaque)
{
}

static void ignore_notify(void *opaque)
{
}

static const struct SlirpCb callbacks = {
	.send_packet = send_packet,
	.guest_error = guest_error,
	.clock_get_ns = now_ns,
	.timer_new = timer_new,
	.timer_free = timer_free,
	.timer_mod = timer_mod,
	.register_poll_fd = ignore_fd,
	.unregister_poll_fd = ignore_fd,
	.notify = ignore_notify,
};

// -- creation --

// The smallest network, of 256 addresses at least, that holds both.
static struct in_addr common_mask(const struct settings *settings)
{
	uint32_t differ = ntohl(settings->host_ip.s_addr ^ settings->guest_ip.s_addr);
	uint32_t mask = 0xffffff00;

	while (differ & mask)
		mask <<= 1;
	return (struct in_addr){ .s_addr = htonl(mask) };
}

// An address of the network's that neither has.
static struct in_addr nameserver_ip(const struct settings *settings, struct in_addr network)
{
	for (uint32_t last = NAMESERVER;; last++) {
		struct in_addr ip = { .s_addr = network.s_addr | htonl(last) };

		if (ip.s_addr != settings->host_ip.s_addr && ip.s_addr != settings->guest_ip.s_addr)
			return ip;
	}
}

static int check_addresses(const struct settings *settings, struct in_addr mask)
{
	uint32_t outside = ~ntohl(mask.s_addr), host = ntohl(settings->host_ip.s_addr) & outside;
	uint32_t guest = ntohl(settings->guest_ip.s_addr) & outside;

	if (host == guest)
		return fail_msg(EINVAL, "--guest-ip: is the router's; give another");
	if (!(ntohl(mask.s_addr) & 0xff000000) || !host || !guest || host == outside ||
	    guest == outside)
		return fail_msg(EINVAL, "--host-ip and --guest-ip are no two hosts of a network");
	return 0;
}

static void set_ipv6(SlirpConfig *config)
{
	// A network of our own (RFC 4193): fd, "kvi", "k".
	inet_pton(AF_INET6, "fd6b:7669:6b00::", &config->vprefix_addr6);
	inet_pton(AF_INET6, "fd6b:7669:6b00::1", &config->vhost6);
	inet_pton(AF_INET6, "fd6b:7669:6b00::3", &config->vnameserver6);
	config->vprefix_len = 64;
	config->in6_enabled = true;
}

static int create_tcp(struct stack *stack, const SlirpConfig *config)
{
	const struct tcp_config addresses = {
		.host = config->vhost,
		.nameserver = config->vnameserver,
		.host6 = config->vhost6,
		.nameserver6 = config->vnameserver6,
	};
	const struct tcp_wire wire = {
		.send = send_segment,
		.opaque = stack,
		.mtu = (unsigned)config->if_mtu,
		.area = stack->area.memory.data ? &stack->area : NULL,
	};

	return tcp_create(&stack->tcp, &addresses, wire);
}

static int create_slirp(struct stack *stack, const struct settings *settings)
{
	struct in_addr mask = common_mask(settings);
	SlirpConfig config = {
		.version = 4,
		.in_enabled = true,
		.vnetmask = mask,
		.vnetwork.s_addr = settings->host_ip.s_addr & mask.s_addr,
		.vhost = settings->host_ip,
		.vdhcp_start = settings->guest_ip,
		.vhostname = "kvik",
		.if_mtu = settings->mtu,
		.if_mru = settings->mtu,
	};
	int err = check_addresses(settings, mask);

	if (err)
		return err;
	config.vnameserver = nameserver_ip(settings, config.vnetwork);
	set_ipv6(&config);
	stack->slirp = slirp_new(&config, &callbacks, stack);
	if (!stack->slirp)
		return fail_msg(EINVAL, "libslirp refuses this configuration");
	return create_tcp(stack, &config);
}

static int add_forward(struct stack *stack, const struct settings *settings, const char *text)
{
	struct forward forward;
	struct sockaddr_in *guest = (struct sockaddr_in *)&forward.guest.address;

	if (forward_parse(&forward, text))
		return fail_msg(EINVAL,
				"--forward %s: is not of the form PROTO:[ADDR:]PORT-[ADDR:]PORT",
				text);
	if (guest->sin_family == AF_INET && !guest->sin_addr.s_addr)
		guest->sin_addr = settings->guest_ip;
	if (slirp_add_hostxfwd(stack->slirp, (struct sockaddr *)&forward.host.address,
			       forward.host.len, (struct sockaddr *)&forward.guest.address,
			       forward.guest.len, forward.udp ? SLIRP_HOSTFWD_UDP : 0) < 0)
		return fail(errno, "--forward %s", text);
	return 0;
}

static int fill_stack(struct stack *stack, const struct settings *settings)
{
	int err = frames_buffer_init(&stack->in, IN_BYTES);

	err = err ? err : frames_buffer_init(&stack->out, OUT_BYTES);
	if (!err && settings->area_fd >= 0)
		err = area_open(&stack->area, settings->area_fd);
	err = err ? err : create_slirp(stack, settings);
	for (unsigned i = 0; i < settings->forward_count && !err; i++)
		err = add_forward(stack, settings, settings->forwards[i]);
	return err;
}

int stack_create(struct stack **result, const struct settings *settings)
{
	struct stack *stack = calloc(1, sizeof(*stack));
	int err;

	if (!stack)
		return fail(ENOMEM, "a network stack");
	stack->fd = settings->fd;
	err = fill_stack(stack, settings);
	if (!err)
		*result = stack;
	else
		free(stack); // the process ends
	return err;
}

// -- rounds --

static int add_poll(int fd, int events, void *opaque)
{
	return polls_add(opaque, fd,
			 (short)((events & SLIRP_POLL_IN ? POLLIN : 0) |
				 (events & SLIRP_POLL_OUT ? POLLOUT : 0) |
				 (events & SLIRP_POLL_PRI ? POLLPRI : 0)));
}

static int get_revents(int index, void *opaque)
{
	const struct polls *polls = opaque;
	int events = index < 0 ? 0 : polls->fds[index].revents;

	return (events & POLLIN ? SLIRP_POLL_IN : 0) | (events & POLLOUT ? SLIRP_POLL_OUT : 0) |
	       (events & POLLPRI ? SLIRP_POLL_PRI : 0) | (events & POLLERR ? SLIRP_POLL_ERR : 0) |
	       (events & POLLHUP ? SLIRP_POLL_HUP : 0);
}

static int64_t now_ms(void)
{
	return now_ns(NULL) / NSEC_PER_MSEC;
}

static uint32_t timer_timeout_ms(const struct stack *stack)
{
	int64_t nearest = tcp_deadline_ms(stack->tcp), now = now_ms();

	for (const struct timer *timer = stack->timers; timer; timer = timer->next)
		nearest = MIN(nearest, timer->deadline_ms);
	// The guest has taken all since: nothing else would tell that it can be tried again.
	if (stack->refused && frames_empty(&stack->out))
		return 0;
	if (nearest == INT64_MAX)
		return UINT32_MAX;
	return nearest <= now ? 0 : (uint32_t)MIN(nearest - now, (int64_t)INT_MAX);
}

static void run_timers(struct stack *stack)
{
	struct timer *next;

	for (struct timer *timer = stack->timers; timer; timer = next) {
		next = timer->next;
		if (timer->deadline_ms > now_ms())
			continue;
		timer->deadline_ms = INT64_MAX;
		timer->expired(timer->opaque);
	}
}

static int sleep_for_events(struct stack *stack)
{
	uint32_t timeout_ms = timer_timeout_ms(stack), slirp_ms = UINT32_MAX;
	struct polls *polls = &stack->polls;
	int ready;

	polls->count = 0;
	if (polls_add(polls, stack->fd, POLLIN | (frames_empty(&stack->out) ? 0 : POLLOUT)) < 0)
		return fail(ENOMEM, "a list of sockets");
	slirp_pollfds_fill(stack->slirp, &slirp_ms, add_poll, polls);
	// It always wants to be called. Without a socket of the host's and a timer of TCP's, for
	// which it would not wait that long, there is nothing that it would have to look after.
	if (polls->count > 1 || slirp_ms < SLIRP_IDLE_MS)
		timeout_ms = MIN(timeout_ms, slirp_ms);
	tcp_add_polls(stack->tcp, polls);
	ready = poll(polls->fds, polls->count, timeout_ms > INT_MAX ? -1 : (int)timeout_ms);
	if (ready < 0 && errno != EINTR)
		return fail(errno, "poll");
	slirp_pollfds_poll(stack->slirp, ready < 0, get_revents, polls);
	tcp_take_polls(stack->tcp, polls, now_ms());
	return 0;
}

// A frame with the header before it. What is left to us is done for libslirp, which checks.
static void take_frame(struct stack *stack, uint8_t *data, size_t len)
{
	const struct iovec iov = { data, len };
	size_t header = NET_VNET_HEADER_BYTES;

	if (len < header || tcp_input(stack->tcp, data + header, len - header))
		return;
	if (!vnet_complete(&iov, 1, len))
		slirp_input(stack->slirp, data + header, (int)(len - header));
}

// 0, or 1 at the end.
static int take_frames(struct stack *stack)
{
	ssize_t n = frames_fill(&stack->in, stack->fd, SIZE_MAX), length;
	uint8_t *frame;

	if (n == -EAGAIN)
		return 0;
	if (n <= 0)
		return 1;
	while ((length = frames_next(&stack->in, &frame)) > 0)
		take_frame(stack, frame, (size_t)length);
	return length == -EAGAIN ? 0 : fail_msg(EPROTO, "what comes from kvik are no frames");
}

int stack_run(struct stack *stack)
{
	int end = 0;

	while (!end) {
		int err = sleep_for_events(stack);

		if (err)
			return err;
		if (stack->polls.fds[0].revents & ~POLLOUT)
			end = take_frames(stack);
		run_timers(stack);
		stack->refused = false;
		tcp_end_round(stack->tcp);
		err = frames_flush(&stack->out, stack->fd);
		stack->full = err == -EAGAIN;
		if (err && err != -EAGAIN)
			return 0; // closed
	}
	return MIN(end, 0);
}
