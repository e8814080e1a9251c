// SPDX-License-Identifier: GPL-2.0-or-later
// A virtio driver in miniature.

#include "support-virtio.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define QUEUE_STRIDE 0x8000 // from one queue's rings to the next one's
#define WAIT_MS 10000

static void set_line(struct irqchip *chip, unsigned number, bool high)
{
	struct guest_irqchip *mine = container_of(chip, struct guest_irqchip, chip);

	pthread_mutex_lock(&mine->lock);
	if (high && !atomic_load(&mine->high))
		atomic_fetch_add(&mine->edges, 1);
	atomic_store(&mine->high, high);
	pthread_cond_broadcast(&mine->rose);
	pthread_mutex_unlock(&mine->lock);
}

bool guest_wait_irq(struct guest *g)
{
	struct guest_irqchip *chip = &g->irqchip;
	struct timespec deadline;
	int ret = 0;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += WAIT_MS / 1000;
	pthread_mutex_lock(&chip->lock);
	while (!atomic_load(&chip->high) && !ret)
		ret = pthread_cond_timedwait(&chip->rose, &chip->lock, &deadline);
	pthread_mutex_unlock(&chip->lock);
	return !ret;
}

static unsigned fdt_interrupt_cells(const struct irqchip *chip, unsigned number, uint32_t cells[4])
{
	cells[0] = number;
	return 1;
}

static const struct irqchip_ops irqchip_ops = {
	.set_line = set_line,
	.fdt_interrupt = fdt_interrupt_cells,
};

static void on_written(void *opaque, uint64_t gpa, uint64_t len)
{
	struct guest *g = opaque;

	assert_non_null(memory_ptr(&g->memory, gpa, len));
	atomic_fetch_add(&g->written_bytes, len);
	memset(g->written_map + (gpa - GUEST_RAM_GPA), 1, len);
}

void guest_init(struct guest *g)
{
	*g = (struct guest){ .irqchip.chip = { .ops = &irqchip_ops, .fdt_phandle = 1 } };
	pthread_mutex_init(&g->irqchip.lock, NULL);
	pthread_cond_init(&g->irqchip.rose, NULL);
	g->written_map = calloc(1, GUEST_RAM_BYTES);
	assert_non_null(g->written_map);
	memory_init(&g->memory);
	assert_int_equal(memory_add_ram(&g->memory, GUEST_RAM_GPA, GUEST_RAM_BYTES), 0);
	g->memory.written = on_written;
	g->memory.written_opaque = g;
	bus_init(&g->bus);
	assert_int_equal(loop_init(&g->loop), 0);
}

void guest_attach(struct guest *g, struct virtio_device *vdev)
{
	struct irq_line line = { .chip = &g->irqchip.chip, .number = 7 };

	g->vdev = vdev;
	assert_int_equal(virtio_mmio_create(&g->dev, vdev, GUEST_MMIO_GPA, VIRTIO_MMIO_SIZE, line),
			 0);
	assert_int_equal(bus_add(&g->bus, &g->dev->region), 0);
	assert_int_equal(g->dev->ops->plugged(g->dev, &g->bus), 0);
}

void guest_exit(struct guest *g)
{
	if (g->dev)
		g->dev->ops->free(g->dev);
	loop_exit(&g->loop);
	bus_exit(&g->bus);
	memory_exit(&g->memory);
	pthread_cond_destroy(&g->irqchip.rose);
	pthread_mutex_destroy(&g->irqchip.lock);
	free(g->written_map);
}

uint32_t guest_read32(struct guest *g, uint64_t reg)
{
	uint32_t value;

	assert_int_equal(bus_read(&g->bus, GUEST_MMIO_GPA + reg, &value, sizeof(value)), 0);
	return value;
}

void guest_write32(struct guest *g, uint64_t reg, uint32_t value)
{
	assert_int_equal(bus_write(&g->bus, GUEST_MMIO_GPA + reg, &value, sizeof(value)), 0);
}

uint64_t guest_read_config(struct guest *g, uint64_t offset, unsigned len)
{
	uint64_t value = 0;

	assert_int_equal(bus_read(&g->bus, GUEST_MMIO_GPA + MMIO_CONFIG + offset, &value, len), 0);
	return value;
}

uint8_t *guest_ram(struct guest *g, uint64_t gpa)
{
	uint8_t *host = memory_ptr(&g->memory, gpa, 1);

	assert_non_null(host);
	return host;
}

bool guest_was_marked(struct guest *g, uint64_t gpa, uint64_t len)
{
	return !memchr(g->written_map + (gpa - GUEST_RAM_GPA), 0, len);
}

void guest_forget_marks(struct guest *g)
{
	memset(g->written_map, 0, GUEST_RAM_BYTES);
	atomic_store(&g->written_bytes, 0);
}

uint64_t guest_device_features(struct guest *g)
{
	uint64_t low, high;

	guest_write32(g, MMIO_DEVICE_FEATURES_SEL, 0);
	low = guest_read32(g, MMIO_DEVICE_FEATURES);
	guest_write32(g, MMIO_DEVICE_FEATURES_SEL, 1);
	high = guest_read32(g, MMIO_DEVICE_FEATURES);
	return low | high << 32;
}

