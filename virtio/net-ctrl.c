// SPDX-License-Identifier: GPL-2.0-or-later
// The control queue of the network device (virtio 1.2 5.1.6.5).

#include <errno.h>
#include <string.h>

#include "net-priv.h"

enum { ACK_OK = 0, ACK_ERR = 1 };
enum {
	CLASS_RX = 0,
	CLASS_MAC = 1,
	CLASS_VLAN = 2,
	CLASS_ANNOUNCE = 3,
	CLASS_MQ = 4,
	CLASS_GUEST_OFFLOADS = 5
};

struct request {
	struct virtio_net *net;
	const struct virtqueue_chain *chain;
	uint8_t class;
	uint8_t command;
	size_t at; // of what is next in the chain
};

// False where the request ends before that.
static bool take_bytes(struct request *request, void *data, size_t len)
{
	const struct virtqueue_chain *chain = request->chain;
	size_t got = iov_to_buf(chain->out, chain->out_count, request->at, data, len);

	request->at += got;
	return got == len;
}

// -- filters --

struct filter_update {
	struct net_pair *pair;
	const struct net_filter *filter;
};

static void copy_filter(void *arg)
{
	struct filter_update *update = arg;

	update->pair->filter = *update->filter;
}

static bool apply_filter(struct virtio_net *net)
{
	for (unsigned i = 0; i < net->pair_count; i++) {
		struct filter_update update = { &net->pairs[i], &net->filter };

		net_on_pair(net, i, copy_filter, &update);
	}
	return true;
}

// 5.1.6.5.1
static bool set_receive_mode(struct request *request)
{
	struct net_filter *filter = &request->net->filter;
	bool *const modes[] = {
		&filter->promiscuous,  &filter->all_multicast, &filter->all_unicast,
		&filter->no_multicast, &filter->no_unicast,    &filter->no_broadcast,
	};
	uint8_t on;

	if (request->command >= ARRAY_SIZE(modes) || !take_bytes(request, &on, sizeof(on)))
		return false;
	*modes[request->command] = on;
	return apply_filter(request->net);
}

static bool take_mac_table(struct request *request, struct net_mac_table *table)
{
	uint32_t count;

	*table = (struct net_mac_table){ 0 };
	if (!take_bytes(request, &count, sizeof(count)))
		return false;
	if (count > (request->chain->out_bytes - request->at) / MAC_BYTES)
		return false;
	table->all = count > NET_FILTER_MACS;
	if (table->all) {
		request->at += (size_t)count * MAC_BYTES;
		return true;
	}
	table->count = count;
	return take_bytes(request, table->macs, (size_t)count * MAC_BYTES);
}

static bool set_mac_tables(struct request *request)
{
	struct net_mac_table unicast, multicast;

	if (!take_mac_table(request, &unicast) || !take_mac_table(request, &multicast))
		return false;
	request->net->filter.unicast = unicast;
	request->net->filter.multicast = multicast;
	return apply_filter(request->net);
}

static bool set_mac_address(struct request *request)
{
	struct virtio_net *net = request->net;
	uint8_t mac[MAC_BYTES];
	uint64_t config_mac = 0;

	if (!take_bytes(request, mac, sizeof(mac)))
		return false;
	memcpy(net->filter.mac, mac, sizeof(mac));
	memcpy(&config_mac, mac, sizeof(mac));
	atomic_store(&net->config_mac, config_mac);
	return apply_filter(net);
}

// 5.1.6.5.2
static bool set_mac(struct request *request)
{
	switch (request->command) {
	case 0:
		return set_mac_tables(request);
	case 1:
		return set_mac_address(request);
	default:
		return false;
	}
}

// 5.1.6.5.3
static bool set_vlan(struct request *request)
{
	uint8_t *vlans = request->net->filter.vlans;
	uint16_t id;

	if (request->command > 1 || !take_bytes(request, &id, sizeof(id)) || id >= 4096)
		return false;
	if (request->command == 0)
		vlans[id / 8] |= 1u << id % 8;
	else
		vlans[id / 8] &= ~(1u << id % 8);
	return apply_filter(request->net);
}

// -- the rest --

// 5.1.6.5.4
static bool acknowledge_announcement(struct request *request)
{
	if (request->command != 0)
		return false;
	atomic_fetch_and(&request->net->status, ~NET_S_ANNOUNCE);
	virtio_config_changed(&request->net->vdev);
	return true;
}

