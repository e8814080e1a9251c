// SPDX-License-Identifier: GPL-2.0-or-later
// The console device (virtio 1.2 5.3), one port, on the terminal; on the main loop.

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "term.h"
#include "virtio-devices.h"
#include "virtio.h"

#define QUEUE_SIZE 64
enum { RECEIVE_QUEUE, TRANSMIT_QUEUE, QUEUE_COUNT }; // 5.3.2

// A driver that printed nothing for so long gets input all the same.
#define SILENCE_NS (NSEC_PER_SEC / 2)

#define CONSOLE_F_SIZE (1ULL << 0) // 5.3.3

// 5.3.4; only the size is valid without further features.
struct console_config {
	uint16_t columns;
	uint16_t rows;
	uint32_t max_ports;
	uint32_t emergency_write;
};
static_assert(sizeof(struct console_config) == 12, "the layout of virtio 1.2 5.3.4");

struct virtio_console {
	struct virtio_device vdev;
	struct term *term;
	struct term_frontend frontend;
	atomic_uint size; // columns | rows << 16, 0: not known; read on vCPU threads
	// Queue side.
	bool listens; // the driver takes input: see start_listening()
	struct loop_timer silent;
	bool transmitting; // the chain below was not taken whole yet
	struct virtqueue_chain transmit;
	size_t transmitted_bytes;
};

static struct virtio_console *to_console(struct virtio_device *vdev)
{
	return container_of(vdev, struct virtio_console, vdev);
}

// -- output --

// Returns false while the terminal takes no more: it says when it does.
static bool continue_transmit(struct virtio_console *console)
{
	struct virtqueue_chain *chain = &console->transmit;
	struct iovec piece;

	while (iov_slice(&piece, 1, chain->out, chain->out_count, console->transmitted_bytes,
			 SIZE_MAX)) {
		size_t taken = term_write(console->term, piece.iov_base, piece.iov_len);

		console->transmitted_bytes += taken;
		if (taken < piece.iov_len)
			return false;
	}
	virtqueue_fill(&console->vdev.queues[TRANSMIT_QUEUE], chain->head, 0);
	console->transmitting = false;
	return true;
}

// Linux posts receive buffers before it connects them to a terminal, and throws away
// what comes in between. Its first output tells that it is ready; a driver that
// stays silent gets input a little later.
static void start_listening(struct virtio_console *console)
{
	if (console->listens)
		return;
	console->listens = true;
	loop_disarm_timer(console->vdev.loop, &console->silent);
	term_input_ready(console->term);
}

static void on_silent(struct loop_timer *timer)
{
	start_listening(container_of(timer, struct virtio_console, silent));
}

static bool take_transmit(struct virtio_device *vdev, unsigned queue, struct virtqueue_chain *chain)
{
	struct virtio_console *console = to_console(vdev);

	start_listening(console);
	console->transmit = *chain;
	console->transmitted_bytes = 0;
	console->transmitting = true;
	return continue_transmit(console);
}

static void transmit(struct virtio_console *console)
{
	struct virtio_device *vdev = &console->vdev;

	if (!console->transmitting || continue_transmit(console))
		virtio_take_chains(vdev, TRANSMIT_QUEUE, take_transmit);
	virtio_signal(vdev, &vdev->queues[TRANSMIT_QUEUE]);
}

static void on_output_ready(void *opaque)
{
	struct virtio_console *console = opaque;

	if (console->transmitting && !console->vdev.held)
		transmit(console);
}

// -- input --

static bool pop_receive(struct virtio_device *vdev, struct virtqueue_chain *chain)
{
	struct virtqueue *vq = &vdev->queues[RECEIVE_QUEUE];
	int got;

	if (!virtio_may_use_queues(vdev))
		return false;
	got = virtqueue_pop(vq, chain);
	// Look again after asking to be notified of new buffers.
	if (!got && virtqueue_enable_notify(vq))
		got = virtqueue_pop(vq, chain);
	if (got > 0 && chain->in_count)
		return true;
	if (got)
		virtio_fail(vdev, got < 0 ? vq->why_broken : "a receive buffer is not writable");
	return false;
}

