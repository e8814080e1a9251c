// SPDX-License-Identifier: GPL-2.0-or-later
// A virtio driver in miniature: guest memory, a bus with one virtio-mmio device on
// it, an interrupt line that remembers, and rings that a test fills by hand.
//
//	struct guest g;
//	struct guest_queue q;
//
//	guest_init(&g);
//	guest_attach(&g, vdev);                        // takes ownership
//	guest_start(&g, VIRTIO_F_EVENT_IDX, &q, 1, 8); // up to DRIVER_OK
//	guest_desc(&q, 0, gpa, len, RING_DESC_WRITE, 0);
//	guest_offer(&q, 0);
//	guest_kick(&q);
//	guest_wait_used(&q, &elem);
//	guest_exit(&g);
#ifndef KVIK_SUPPORT_VIRTIO_H
#define KVIK_SUPPORT_VIRTIO_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "../../virtio/ring.h"
#include "bus.h"
#include "device.h"
#include "irq.h"
#include "loop.h"
#include "memory.h"
#include "virtio.h"

#define GUEST_RAM_GPA 0x80000000ULL
#define GUEST_RAM_BYTES (2 * MIB)
#define GUEST_RING_GPA (GUEST_RAM_GPA + 0x10000)
#define GUEST_DATA_GPA (GUEST_RAM_GPA + 0x100000)
#define GUEST_MMIO_GPA 0x10001000ULL

// Registers (virtio 1.2 4.2.2).
enum {
	MMIO_MAGIC = 0x000,
	MMIO_VERSION = 0x004,
	MMIO_DEVICE_ID = 0x008,
	MMIO_VENDOR_ID = 0x00c,
	MMIO_DEVICE_FEATURES = 0x010,
	MMIO_DEVICE_FEATURES_SEL = 0x014,
	MMIO_DRIVER_FEATURES = 0x020,
	MMIO_DRIVER_FEATURES_SEL = 0x024,
	MMIO_QUEUE_SEL = 0x030,
	MMIO_QUEUE_NUM_MAX = 0x034,
	MMIO_QUEUE_NUM = 0x038,
	MMIO_QUEUE_READY = 0x044,
	MMIO_QUEUE_NOTIFY = 0x050,
	MMIO_INTERRUPT_STATUS = 0x060,
	MMIO_INTERRUPT_ACK = 0x064,
	MMIO_STATUS = 0x070,
	MMIO_QUEUE_DESC = 0x080,
	MMIO_QUEUE_DRIVER = 0x090,
	MMIO_QUEUE_DEVICE = 0x0a0,
	MMIO_SHM_LEN = 0x0b0,
	MMIO_SHM_BASE = 0x0b8,
	MMIO_QUEUE_RESET = 0x0c0,
	MMIO_CONFIG_GENERATION = 0x0fc,
	MMIO_CONFIG = 0x100,
};

// Status of a driver that went through 3.1.1 up to here.
#define GUEST_FEATURES_OK \
	(VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK)
#define GUEST_DRIVER_OK (GUEST_FEATURES_OK | VIRTIO_STATUS_DRIVER_OK)

struct guest_irqchip {
	struct irqchip chip;
	atomic_bool high;
	atomic_uint edges; // how often the line rose
	pthread_mutex_t lock;
	pthread_cond_t rose;
	int pulse_fd;     // that the kernel was to listen to
	int pulse_result; // what it said
};

struct guest {
	struct memory memory;
	struct bus bus;
	struct loop loop; // the main loop
	struct guest_irqchip irqchip;
	// Set before guest_attach():
	bool edge;             // of the device's line
	uint64_t region_bytes; // of its registers; 0: as few as there are
	struct virtio_device *vdev;
	struct device *dev;
	// What memory_mark_written() was told: the bytes, and whether it was a lie.
	atomic_ullong written_bytes;
	uint8_t *written_map; // a byte for each of RAM
};

#define GUEST_QUEUE_MAX 256

// With VIRTIO_F_RING_PACKED desc[] is the driver's own table: offering a chain writes it
// into the ring, with its head as buffer id, so that a test need not care.
struct guest_queue {
	struct guest *guest;
	unsigned index;
	unsigned size;
	bool packed;
	uint64_t desc_gpa, avail_gpa, used_gpa;
	struct ring_desc *desc;
	struct ring_avail *avail;
	struct ring_used *used;
	uint16_t avail_idx;
	uint16_t used_seen;
	// Packed; places are as those in struct virtqueue_packed.
	struct packed_desc *ring;
	struct packed_event *driver_event;
	struct packed_event *device_event;
	uint16_t avail_place, used_place;
	uint16_t chain_descs[GUEST_QUEUE_MAX];
	struct ring_desc table[GUEST_QUEUE_MAX];
};

void guest_init(struct guest *g);
void guest_attach(struct guest *g, struct virtio_device *vdev);
void guest_exit(struct guest *g); // frees the device

uint32_t guest_read32(struct guest *g, uint64_t reg);
void guest_write32(struct guest *g, uint64_t reg, uint32_t value);
uint64_t guest_read_config(struct guest *g, uint64_t offset, unsigned len);
void guest_write_config(struct guest *g, uint64_t offset, uint64_t value, unsigned len);
uint8_t *guest_ram(struct guest *g, uint64_t gpa); // host pointer
// Every byte of it was reported by memory_mark_written() since the last forget.
bool guest_was_marked(struct guest *g, uint64_t gpa, uint64_t len);
void guest_forget_marks(struct guest *g);

uint64_t guest_device_features(struct guest *g);
// Reset, ACKNOWLEDGE, DRIVER, features (VERSION_1 is added), FEATURES_OK; returns
// the status that the device shows then.
uint8_t guest_negotiate(struct guest *g, uint64_t features);
// Places queue @index in memory; guest_set_up_queue() tells the device as well.
void guest_place_queue(struct guest *g, struct guest_queue *q, unsigned index, unsigned size);
void guest_place_packed(struct guest *g, struct guest_queue *q, unsigned index, unsigned size);
void guest_set_up_queue(struct guest *g, struct guest_queue *q, unsigned index, unsigned size);
// All of the above for @count queues in @q, up to DRIVER_OK.
void guest_start(struct guest *g, uint64_t features, struct guest_queue *q, unsigned count,
		 unsigned size);

void guest_desc(struct guest_queue *q, unsigned index, uint64_t gpa, uint32_t len, uint16_t flags,
		uint16_t next);
void guest_offer(struct guest_queue *q, uint16_t head);
// The place behind @count descriptors, and what a packed ring says of a place.
uint16_t guest_place_after(const struct guest_queue *q, uint16_t place, unsigned count);
uint16_t guest_off_wrap(const struct guest_queue *q, uint16_t place);
// Writes one descriptor of a packed ring at the next place, there for the device.
void guest_offer_packed(struct guest_queue *q, uint64_t gpa, uint32_t len, uint16_t id,
			uint16_t flags);
void guest_kick(struct guest_queue *q);
// Takes the next used element if there is one.
bool guest_take_used(struct guest_queue *q, struct ring_used_elem *elem);
// Runs the main loop and waits for the device's, up to 10 s, then fails the test.
void guest_wait_used(struct guest_queue *q, struct ring_used_elem *elem);
// Sleeps until the interrupt line is high; false after 10 s.
bool guest_wait_irq(struct guest *g);
// Waits until the device has served what was posted to it.
void guest_sync(struct guest *g);
void guest_run_main_loop(struct guest *g); // one round

#endif