struct pairs_update {
	struct virtio_net *net;
	unsigned pairs;
	int ret;
};

static void use_pairs(void *arg)
{
	struct pairs_update *update = arg;

	update->ret = net_use_pairs(update->net->net, update->pairs);
	if (!update->ret)
		update->net->pairs_used = update->pairs;
}

static void use_pair(void *arg)
{
	struct net_pair *pair = arg;

	pair->in_use = true;
	net_receive_continue(pair);
}

static void leave_pair(void *arg)
{
	struct net_pair *pair = arg;

	pair->in_use = false;
	net_receive_continue(pair);
}

// 5.1.6.5.5
static bool set_pairs(struct request *request)
{
	struct virtio_net *net = request->net;
	struct pairs_update update = { .net = net };
	uint16_t pairs;

	if (request->command != 0 || !take_bytes(request, &pairs, sizeof(pairs)) || !pairs ||
	    pairs > net->pair_count)
		return false;
	update.pairs = pairs;
	net_on_pair(net, 0, use_pairs, &update);
	for (unsigned i = 0; i < net->pair_count && !update.ret; i++)
		net_on_pair(net, i, i < pairs ? use_pair : leave_pair, &net->pairs[i]);
	return !update.ret;
}

struct offloads_update {
	struct net_pair *pair;
	uint64_t offloads;
	int ret;
};

static void set_backend_offloads(void *arg)
{
	struct offloads_update *update = arg;

	update->ret = net_set_offloads(update->pair->net->net,
				       net_offloads_of_features(update->offloads));
}

static void set_pair_offloads(void *arg)
{
	struct offloads_update *update = arg;

	update->pair->offloads = update->offloads;
}

// 5.1.6.5.6
static bool set_offloads(struct request *request)
{
	struct virtio_net *net = request->net;
	struct offloads_update update = { .pair = &net->pairs[0] };

	if (request->command != 0 || !take_bytes(request, &update.offloads, sizeof(uint64_t)) ||
	    update.offloads & ~(net->vdev.features_driver & NET_F_GUEST_OFFLOADS))
		return false;
	net_on_pair(net, 0, set_backend_offloads, &update);
	for (unsigned i = 0; i < net->pair_count && !update.ret; i++) {
		update.pair = &net->pairs[i];
		net_on_pair(net, i, set_pair_offloads, &update);
	}
	return !update.ret;
}

// -- requests --

// The feature that each class of commands comes with.
static const struct class
{
	uint64_t feature;
	bool (*serve)(struct request *request);
} classes[] = {
	[CLASS_RX] = { NET_F_CTRL_RX, set_receive_mode },
	[CLASS_MAC] = { NET_F_CTRL_MAC_ADDR | NET_F_CTRL_RX, set_mac },
	[CLASS_VLAN] = { NET_F_CTRL_VLAN, set_vlan },
	[CLASS_ANNOUNCE] = { NET_F_GUEST_ANNOUNCE, acknowledge_announcement },
	[CLASS_MQ] = { NET_F_MQ, set_pairs },
	[CLASS_GUEST_OFFLOADS] = { NET_F_CTRL_GUEST_OFFLOADS, set_offloads },
};

static bool serve(struct request *request)
{
	return take_bytes(request, &request->class, 1) &&
	       take_bytes(request, &request->command, 1) && request->class < ARRAY_SIZE(classes) &&
	       virtio_has_feature(&request->net->vdev, classes[request->class].feature) &&
	       classes[request->class].serve(request);
}

static bool take_request(struct virtio_device *vdev, unsigned queue, struct virtqueue_chain *chain)
{
	struct request request = { .net = to_net(vdev), .chain = chain };
	struct virtqueue *vq = &vdev->queues[queue];
	uint8_t ack;

	if (!chain->in_bytes) {
		virtio_fail(vdev, "a control request has no place for its result");
		return false;
	}
	ack = serve(&request) ? ACK_OK : ACK_ERR;
	iov_from_buf(chain->in, chain->in_count, 0, &ack, sizeof(ack));
	virtqueue_mark_written(vq, chain->in, chain->in_gpa, chain->in_count, sizeof(ack));
	virtqueue_push(vq, chain->head, sizeof(ack));
	return true;
}

void net_control_notified(struct virtio_net *net, unsigned queue)
{
	struct virtio_device *vdev = &net->vdev;

	virtio_take_chains(vdev, queue, take_request);
	virtio_signal(vdev, &vdev->queues[queue]);
}
