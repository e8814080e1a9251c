// SPDX-License-Identifier: GPL-2.0-or-later
// An input device (virtio 1.2 5.8) that is a keyboard with one key, the power button; on
// the main loop.

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "virtio-devices.h"
#include "virtio.h"

#define QUEUE_SIZE 8
enum { EVENT_QUEUE, STATUS_QUEUE, QUEUE_COUNT }; // 5.8.2

// What Linux's input-event-codes.h says, as 5.8.5 wants it.
enum { EV_SYN = 0, EV_KEY = 1 };
#define SYN_REPORT 0
#define KEY_POWER 116
#define EVENT_COUNT 4U // of a press: down, up, and the end of each

// 5.8.4: what @select and @subsel ask for is in @data.
enum { CFG_ID_NAME = 0x01, CFG_EV_BITS = 0x11 };
#define CFG_DATA_BYTES 128
struct input_config {
	uint8_t select;
	uint8_t subsel;
	uint8_t size;
	uint8_t reserved[5];
	uint8_t data[CFG_DATA_BYTES];
};
static_assert(sizeof(struct input_config) == 136, "the layout of virtio 1.2 5.8.4");

// 5.8.6; little-endian.
struct input_event {
	uint16_t type;
	uint16_t code;
	uint32_t value;
};
static_assert(sizeof(struct input_event) == 8, "the layout of virtio 1.2 5.8.6");

struct virtio_input {
	struct virtio_device vdev;
	struct input_config config; // register side
	unsigned next_event;        // queue side: of a press; EVENT_COUNT: none is under way
};

static struct virtio_input *to_input(struct virtio_device *vdev)
{
	return container_of(vdev, struct virtio_input, vdev);
}

static uint64_t input_features(struct virtio_device *vdev)
{
	return 0;
}

// -- configuration --

static const char key_name[] = "Power Button";

static void select_config(struct input_config *config)
{
	memset(config->data, 0, sizeof(config->data));
	config->size = 0;
	if (config->select == CFG_ID_NAME && !config->subsel) {
		config->size = sizeof(key_name) - 1;
		memcpy(config->data, key_name, config->size);
	} else if (config->select == CFG_EV_BITS && config->subsel == EV_KEY) {
		config->size = KEY_POWER / 8 + 1;
		config->data[KEY_POWER / 8] = 1 << KEY_POWER % 8;
	}
}

static void input_config_read(struct virtio_device *vdev, uint32_t offset, void *data, unsigned len)
{
	memcpy(data, (const char *)&to_input(vdev)->config + offset, len);
}

// Only the selectors can be written.
static void input_config_write(struct virtio_device *vdev, uint32_t offset, const void *data,
			       unsigned len)
{
	struct input_config *config = &to_input(vdev)->config;
	uint8_t *selectors[] = { &config->select, &config->subsel };

	for (unsigned i = 0; i < len && offset + i < ARRAY_SIZE(selectors); i++)
		*selectors[offset + i] = ((const uint8_t *)data)[i];
	select_config(config);
}

// -- queues --

// LEDs and the like: there are none.
static bool take_status(struct virtio_device *vdev, unsigned queue, struct virtqueue_chain *chain)
{
	virtqueue_fill(&vdev->queues[queue], chain->head, 0);
	return true;
}

static int pop_buffer(struct virtio_device *vdev, struct virtqueue_chain *chain)
{
	struct virtqueue *vq = &vdev->queues[EVENT_QUEUE];
	int got = virtqueue_pop(vq, chain);

	// Look again after asking to be notified of new buffers.
	if (!got && virtqueue_enable_notify(vq))
		got = virtqueue_pop(vq, chain);
	if (got < 0)
		virtio_fail(vdev, vq->why_broken);
	return got;
}

static bool send_event(struct virtio_device *vdev, const struct input_event *event)
{
	struct virtqueue *vq = &vdev->queues[EVENT_QUEUE];
	struct virtqueue_chain chain;
	size_t len;

	if (pop_buffer(vdev, &chain) <= 0)
		return false;
	len = iov_from_buf(chain.in, chain.in_count, 0, event, sizeof(*event));
	virtqueue_mark_written(vq, chain.in, chain.in_gpa, chain.in_count, len);
	virtqueue_fill(vq, chain.head, len);
	return true;
}

// As far as the driver has room for them.
static void send_events(struct virtio_input *input)
{
	static const struct {
		uint16_t type, code;
		uint32_t value;
	} events[EVENT_COUNT] = {
		{ EV_KEY, KEY_POWER, 1 },
		{ EV_SYN, SYN_REPORT, 0 },
		{ EV_KEY, KEY_POWER, 0 },
		{ EV_SYN, SYN_REPORT, 0 },
	};
	struct virtio_device *vdev = &input->vdev;

	if (!virtio_may_use_queues(vdev))
		return;
	while (input->next_event < EVENT_COUNT) {
		unsigned i = input->next_event;
		struct input_event event = { htole16(events[i].type), htole16(events[i].code),
					     htole32(events[i].value) };

		if (!send_event(vdev, &event))
			break;
		input->next_event++;
	}
	virtio_signal(vdev, &vdev->queues[EVENT_QUEUE]);
}

static void input_notify(struct virtio_device *vdev, unsigned queue)
{
	if (queue == EVENT_QUEUE) {
		// Not again before an event finds no buffer.
		virtqueue_disable_notify(&vdev->queues[queue]);
		send_events(to_input(vdev));
		return;
	}
	virtio_take_chains(vdev, queue, take_status);
	virtio_signal(vdev, &vdev->queues[queue]);
}

static void input_reset(struct virtio_device *vdev)
{
	to_input(vdev)->next_event = EVENT_COUNT;
}

int virtio_input_press(struct virtio_device *vdev)
{
	struct virtio_input *input = to_input(vdev);

	if (!vdev->activated || atomic_load(&vdev->needs_reset))
		return -ENOTCONN;
	// While the guest has not taken an earlier press, this one is the same.
	if (input->next_event == EVENT_COUNT)
		input->next_event = 0;
	send_events(input);
	return 0;
}

// -- life --

static void input_free(struct virtio_device *vdev)
{
	virtio_exit(vdev);
	free(to_input(vdev));
}

static const struct virtio_ops input_ops = {
	.type = VIRTIO_TYPE_INPUT,
	.name = "input",
	.queue_count = QUEUE_COUNT,
	.queue_size_max = QUEUE_SIZE,
	.features = input_features,
	.config_read = input_config_read,
	.config_write = input_config_write,
	.config_bytes = sizeof(struct input_config),
	.reset = input_reset,
	.notify = input_notify,
	.free = input_free,
};

int virtio_input_create(struct virtio_device **vdev, const char *name, struct memory *mem,
			struct loop *main_loop)
{
	struct virtio_setup setup = { .name = name, .memory = mem, .main_loop = main_loop };
	struct virtio_input *input = calloc(1, sizeof(*input));
	int ret;

	if (!input)
		return fail(ENOMEM, "%s", name);
	input->next_event = EVENT_COUNT;
	ret = virtio_init(&input->vdev, &input_ops, &setup);
	if (ret) {
		free(input);
		return ret;
	}
	*vdev = &input->vdev;
	return 0;
}
