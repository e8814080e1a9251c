// SPDX-License-Identifier: GPL-2.0-or-later
// The network device (virtio 1.2 5.1): features, configuration, and its pairs of queues,
// each with a loop thread of its own.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "memory.h"
#include "metrics.h"
#include "net-priv.h"
#include "virtio-devices.h"
#include "vm-config.h"

#define QUEUE_SIZE 256

// 5.1.4
struct net_config_space {
	uint8_t mac[MAC_BYTES];
	uint16_t status;
	uint16_t max_virtqueue_pairs;
	uint16_t mtu;
};
static_assert(sizeof(struct net_config_space) == 12, "the layout of virtio 1.2 5.1.4");

// -- queues --

// Behind the last pair that the driver may use (5.1.2).
static unsigned control_queue(const struct virtio_net *net)
{
	return virtio_has_feature(&net->vdev, NET_F_MQ) ? 2 * net->pair_count : 2;
}

// The control queue runs beside the first pair.
static unsigned queue_loop(const struct virtio_device *vdev, unsigned queue, unsigned loops)
{
	unsigned pair = queue / 2;

	return pair < loops ? pair : 0;
}

static bool is_control_queue(const struct virtio_net *net, unsigned queue)
{
	return queue == control_queue(net) && virtio_has_feature(&net->vdev, NET_F_CTRL_VQ);
}

// Without NET_F_MQ there may be queues that belong to nobody.
static bool is_pair_queue(const struct virtio_net *net, unsigned queue)
{
	return queue < control_queue(net);
}

void net_on_pair(struct virtio_net *net, unsigned pair, void (*call)(void *arg), void *arg)
{
	struct loop *loop = net->pairs[pair].loop;

	if (pthread_equal(loop->thread, pthread_self()))
		call(arg);
	else
		loop_call(loop, call, arg);
}

static int start_queue(struct virtio_device *vdev, unsigned queue)
{
	struct virtio_net *net = to_net(vdev);
	struct net_pair *pair;

	if (!is_pair_queue(net, queue))
		return 0;
	pair = net_queue_pair(net, queue);
	if (net->vhost)
		return net_vhost_start(pair, queue);
	if (queue % 2)
		return net_send_start(pair);
	pair->in_use = pair->index == 0;
	pair->offloads = vdev->features_driver & NET_F_GUEST_OFFLOADS;
	pair->filter = net->filter;
	return net_receive_start(pair);
}

static void stop_queue(struct virtio_device *vdev, unsigned queue)
{
	struct virtio_net *net = to_net(vdev);

	if (!is_pair_queue(net, queue))
		return;
	if (net->vhost)
		net_vhost_stop(net_queue_pair(net, queue), queue);
	else if (queue % 2)
		net_send_stop(net_queue_pair(net, queue));
	else
		net_receive_stop(net_queue_pair(net, queue));
}

static void notify(struct virtio_device *vdev, unsigned queue)
{
	struct virtio_net *net = to_net(vdev);

	if (is_control_queue(net, queue))
		net_control_notified(net, queue);
	else if (!is_pair_queue(net, queue))
		return;
	else if (net->vhost)
		net_vhost_notified(net_queue_pair(net, queue), queue);
	else if (queue % 2)
		net_send_notified(net_queue_pair(net, queue));
	else
		net_receive_continue(net_queue_pair(net, queue));
}

// -- life of the driver --

static void reset_config(struct virtio_net *net)
{
	uint64_t mac = 0;

	memcpy(&mac, net->mac, MAC_BYTES);
	atomic_store(&net->config_mac, mac);
	atomic_fetch_and(&net->status, ~NET_S_ANNOUNCE);
}

static uint64_t ring_features(const struct virtio_net *net)
{
	return net->vdev.features_driver & net_info(net->net)->ring_features;
}

static int activate(struct virtio_device *vdev)
{
	struct virtio_net *net = to_net(vdev);
	int ret = net_set_offloads(net->net, net_offloads_of_features(vdev->features_driver));

	if (!ret)
		ret = net_use_pairs(net->net, 1);
	if (!ret && net->vhost)
		ret = net_set_up_rings(net->net, vdev->memory, ring_features(net));
	net->pairs_used = 1;
	// The control queue's, which with one pair only is the sole one that waits for others.
	vdev->leading_loop = queue_loop(vdev, control_queue(net), vdev->loop_count);
	net_filter_init(&net->filter, net->mac);
	net->filter.by_vlan = virtio_has_feature(vdev, NET_F_CTRL_VLAN);
	return ret;
}

static void reset(struct virtio_device *vdev)
{
	struct virtio_net *net = to_net(vdev);

	if (net_set_offloads(net->net, 0) || net_use_pairs(net->net, 1))
		warn("%s: %s keeps the offloads of the last driver", vdev->name,
		     net_info(net->net)->name);
	reset_config(net);
}

