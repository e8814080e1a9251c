// SPDX-License-Identifier: GPL-2.0-or-later
// User-mode networking: a helper process with a network stack, which needs no privilege.
//
// The helper is kvik-slirp or passt, on a socket pair. When it ends, the guest sees its
// link go down, and another one is started, at ever longer intervals when that does not
// help either.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "user-priv.h"
#include "vm-config.h"

#define FIRST_DELAY_NS (100 * NSEC_PER_MSEC)
#define LONGEST_DELAY_NS (5 * NSEC_PER_SEC)
#define GOOD_RUN_NS (10 * NSEC_PER_SEC) // after which an end is no part of a series

struct user_net {
	struct stream stream;
	struct helper helper;
	uint64_t started_ns;
	bool failing; // ended once, and did not run well since
};

static struct user_net *user_of(struct stream *stream)
{
	return container_of(stream, struct user_net, stream);
}

static int start(struct stream *stream)
{
	struct user_net *net = user_of(stream);

	net->started_ns = clock_monotonic_ns();
	return helper_start(&net->helper);
}

static uint64_t next_delay(const struct user_net *net)
{
	return net->failing ? MIN(net->stream.redial_ns * 2, LONGEST_DELAY_NS) : FIRST_DELAY_NS;
}

// kill() and a socket's end may come in either order, so what the helper said is read last.
static void lost(struct stream *stream, const char *why)
{
	struct user_net *net = user_of(stream);
	struct helper *helper = &net->helper;
	char how[64];

	if (clock_monotonic_ns() - net->started_ns >= GOOD_RUN_NS)
		net->failing = false;
	helper_stop(helper, how, sizeof(how));
	stream->redial_ns = next_delay(net);
	if (!net->failing)
		warn("network %s: ended by %s%s%s; starting it again", stream->name, how,
		     helper->last_line[0] && !helper->verbose ? ": " : "",
		     helper->verbose ? "" : helper->last_line);
	net->failing = true;
}

// With its process go all connections of a helper, and nothing less makes it forget them.
static int renew(struct stream *stream)
{
	char how[64];

	helper_stop(&user_of(stream)->helper, how, sizeof(how));
	return start(stream);
}

static int attach(struct stream *stream)
{
	helper_watch(&user_of(stream)->helper, stream->loop);
	return 0;
}

static void detach(struct stream *stream)
{
	helper_watch(&user_of(stream)->helper, NULL);
}

static void close_user(struct stream *stream)
{
	struct user_net *net = user_of(stream);
	char how[64];

	frames_area_unmap(&stream->in.area);
	stream_exit(stream);
	helper_stop(&net->helper, how, sizeof(how));
	helper_free(&net->helper);
	free(net);
}

static const struct stream_source helper_source = {
	.dial = start,
	.lost = lost,
	.renew = renew,
	.attach = attach,
	.detach = detach,
	.close = close_user,
};

static uint16_t default_mtu(const struct net_config *config)
{
	return config->backend == NET_USER_PASST ? USER_MTU_PASST : USER_MTU_SLIRP;
}

// kvik-slirp takes packets of any size, whatever the MTU, and makes no checksums for those of
// its own, which have not left the host.
static void offer_offloads(struct net_info *info)
{
	info->vnet_header = true;
	info->send_offloads = NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6;
	info->receive_offloads = NET_OFFLOAD_CSUM;
}

// Where it keeps what the guest is to get, so that this need not go through the socket. It goes
// there where that cannot be.
static void share_area(struct user_net *net)
{
	int err = helper_share_area(&net->helper);

	err = err ? err : frames_area_map(&net->stream.in.area, net->helper.area_fd, false);
	if (err)
		debug("network %s: no memory is shared with it: %s", net->stream.name,
		      strerror(-err));
}

static int open_helper(struct user_net *net, const struct net_config *config)
{
	int fd, err = helper_prepare(&net->helper, config);

	if (err)
		return err;
	fd = start(&net->stream);
	if (fd < 0)
		return net_fail(config, -fd, "start %s: %m", net->helper.path);
	stream_connect(&net->stream, fd);
	return 0;
}

int net_user_open(struct net **net, const struct net_config *config)
{
	struct user_net *user = calloc(1, sizeof(*user));
	int err;

	if (!user)
		return net_fail(config, ENOMEM, "%m");
	err = stream_init(&user->stream, &helper_source);
	if (err) {
		free(user);
		return err;
	}
	user->helper.messages.fd = -1;
	user->helper.area_fd = -1;
	user->helper.verbose = config->backend == NET_USER_SLIRP;
	snprintf(user->stream.name, sizeof(user->stream.name), "%s",
		 user->helper.verbose ? "kvik-slirp" : "passt");
	user->stream.net.info.mtu = config->mtu ? config->mtu : default_mtu(config);
	if (config->backend == NET_USER_SLIRP) {
		offer_offloads(&user->stream.net.info);
		share_area(user);
	}
	err = open_helper(user, config);
	if (err)
		close_user(&user->stream);
	else
		*net = &user->stream.net;
	return err;
}
