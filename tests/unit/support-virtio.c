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

static unsigned fdt_interrupt_cells(const struct irqchip *chip, unsigned number, bool edge,
				    uint32_t cells[4])
{
	cells[0] = number;
	return 1;
}

static int pulse_by(struct irqchip *chip, unsigned number, int event_fd)
{
	struct guest_irqchip *mine = container_of(chip, struct guest_irqchip, chip);

	mine->pulse_fd = event_fd;
	return mine->pulse_result;
}

static const struct irqchip_ops irqchip_ops = {
	.set_line = set_line,
	.pulse_by = pulse_by,
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
	struct irq_line line = { .chip = &g->irqchip.chip, .number = 7, .edge = g->edge };
	uint64_t bytes = g->region_bytes ? g->region_bytes : VIRTIO_MMIO_SIZE;

	g->vdev = vdev;
	assert_int_equal(virtio_mmio_create(&g->dev, vdev, GUEST_MMIO_GPA, bytes, line), 0);
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

void guest_write_config(struct guest *g, uint64_t offset, uint64_t value, unsigned len)
{
	assert_int_equal(bus_write(&g->bus, GUEST_MMIO_GPA + MMIO_CONFIG + offset, &value, len), 0);
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

void guest_place_packed(struct guest *g, struct guest_queue *q, unsigned index, unsigned size)
{
	uint64_t base = GUEST_RING_GPA + index * QUEUE_STRIDE;

	assert_true(size <= GUEST_QUEUE_MAX);
	*q = (struct guest_queue){ .guest = g, .index = index, .size = size, .packed = true };
	q->desc_gpa = base;
	q->avail_gpa = q->desc_gpa + ring_desc_bytes(size);
	q->used_gpa = q->avail_gpa + sizeof(struct packed_event);
	q->desc = q->table;
	q->ring = (void *)guest_ram(g, q->desc_gpa);
	q->driver_event = (void *)guest_ram(g, q->avail_gpa);
	q->device_event = (void *)guest_ram(g, q->used_gpa);
	memset(q->ring, 0, QUEUE_STRIDE);
}

static void write64(struct guest *g, uint64_t reg, uint64_t value)
{
	guest_write32(g, reg, value);
	guest_write32(g, reg + 4, value >> 32);
}

void guest_set_up_queue(struct guest *g, struct guest_queue *q, unsigned index, unsigned size)
{
	if (g->vdev->features_driver & VIRTIO_F_RING_PACKED)
		guest_place_packed(g, q, index, size);
	else
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

uint16_t guest_place_after(const struct guest_queue *q, uint16_t place, unsigned count)
{
	return (place + count) % (2 * q->size);
}

uint16_t guest_off_wrap(const struct guest_queue *q, uint16_t place)
{
	return place < q->size ? place | PACKED_EVENT_WRAP : place - q->size;
}

// The second half of a descriptor, moved as one word.
union tail {
	struct {
		uint32_t len;
		uint16_t id;
		uint16_t flags;
	};
	uint64_t word;
};

static uint64_t *words_at(const struct guest_queue *q, uint16_t place)
{
	return (uint64_t *)&q->ring[place % q->size];
}

static void write_packed(struct guest_queue *q, uint16_t place, const struct ring_desc *desc,
			 uint16_t id)
{
	uint16_t whose = place < q->size ? PACKED_DESC_AVAIL : PACKED_DESC_USED;
	union tail tail = { .len = desc->len, .id = id, .flags = desc->flags | whose };

	__atomic_store_n(&words_at(q, place)[0], desc->addr_gpa, __ATOMIC_RELAXED);
	__atomic_store_n(&words_at(q, place)[1], tail.word, __ATOMIC_RELEASE);
}

void guest_offer_packed(struct guest_queue *q, uint64_t gpa, uint32_t len, uint16_t id,
			uint16_t flags)
{
	struct ring_desc desc = { .addr_gpa = gpa, .len = len, .flags = flags };

	write_packed(q, q->avail_place, &desc, id);
	q->avail_place = guest_place_after(q, q->avail_place, 1);
}

// From the last descriptor to the first, which is what the device waits for.
static void offer_chain(struct guest_queue *q, uint16_t head)
{
	uint16_t chain[GUEST_QUEUE_MAX];
	unsigned count = 0;

	chain[count++] = head;
	while (q->table[chain[count - 1]].flags & RING_DESC_NEXT) {
		assert_true(count < q->size);
		chain[count] = q->table[chain[count - 1]].next;
		count++;
	}
	q->chain_descs[head] = count;
	for (unsigned i = count; i--;)
		write_packed(q, guest_place_after(q, q->avail_place, i), &q->table[chain[i]], head);
	q->avail_place = guest_place_after(q, q->avail_place, count);
}

void guest_offer(struct guest_queue *q, uint16_t head)
{
	q->avail_idx++;
	if (q->packed) {
		offer_chain(q, head);
		return;
	}
	__atomic_store_n(&q->avail->ring[(uint16_t)(q->avail_idx - 1) % q->size], head,
			 __ATOMIC_RELAXED);
	__atomic_store_n(&q->avail->idx, q->avail_idx, __ATOMIC_RELEASE);
}

void guest_kick(struct guest_queue *q)
{
	guest_write32(q->guest, MMIO_QUEUE_NOTIFY, q->index);
}

static bool take_used_packed(struct guest_queue *q, struct ring_used_elem *elem)
{
	const uint16_t both = PACKED_DESC_AVAIL | PACKED_DESC_USED;
	uint16_t used = q->used_place < q->size ? both : 0;
	union tail tail = {
		.word = __atomic_load_n(&words_at(q, q->used_place)[1], __ATOMIC_ACQUIRE),
	};

	if ((tail.flags & both) != used)
		return false;
	assert_true(tail.id < q->size);
	elem->id = tail.id;
	elem->len = tail.flags & RING_DESC_WRITE ? tail.len : 0;
	q->used_place = guest_place_after(q, q->used_place, q->chain_descs[tail.id]);
	q->used_seen++;
	return true;
}

bool guest_take_used(struct guest_queue *q, struct ring_used_elem *elem)
{
	const struct ring_used_elem *next;

	if (q->packed)
		return take_used_packed(q, elem);
	if (__atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE) == q->used_seen)
		return false;
	next = &q->used->ring[q->used_seen % q->size];
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
