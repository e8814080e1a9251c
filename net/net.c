// SPDX-License-Identifier: GPL-2.0-or-later
// Opens a network backend by its mode and hands each call on to it.

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "log.h"
#include "net-priv.h"
#include "vm-config.h"

// In the order of enum net_mode.
static int (*const openers[])(struct net **net, const struct net_config *config) = {
	[NET_USER] = net_user_open,
	[NET_TAP] = net_tap_open,
	[NET_STREAM] = net_stream_open,
};
static_assert(ARRAY_SIZE(openers) == NET_COUNT, "an opener for each mode");

int net_fail(const struct net_config *config, int errnum, const char *fmt, ...)
{
	char message[512];
	va_list args;

	errno = errnum; // for "%m"
	va_start(args, fmt);
	vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	if (config->optional)
		info("the guest has no network: %s", message);
	else
		err("--network: %s", message);
	return -errnum;
}

int net_open(struct net **net, const struct net_config *config)
{
	if (!openers[config->mode])
		return net_fail(config, ENOTSUP, "this build of kvik does not contain the mode");
	return openers[config->mode](net, config);
}

const struct net_info *net_info(const struct net *net)
{
	return &net->info;
}

void net_close(struct net *net)
{
	if (net)
		net->ops->close(net);
}

int net_attach(struct net *net, unsigned pair, struct loop *loop, struct net_events events)
{
	return net->ops->attach(net, pair, loop, events);
}

void net_detach(struct net *net, unsigned pair)
{
	net->ops->detach(net, pair);
}

int net_use_pairs(struct net *net, unsigned pairs)
{
	return net->ops->use_pairs ? net->ops->use_pairs(net, pairs) : 0;
}

void net_forget(struct net *net)
{
	if (net->ops->forget)
		net->ops->forget(net);
}

void net_watch(struct net *net, unsigned pair, bool receive)
{
	net->ops->watch(net, pair, receive);
}

int net_send(struct net *net, unsigned pair, const struct iovec *iov, unsigned count)
{
	return net->ops->send(net, pair, iov, count);
}

ssize_t net_receive(struct net *net, unsigned pair, const struct iovec *iov, unsigned count)
{
	return net->ops->receive(net, pair, iov, count);
}

int net_set_offloads(struct net *net, unsigned offloads)
{
	return net->ops->set_offloads ? net->ops->set_offloads(net, offloads) : 0;
}

int net_set_up_rings(struct net *net, const struct memory *mem, uint64_t features)
{
	return net->ops->set_up_rings(net, mem, features);
}

int net_start_ring(struct net *net, unsigned queue, const struct net_ring *ring)
{
	return net->ops->start_ring(net, queue, ring);
}

void net_stop_ring(struct net *net, unsigned queue, struct net_ring *ring)
{
	net->ops->stop_ring(net, queue, ring);
}