// What is not taken, for want of buffers or because the driver does not listen, is
// offered again after term_input_ready().
static size_t on_input(void *opaque, const uint8_t *data, size_t len)
{
	struct virtio_console *console = opaque;
	struct virtio_device *vdev = &console->vdev;
	struct virtqueue *vq = &vdev->queues[RECEIVE_QUEUE];
	struct virtqueue_chain chain;
	size_t taken = 0;

	if (!console->listens)
		return 0;
	while (taken < len && pop_receive(vdev, &chain)) {
		size_t n = iov_from_buf(chain.in, chain.in_count, 0, data + taken, len - taken);

		virtqueue_mark_written(vq, chain.in, chain.in_gpa, chain.in_count, n);
		virtqueue_fill(vq, chain.head, n);
		taken += n;
	}
	virtio_signal(vdev, vq);
	return taken;
}

static void console_notify(struct virtio_device *vdev, unsigned queue)
{
	struct virtio_console *console = to_console(vdev);

	if (queue == TRANSMIT_QUEUE) {
		transmit(console);
		return;
	}
	// Not again before input finds no buffer.
	virtqueue_disable_notify(&vdev->queues[queue]);
	term_input_ready(console->term);
}

static void await_silence(struct virtio_console *console)
{
	loop_arm_timer(console->vdev.loop, &console->silent, clock_monotonic_ns() + SILENCE_NS);
}

static int console_activate(struct virtio_device *vdev)
{
	await_silence(to_console(vdev));
	return 0;
}

static void console_reset(struct virtio_device *vdev)
{
	struct virtio_console *console = to_console(vdev);

	console->listens = false;
	loop_disarm_timer(vdev->loop, &console->silent);
	console->transmitting = false;
}

// A driver that stands still is not silent.
static void console_hold(struct virtio_device *vdev, bool hold)
{
	struct virtio_console *console = to_console(vdev);

	if (hold)
		loop_disarm_timer(vdev->loop, &console->silent);
	else if (vdev->activated && !console->listens)
		await_silence(console);
}

// -- size --

static unsigned pack_size(unsigned columns, unsigned rows)
{
	return MIN(columns, (unsigned)UINT16_MAX) | MIN(rows, (unsigned)UINT16_MAX) << 16;
}

static void on_resized(void *opaque, unsigned columns, unsigned rows)
{
	struct virtio_console *console = opaque;

	atomic_store(&console->size, pack_size(columns, rows));
	virtio_config_changed(&console->vdev);
}

static uint64_t console_features(struct virtio_device *vdev)
{
	return CONSOLE_F_SIZE; // a viewer with a terminal may come
}

static void console_config_read(struct virtio_device *vdev, uint32_t offset, void *data,
				unsigned len)
{
	unsigned size = atomic_load(&to_console(vdev)->size);
	struct console_config config = { .columns = size, .rows = size >> 16 };

	memcpy(data, (const char *)&config + offset, len);
}

// -- life --

static void console_free(struct virtio_device *vdev)
{
	loop_disarm_timer(vdev->loop, &to_console(vdev)->silent);
	virtio_exit(vdev);
	free(to_console(vdev));
}

static const struct virtio_ops console_ops = {
	.type = VIRTIO_TYPE_CONSOLE,
	.name = "console",
	.queue_count = QUEUE_COUNT,
	.queue_size_max = QUEUE_SIZE,
	.features = console_features,
	.config_read = console_config_read,
	.config_bytes = sizeof(struct console_config),
	.activate = console_activate,
	.reset = console_reset,
	.notify = console_notify,
	.hold = console_hold,
	.free = console_free,
};

int virtio_console_create(struct virtio_device **vdev, const char *name, struct memory *mem,
			  struct loop *main_loop, struct term *term)
{
	struct virtio_setup setup = { .name = name, .memory = mem, .main_loop = main_loop };
	struct virtio_console *console = calloc(1, sizeof(*console));
	unsigned columns = 0, rows = 0;
	int ret;

	if (!console)
		return fail(ENOMEM, "%s", name);
	console->term = term;
	console->silent.expired = on_silent;
	if (term_size(term, &columns, &rows))
		atomic_init(&console->size, pack_size(columns, rows));
	console->frontend = (struct term_frontend){
		.input = on_input,
		.output_ready = on_output_ready,
		.resized = on_resized,
		.opaque = console,
	};
	ret = virtio_init(&console->vdev, &console_ops, &setup);
	if (ret) {
		free(console);
		return ret;
	}
	term_connect(term, &console->frontend);
	*vdev = &console->vdev;
	return 0;
}
