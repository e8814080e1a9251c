// SPDX-License-Identifier: GPL-2.0-or-later
// A network backend whose wire is in the test's hands.

#include "support-net.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static struct script_net *script_of(struct net *net)
{
	return container_of(net, struct script_net, net);
}

static void update_watch(struct script_queue *queue)
{
	if (queue->loop)
		loop_modify_fd(queue->loop, &queue->file,
			       (queue->watched ? EPOLLIN : 0) | (queue->send ? EPOLLOUT : 0));
}

static void queue_ready(struct loop_fd *file, uint32_t epoll_events)
{
	struct script_queue *queue = container_of(file, struct script_queue, file);

	if (epoll_events & EPOLLOUT && queue->send) {
		queue->send = false;
		update_watch(queue);
		queue->events.writable(queue->events.opaque);
	}
	if (epoll_events & EPOLLIN && queue->watched)
		queue->events.readable(queue->events.opaque);
}

static int script_attach(struct net *net, unsigned pair, struct loop *loop,
			 struct net_events events)
{
	struct script_net *script = script_of(net);
	struct script_queue *queue = &script->queues[pair];

	if (pair == net->info.queue_pairs_max - 1 && script->attach_error)
		return script->attach_error;
	queue->loop = loop;
	queue->events = events;
	queue->attached = true;
	return loop_add_fd(loop, &queue->file, 0);
}

static void script_detach(struct net *net, unsigned pair)
{
	struct script_queue *queue = &script_of(net)->queues[pair];

	loop_remove_fd(queue->loop, &queue->file);
	queue->attached = false;
	queue->loop = NULL;
}

static int script_use_pairs(struct net *net, unsigned pairs)
{
	script_of(net)->pairs_used = pairs;
	return 0;
}

static void script_watch(struct net *net, unsigned pair, bool receive)
{
	struct script_queue *queue = &script_of(net)->queues[pair];

	queue->watched = receive;
	update_watch(queue);
}

static int script_send(struct net *net, unsigned pair, const struct iovec *iov, unsigned count)
{
	struct script_queue *queue = &script_of(net)->queues[pair];
	struct msghdr message = { .msg_iov = (struct iovec *)iov, .msg_iovlen = count };

	if (script_of(net)->send_error)
		return script_of(net)->send_error;
	if (sendmsg(queue->file.fd, &message, MSG_DONTWAIT) >= 0)
		return 0;
	if (errno != EAGAIN)
		return -errno;
	queue->send = true;
	update_watch(queue);
	return -EAGAIN;
}

static ssize_t script_receive(struct net *net, unsigned pair, const struct iovec *iov,
			      unsigned count)
{
	struct msghdr message = { .msg_iov = (struct iovec *)iov, .msg_iovlen = count };
	ssize_t bytes = recvmsg(script_of(net)->queues[pair].file.fd, &message, MSG_DONTWAIT);

	if (bytes < 0)
		return -errno;
	return message.msg_flags & MSG_TRUNC ? -EMSGSIZE : bytes;
}

static int script_set_offloads(struct net *net, unsigned offloads)
{
	if (script_of(net)->offloads_error)
		return script_of(net)->offloads_error;
	script_of(net)->offloads = offloads;
	return 0;
}

static int script_set_up_rings(struct net *net, const struct memory *mem, uint64_t features)
{
	script_of(net)->ring_memory = mem;
	script_of(net)->ring_features = features;
	return 0;
}

static int script_start_ring(struct net *net, unsigned queue, const struct net_ring *ring)
{
	struct script_net *script = script_of(net);

	if (script->ring_error && queue == script->ring_failing)
		return script->ring_error;
	script->rings[queue].ring = *ring;
	script->rings[queue].starts++;
	return 0;
}

static void script_stop_ring(struct net *net, unsigned queue, struct net_ring *ring)
{
	ring->next_avail += script_of(net)->chains_taken;
	script_of(net)->rings[queue].stops++;
}

static void script_forget(struct net *net)
{
	script_of(net)->forgotten++;
}

static void script_close(struct net *net)
{
	script_of(net)->closed++;
}

static const struct net_ops script_ops = {
	.close = script_close,
	.attach = script_attach,
	.detach = script_detach,
	.use_pairs = script_use_pairs,
	.forget = script_forget,
	.watch = script_watch,
	.send = script_send,
	.receive = script_receive,
	.set_offloads = script_set_offloads,
	.set_up_rings = script_set_up_rings,
	.start_ring = script_start_ring,
	.stop_ring = script_stop_ring,
};

void script_net_init(struct script_net *script, unsigned pairs, bool vnet_header)
{
	*script = (struct script_net){ .net.ops = &script_ops };
	script->net.info = (struct net_info){
		.name = "script",
		.queue_pairs_max = pairs,
		.vnet_header = vnet_header,
		.send_offloads = vnet_header ? SCRIPT_OFFLOADS : 0,
		.receive_offloads = vnet_header ? SCRIPT_OFFLOADS : 0,
	};
	for (unsigned i = 0; i < pairs; i++) {
		int ends[2];

		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
			abort();
		script->queues[i].file = (struct loop_fd){ .fd = ends[0], .ready = queue_ready };
		script->queues[i].wire = ends[1];
	}
}

void script_net_exit(struct script_net *script)
{
	for (unsigned i = 0; i < script->net.info.queue_pairs_max; i++) {
		close(script->queues[i].file.fd);
		close(script->queues[i].wire);
	}
}

bool script_net_put(struct script_net *script, unsigned pair, const void *frame, size_t len)
{
	return send(script->queues[pair].wire, frame, len, MSG_DONTWAIT) == (ssize_t)len;
}

ssize_t script_net_take(struct script_net *script, unsigned pair, void *frame, size_t size)
{
	return recv(script->queues[pair].wire, frame, size, MSG_DONTWAIT);
}

struct link_change {
	struct script_queue *queue;
	bool up;
};

static void change_link(void *arg)
{
	struct link_change *change = arg;

	change->queue->events.link_changed(change->queue->events.opaque, change->up);
}

void script_net_set_link(struct script_net *script, bool up)
{
	struct link_change change = { .queue = &script->queues[0], .up = up };

	loop_call(script->queues[0].loop, change_link, &change);
}