// -- what the backend tells --

static void on_readable(void *opaque)
{
	net_receive_continue(opaque);
}

static void on_writable(void *opaque)
{
	net_send_continue(opaque);
}

static void try_pair(void *arg)
{
	net_send_continue(arg);
	net_receive_continue(arg);
}

// Frames that waited for a peer are lost when it is gone, and come when it is back.
static void on_link_changed(void *opaque, bool up)
{
	struct virtio_net *net = ((struct net_pair *)opaque)->net;
	// A switch may have to learn anew where the guest is (5.1.6.5.4).
	unsigned status = up ? NET_S_LINK_UP | NET_S_ANNOUNCE : 0;

	if (!(atomic_load(&net->status) & NET_S_LINK_UP) == !up)
		return;
	atomic_store(&net->status, status);
	info("%s: %s: link is %s", net->vdev.name, net_info(net->net)->name, up ? "up" : "down");
	virtio_config_changed(&net->vdev);
	for (unsigned i = 0; i < net->pairs_used; i++)
		net_on_pair(net, i, try_pair, &net->pairs[i]);
}

// -- register side --

static uint64_t features(struct virtio_device *vdev)
{
	const struct virtio_net *net = to_net(vdev);
	const struct net_info *backend = net_info(net->net);
	uint64_t bits = NET_F_MAC | NET_F_STATUS | NET_F_MRG_RXBUF | NET_F_CTRL_VQ | NET_F_CTRL_RX |
			NET_F_CTRL_RX_EXTRA | NET_F_CTRL_VLAN | NET_F_CTRL_MAC_ADDR |
			NET_F_GUEST_ANNOUNCE;

	bits |= net_send_features(backend->send_offloads);
	bits |= net_receive_features(backend->receive_offloads);
	if (backend->receive_offloads)
		bits |= NET_F_CTRL_GUEST_OFFLOADS;
	if (net->pair_count > 1)
		bits |= NET_F_MQ;
	if (net->vhost && !(backend->ring_features & NET_F_MRG_RXBUF))
		bits &= ~NET_F_MRG_RXBUF;
	return net->mtu ? bits | NET_F_MTU : bits;
}

static void config_read(struct virtio_device *vdev, uint32_t offset, void *data, unsigned len)
{
	struct virtio_net *net = to_net(vdev);
	uint64_t mac = atomic_load(&net->config_mac);
	bool announces = virtio_has_feature(vdev, NET_F_GUEST_ANNOUNCE);
	struct net_config_space config = {
		.status = atomic_load(&net->status) & (announces ? ~0u : NET_S_LINK_UP),
		.max_virtqueue_pairs = net->pair_count,
		.mtu = net->mtu,
	};

	memcpy(config.mac, &mac, sizeof(config.mac));
	memcpy(data, (const char *)&config + offset, len);
}

static void hold(struct virtio_device *vdev, bool hold)
{
	struct virtio_net *net = to_net(vdev);

	for (unsigned i = 0; net->vhost && i < net->pair_count; i++)
		net_vhost_hold(&net->pairs[i], hold);
}

static void forget_guest(void *arg)
{
	net_forget(arg);
}

static void forget(struct virtio_device *vdev)
{
	struct virtio_net *net = to_net(vdev);

	net_on_pair(net, 0, forget_guest, net->net);
}

// -- life --

struct attachment {
	struct net_pair *pair;
	int ret;
};

static void attach_pair(void *arg)
{
	struct attachment *attachment = arg;
	struct net_pair *pair = attachment->pair;
	struct virtio_net *net = pair->net;
	struct net_events events = {
		.readable = on_readable,
		.writable = on_writable,
		.link_changed = on_link_changed,
		.opaque = pair,
	};

	rate_waiter_init(&pair->receive_rate, &net->receive_limit, pair->loop,
			 net_receive_rate_ready);
	rate_waiter_init(&pair->send_rate, &net->send_limit, pair->loop, net_send_rate_ready);
	attachment->ret = net_attach(net->net, pair->index, pair->loop, events);
	if (attachment->ret || !net->vhost)
		return;
	attachment->ret = net_vhost_attach(pair);
	if (attachment->ret)
		net_detach(net->net, pair->index);
}

static void detach_pair(void *arg)
{
	struct net_pair *pair = arg;

	if (pair->net->vhost)
		net_vhost_detach(pair);
	net_detach(pair->net->net, pair->index);
	rate_waiter_exit(&pair->receive_rate);
	rate_waiter_exit(&pair->send_rate);
}

static void detach_pairs(struct virtio_net *net)
{
	while (net->attached--)
		net_on_pair(net, net->attached, detach_pair, &net->pairs[net->attached]);
}