static void write_features(struct guest *g, uint64_t features)
{
	guest_write32(g, MMIO_DRIVER_FEATURES_SEL, 0);
	guest_write32(g, MMIO_DRIVER_FEATURES, features);
	guest_write32(g, MMIO_DRIVER_FEATURES_SEL, 1);
	guest_write32(g, MMIO_DRIVER_FEATURES, features >> 32);
}

uint8_t guest_negotiate(struct guest *g, uint64_t features)
{
	guest_write32(g, MMIO_STATUS, 0);
	guest_write32(g, MMIO_STATUS, VIRTIO_STATUS_ACKNOWLEDGE);
	guest_write32(g, MMIO_STATUS, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
	write_features(g, features | VIRTIO_F_VERSION_1);
	guest_write32(g, MMIO_STATUS, GUEST_FEATURES_OK);
	return guest_read32(g, MMIO_STATUS);
}

void guest_place_queue(struct guest *g, struct guest_queue *q, unsigned index, unsigned size)
{
	uint64_t base = GUEST_RING_GPA + index * QUEUE_STRIDE;

	*q = (struct guest_queue){ .guest = g, .index = index, .size = size, .desc_gpa = base };
	q->avail_gpa = q->desc_gpa + ring_desc_bytes(size);
	q->used_gpa = align_up(q->avail_gpa + ring_avail_bytes(size), RING_USED_ALIGN);
	assert_true(q->used_gpa + ring_used_bytes(size) <= base + QUEUE_STRIDE);
	q->desc = (void *)guest_ram(g, q->desc_gpa);
	q->avail = (void *)guest_ram(g, q->avail_gpa);
	q->used = (void *)guest_ram(g, q->used_gpa);
	memset(q->desc, 0, QUEUE_STRIDE);
}

static void write64(struct guest *g, uint64_t reg, uint64_t value)
{
	guest_write32(g, reg, value);
	guest_write32(g, reg + 4, value >> 32);
}

void guest_set_up_queue(struct guest *g, struct guest_queue *q, unsigned index, unsigned size)
{
	guest_place_queue(g, q, index, size);
	guest_write32(g, MMIO_QUEUE_SEL, index);
	guest_write32(g, MMIO_QUEUE_NUM, size);
	write64(g, MMIO_QUEUE_DESC, q->desc_gpa);
	write64(g, MMIO_QUEUE_DRIVER, q->avail_gpa);
	write64(g, MMIO_QUEUE_DEVICE, q->used_gpa);
	guest_write32(g, MMIO_QUEUE_READY, 1);
}

void guest_start(struct guest *g, uint64_t features, struct guest_queue *q, unsigned count,
		 unsigned size)
{
	assert_int_equal(guest_negotiate(g, features), GUEST_FEATURES_OK);
	for (unsigned i = 0; i < count; i++)
		guest_set_up_queue(g, &q[i], i, size);
	guest_write32(g, MMIO_STATUS, GUEST_DRIVER_OK);
	assert_int_equal(guest_read32(g, MMIO_STATUS), GUEST_DRIVER_OK);
}

void guest_desc(struct guest_queue *q, unsigned index, uint64_t gpa, uint32_t len, uint16_t flags,
		uint16_t next)
{
	q->desc[index] = (struct ring_desc){
		.addr_gpa = gpa,
		.len = len,
		.flags = flags,
		.next = next,
	};
}

void guest_offer(struct guest_queue *q, uint16_t head)
{
	__atomic_store_n(&q->avail->ring[q->avail_idx % q->size], head, __ATOMIC_RELAXED);
	__atomic_store_n(&q->avail->idx, ++q->avail_idx, __ATOMIC_RELEASE);
}

void guest_kick(struct guest_queue *q)
{
	guest_write32(q->guest, MMIO_QUEUE_NOTIFY, q->index);
}

bool guest_take_used(struct guest_queue *q, struct ring_used_elem *elem)
{
	const struct ring_used_elem *next = &q->used->ring[q->used_seen % q->size];

	if (__atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE) == q->used_seen)
		return false;
	elem->id = __atomic_load_n(&next->id, __ATOMIC_RELAXED);
	elem->len = __atomic_load_n(&next->len, __ATOMIC_RELAXED);
	q->used_seen++;
	return true;
}

void guest_run_main_loop(struct guest *g)
{
	loop_stop(&g->loop);
	loop_run(&g->loop);
}

static void nothing(void *arg)
{
}

void guest_sync(struct guest *g)
{
	if (!g->vdev->has_own_loops)
		guest_run_main_loop(g);
	else
		for (unsigned i = 0; i < g->vdev->loop_count; i++)
			loop_call(g->vdev->loops[i].loop, nothing, NULL);
}

void guest_wait_used(struct guest_queue *q, struct ring_used_elem *elem)
{
	for (unsigned ms = 0; ms < WAIT_MS; ms++) {
		guest_sync(q->guest);
		if (guest_take_used(q, elem))
			return;
		usleep(1000);
	}
	fail_msg("queue %u: nothing used within %d ms", q->index, WAIT_MS);
}
