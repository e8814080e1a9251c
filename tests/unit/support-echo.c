// SPDX-License-Identifier: GPL-2.0-or-later
// A virtio device that gives every chain back.

#include "support-echo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct echo *to_echo(struct virtio_device *vdev)
{
	return container_of(vdev, struct echo, vdev);
}

static uint64_t echo_features(struct virtio_device *vdev)
{
	return ECHO_FEATURE;
}

static void echo_config_read(struct virtio_device *vdev, uint32_t offset, void *data, unsigned len)
{
	memcpy(data, to_echo(vdev)->config + offset, len);
}

static void echo_config_write(struct virtio_device *vdev, uint32_t offset, const void *data,
			      unsigned len)
{
	memcpy(to_echo(vdev)->config + offset, data, len);
}

static int echo_activate(struct virtio_device *vdev)
{
	to_echo(vdev)->activated++;
	return to_echo(vdev)->activate_result;
}

static void echo_reset(struct virtio_device *vdev)
{
	to_echo(vdev)->resets++;
}

static bool take_chain(struct virtio_device *vdev, unsigned queue, struct virtqueue_chain *chain)
{
	struct virtqueue *vq = &vdev->queues[0];

	if (!vq->is_packed && !(vq->split.used->flags & RING_USED_NO_NOTIFY))
		to_echo(vdev)->taken_notified++;
	virtqueue_push(vq, chain->head, chain->in_bytes);
	return true;
}

static void echo_notify(struct virtio_device *vdev, unsigned queue)
{
	to_echo(vdev)->notified[queue]++;
	if (queue == 0)
		virtio_take_chains(vdev, 0, take_chain);
	virtio_signal(vdev, &vdev->queues[queue]);
}

static void echo_free(struct virtio_device *vdev)
{
	struct echo *echo = to_echo(vdev);

	virtio_exit(vdev);
	++*echo->freed;
	free(echo);
}

const struct virtio_ops echo_ops = {
	.type = ECHO_TYPE,
	.name = "echo",
	.queue_count = ECHO_QUEUES,
	.queue_size_max = ECHO_QUEUE_MAX,
	.features = echo_features,
	.config_read = echo_config_read,
	.config_write = echo_config_write,
	.config_bytes = ECHO_CONFIG_BYTES,
	.activate = echo_activate,
	.reset = echo_reset,
	.notify = echo_notify,
	.free = echo_free,
};

void echo_guest_init(struct echo_guest *e, const struct virtio_ops *ops, bool own_loop)
{
	struct virtio_setup setup = { .name = "echo0" };

	*e = (struct echo_guest){ 0 };
	guest_init(&e->guest);
	e->echo = calloc(1, sizeof(*e->echo));
	assert_non_null(e->echo);
	e->echo->freed = &e->freed;
	setup.memory = &e->guest.memory;
	setup.main_loop = own_loop ? NULL : &e->guest.loop;
	assert_int_equal(virtio_init(&e->echo->vdev, ops, &setup), 0);
	for (unsigned i = 0; i < ECHO_CONFIG_BYTES; i++)
		e->echo->config[i] = 0x10 + i;
	guest_attach(&e->guest, &e->echo->vdev);
}

void echo_guest_exit(struct echo_guest *e)
{
	guest_exit(&e->guest);
	assert_int_equal(e->freed, 1);
}

void echo_guest_start(struct echo_guest *e, uint64_t features)
{
	guest_start(&e->guest, features, e->q, ECHO_QUEUES, 8);
	guest_sync(&e->guest);
}

void echo_guest_offer(struct echo_guest *e)
{
	guest_desc(&e->q[0], 0, GUEST_DATA_GPA, 16, RING_DESC_WRITE, 0);
	guest_offer(&e->q[0], 0);
}

static int setup(void **state, bool own_loop)
{
	struct echo_guest *e = malloc(sizeof(*e));

	assert_non_null(e);
	echo_guest_init(e, &echo_ops, own_loop);
	*state = e;
	return 0;
}

int echo_setup_main_loop(void **state)
{
	return setup(state, false);
}

int echo_setup_own_loop(void **state)
{
	return setup(state, true);
}

int echo_teardown(void **state)
{
	echo_guest_exit(*state);
	free(*state);
	return 0;
}