static int attach_pairs(struct virtio_net *net)
{
	for (unsigned i = 0; i < net->pair_count; i++) {
		struct attachment attachment = { .pair = &net->pairs[i] };

		net_on_pair(net, i, attach_pair, &attachment);
		if (attachment.ret)
			return attachment.ret;
		net->attached++;
	}
	return 0;
}

static struct io_totals add_totals(const struct virtio_net *net)
{
	struct io_totals totals = { 0 };

	for (unsigned i = 0; i < net->pair_count; i++)
		io_totals_add(&totals, &net->pairs[i].stats);
	return totals;
}

static void report_totals(struct virtio_net *net)
{
	struct io_totals totals = add_totals(net);

	io_totals_debug(&totals, net->vdev.name);
}

static void net_metrics(struct virtio_device *vdev, struct metric_sink *sink)
{
	struct io_totals totals = add_totals(to_net(vdev));

	metric_put_io(sink, vdev->name, &totals);
}

static void free_net(struct virtio_net *net)
{
	rate_limit_exit(&net->receive_limit);
	rate_limit_exit(&net->send_limit);
	net_close(net->net);
	free(net);
}

static void virtio_net_free(struct virtio_device *vdev)
{
	struct virtio_net *net = to_net(vdev);

	virtio_reset(vdev);
	detach_pairs(net);
	virtio_exit(vdev);
	report_totals(net);
	free_net(net);
}

static const struct virtio_ops net_ops = {
	.type = VIRTIO_TYPE_NET,
	.name = "net",
	.queue_count = 2 * NET_QUEUE_PAIRS_MAX + 1,
	.queue_size_max = QUEUE_SIZE,
	.features = features,
	.config_read = config_read,
	.config_bytes = sizeof(struct net_config_space),
	.queue_loop = queue_loop,
	.activate = activate,
	.start_queue = start_queue,
	.stop_queue = stop_queue,
	.reset = reset,
	.notify = notify,
	.hold = hold,
	.forget = forget,
	.metrics = net_metrics,
	.free = virtio_net_free,
};
static_assert(2 * NET_QUEUE_PAIRS_MAX + 1 <= VIRTIO_MAX_QUEUES, "room for all queues");

static int start_net(struct virtio_net *net, const char *name, struct memory *mem)
{
	struct virtio_setup setup = {
		.name = name,
		.memory = mem,
		.threads = net->pair_count,
		.queue_count = 2 * net->pair_count + 1,
		.ring_features = net_info(net->net)->ring_features,
	};
	int ret = virtio_init(&net->vdev, &net_ops, &setup);

	if (ret)
		return ret;
	for (unsigned i = 0; i < net->pair_count; i++) {
		net->pairs[i] = (struct net_pair){
			.net = net,
			.index = i,
			.loop = virtio_queue_loop(&net->vdev, 2 * i),
			.receive_queue = &net->vdev.queues[2 * i],
			.send_queue = &net->vdev.queues[2 * i + 1],
			.send_owed.expired = net_send_late,
		};
	}
	ret = attach_pairs(net);
	if (!ret)
		return 0;
	detach_pairs(net);
	virtio_exit(&net->vdev);
	return ret;
}

// The accelerator must be told of what is written, and the host's kernel does not tell.
static int check_memory(const struct virtio_net *net, const char *name, const struct memory *mem)
{
	if (!net->vhost || !mem->written)
		return 0;
	return fail_msg(
		ENOTSUP,
		"%s: vhost=1 is not for the software engine, which would not learn what the "
		"host's kernel writes to the guest's memory; leave it out, or use --accel kvm",
		name);
}

int virtio_net_create(struct virtio_device **vdev, const char *name, struct memory *mem,
		      struct net *backend, const struct net_config *config)
{
	const struct net_info *info = net_info(backend);
	struct virtio_net *net = calloc(1, sizeof(*net));
	int ret;

	if (!net) {
		net_close(backend);
		return fail(ENOMEM, "%s", name);
	}
	net->net = backend;
	net->pair_count = MIN(MAX(config->queue_pairs, 1u), info->queue_pairs_max);
	net->vhost = info->ring_features;
	net->mtu = config->mtu ? config->mtu : info->mtu;
	memcpy(net->mac, config->any_mac && info->has_mac ? info->mac : config->mac, MAC_BYTES);
	rate_limit_init(&net->receive_limit, &config->rate);
	rate_limit_init(&net->send_limit, &config->rate);
	atomic_init(&net->status, NET_S_LINK_UP);
	reset_config(net);
	ret = check_memory(net, name, mem);
	if (!ret)
		ret = start_net(net, name, mem);
	if (ret) {
		free_net(net);
		return ret;
	}
	*vdev = &net->vdev;
	return 0;
}
