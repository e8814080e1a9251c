// SPDX-License-Identifier: GPL-2.0-or-later
// A tap whose frames the host's kernel moves: its queues' vhost devices.

#include <errno.h>
#include <unistd.h>

#include "log.h"
#include "tap-priv.h"
#include "vhost.h"
#include "vm-config.h"

static int check_config(const struct tap *tap)
{
	const struct net_config *config = tap->config;

	if (config->rate.ops.per_s || config->rate.bytes.per_s)
		return net_fail(config, EINVAL,
				"vhost=1: kvik cannot limit frames that it does not see; leave "
				"iops= and bw= out, or vhost=1");
	if (!tap->net.info.vnet_header)
		return net_fail(config, EINVAL,
				"vhost=1: %s was opened without headers (IFF_VNET_HDR); open it "
				"with them, or leave vhost=1 out",
				tap->text);
	return 0;
}

int tap_open_vhost(struct tap *tap)
{
	struct net_info *info = &tap->net.info;
	int err;

	if (!tap->config->vhost)
		return 0;
	err = check_config(tap);
	for (unsigned i = 0; i < tap->queue_count && !err; i++) {
		tap->queues[i].vhost_fd = vhost_open(tap->config, VHOST_PATH, &info->ring_features);
		err = MIN(tap->queues[i].vhost_fd, 0);
	}
	return err;
}

void tap_close_vhost(struct tap *tap)
{
	for (unsigned i = 0; i < tap->queue_count; i++)
		if (tap->queues[i].vhost_fd >= 0)
			close(tap->queues[i].vhost_fd);
}

// -- as in struct net_ops --

int tap_set_up_rings(struct net *net, const struct memory *mem, uint64_t features)
{
	struct tap *tap = tap_of(net);

	for (unsigned i = 0; i < tap->queue_count; i++) {
		int err = vhost_set_up(tap->queues[i].vhost_fd, mem, features);

		if (err)
			return fail(-err, "%s: tell " VHOST_PATH " of the guest", tap->text);
	}
	return 0;
}

int tap_start_ring(struct net *net, unsigned queue, const struct net_ring *ring)
{
	struct tap *tap = tap_of(net);
	const struct tap_queue *pair = &tap->queues[queue / 2];
	int err = vhost_start_ring(pair->vhost_fd, queue % 2, ring, pair->file.fd);

	return err ? fail(-err, "%s: start queue %u by " VHOST_PATH, tap->text, queue) : 0;
}

void tap_stop_ring(struct net *net, unsigned queue, struct net_ring *ring)
{
	struct tap *tap = tap_of(net);
	int err = vhost_stop_ring(tap->queues[queue / 2].vhost_fd, queue % 2, ring);

	if (err)
		(void)fail(-err, "%s: stop queue %u by " VHOST_PATH, tap->text, queue);
}
