// SPDX-License-Identifier: GPL-2.0-or-later
// A driver and a device on threads of their own, at full speed.
//
// The driver is one that sleeps: it notifies only when the device asks for it and
// waits for an interrupt when there is nothing to do. So a wish that one side missed,
// or an index that was published too early, ends in a timeout or in wrong data; and
// ThreadSanitizer sees whether the rings order what lies in the buffers.

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disk.h"
#include "support-echo.h"
#include "virtio-devices.h"
#include "vm-config.h"

#include <cmocka.h>

#define RING_SIZE 32

// -- a driver --

struct driver {
	struct guest *guest;
	struct guest_queue q;
	bool event_idx;
	uint16_t notified;       // avail_idx at the last look at the device's wish
	uint16_t notified_place; // the same of a packed ring
	unsigned notifications, sleeps;
};

static void fence(void)
{
	__sync_synchronize();
}

static uint16_t load(const uint16_t *field)
{
	return __atomic_load_n(field, __ATOMIC_ACQUIRE);
}

// In packed rings the two fields are one word, so that they fit each other.
static struct packed_event load_event(const struct packed_event *event)
{
	union {
		uint32_t word;
		struct packed_event event;
	} copy = { .word = __atomic_load_n((const uint32_t *)event, __ATOMIC_ACQUIRE) };

	return copy.event;
}

static void store_event(struct packed_event *event, uint16_t off_wrap, uint16_t flags)
{
	union {
		struct packed_event event;
		uint32_t word;
	} copy = { .event = { off_wrap, flags } };

	__atomic_store_n((uint32_t *)event, copy.word, __ATOMIC_RELAXED);
}

// Looks for the device's place among those that were offered since the last time.
static bool wanted_packed(struct driver *d, uint16_t before)
{
	struct packed_event event = load_event(d->q.device_event);

	if (before == d->q.avail_place || event.flags != PACKED_EVENT_DESC)
		return before != d->q.avail_place && event.flags == PACKED_EVENT_ENABLE;
	for (; before != d->q.avail_place; before = guest_place_after(&d->q, before, 1))
		if (event.off_wrap == guest_off_wrap(&d->q, before))
			return true;
	return false;
}

static bool wanted_split(struct driver *d, uint16_t before)
{
	uint16_t now = d->q.avail_idx, event;

	if (!d->event_idx)
		return now != before && !(load(&d->q.used->flags) & RING_USED_NO_NOTIFY);
	event = load(ring_avail_event(d->q.used, RING_SIZE));
	return (uint16_t)(now - event - 1) < (uint16_t)(now - before);
}

static void notify_if_wanted(struct driver *d)
{
	bool wanted;

	fence();
	wanted = d->q.packed ? wanted_packed(d, d->notified_place) : wanted_split(d, d->notified);
	d->notified = d->q.avail_idx;
	d->notified_place = d->q.avail_place;
	if (wanted) {
		d->notifications++;
		guest_kick(&d->q);
	}
}

static void want_interrupts(struct driver *d, bool want)
{
	if (d->q.packed)
		store_event(d->q.driver_event, guest_off_wrap(&d->q, d->q.used_place),
			    !want        ? PACKED_EVENT_DISABLE :
			    d->event_idx ? PACKED_EVENT_DESC :
					   PACKED_EVENT_ENABLE);
	else if (d->event_idx)
		__atomic_store_n(ring_used_event(d->q.avail, RING_SIZE),
				 want ? d->q.used_seen : d->q.used_seen - 1, __ATOMIC_RELAXED);
	else
		__atomic_store_n(&d->q.avail->flags, want ? 0 : RING_AVAIL_NO_INTERRUPT,
				 __ATOMIC_RELAXED);
	fence();
}

static void take_used(struct driver *d, struct ring_used_elem *elem)
{
	while (!guest_take_used(&d->q, elem)) {
		want_interrupts(d, true);
		if (guest_take_used(&d->q, elem))
			break;
		d->sleeps++;
		if (!guest_wait_irq(d->guest))
			fail_msg("no interrupt after %u were used", d->q.used_seen);
		guest_write32(d->guest, MMIO_INTERRUPT_ACK,
			      guest_read32(d->guest, MMIO_INTERRUPT_STATUS));
	}
	want_interrupts(d, false);
}

static void start_driver(struct driver *d, struct guest *g, uint64_t features)
{
	*d = (struct driver){ .guest = g, .event_idx = features & VIRTIO_F_EVENT_IDX };
	guest_start(g, features, &d->q, 1, RING_SIZE);
}

// -- the echo device, which here answers each number with its complement --

static bool take_number(struct virtio_device *vdev, unsigned queue, struct virtqueue_chain *chain)
{
	struct virtqueue *vq = &vdev->queues[0];
	uint32_t number;

	iov_to_buf(chain->out, chain->out_count, 0, &number, sizeof(number));
	number = ~number;
	iov_from_buf(chain->in, chain->in_count, 0, &number, sizeof(number));
	virtqueue_mark_written(vq, chain->in, chain->in_gpa, chain->in_count, sizeof(number));
	virtqueue_push(vq, chain->head, sizeof(number));
	return true;
}

static void answer(struct virtio_device *vdev, unsigned queue)
{
	virtio_take_chains(vdev, queue, take_number);
	virtio_signal(vdev, &vdev->queues[queue]);
}

static uint32_t *number_of(struct driver *d, unsigned slot)
{
	return (uint32_t *)guest_ram(d->guest, GUEST_DATA_GPA + 64 * slot);
}

static void ask(struct driver *d, unsigned slot, uint32_t number)
{
	uint64_t gpa = GUEST_DATA_GPA + 64 * slot;

	number_of(d, slot)[0] = number;
	number_of(d, slot)[8] = 0;
	guest_desc(&d->q, 2 * slot, gpa, 4, RING_DESC_NEXT, 2 * slot + 1);
	guest_desc(&d->q, 2 * slot + 1, gpa + 32, 4, RING_DESC_WRITE, 0);
	guest_offer(&d->q, 2 * slot);
}

// As many in flight as fit, and in bursts of changing length.
static void hammer(struct driver *d, unsigned total)
{
	unsigned asked = 0, answered = 0, in_flight = 0;
	bool used[RING_SIZE / 2] = { false };

	while (answered < total) {
		unsigned burst = 1 + (asked * 7 + answered) % (RING_SIZE / 2);
		struct ring_used_elem elem;

		for (unsigned slot = 0; slot < RING_SIZE / 2 && burst && asked < total; slot++) {
			if (used[slot])
				continue;
			used[slot] = true;
			ask(d, slot, asked++);
			in_flight++;
			burst--;
		}
		notify_if_wanted(d);
		do {
			take_used(d, &elem);
			assert_int_equal(elem.len, 4);
			assert_true(used[elem.id / 2]);
			assert_int_equal(number_of(d, elem.id / 2)[8],
					 ~number_of(d, elem.id / 2)[0]);
			used[elem.id / 2] = false;
			answered++;
			in_flight--;
		} while (in_flight > RING_SIZE / 4);
	}
}

static void run_echo(uint64_t features, unsigned total)
{
	struct virtio_ops ops = echo_ops;
	struct echo_guest e;
	struct driver d;

	ops.notify = answer;
	echo_guest_init(&e, &ops, true);
	start_driver(&d, &e.guest, features);
	hammer(&d, total);
	print_message("%u requests: %u notifications, %u interrupts, %u sleeps\n", total,
		      d.notifications, e.guest.irqchip.edges, d.sleeps);
	echo_guest_exit(&e);
}

static void test_flags(void **state)
{
	run_echo(0, 50000);
}

static void test_event_idx(void **state)
{
	run_echo(VIRTIO_F_EVENT_IDX, 50000);
}

static void test_packed(void **state)
{
	run_echo(VIRTIO_F_RING_PACKED, 50000);
}

static void test_packed_event_idx(void **state)
{
	run_echo(VIRTIO_F_RING_PACKED | VIRTIO_F_EVENT_IDX, 50000);
}

// Resets at any time, with requests in flight: nothing is left over in the next life.
static void test_resets(void **state)
{
	struct virtio_ops ops = echo_ops;
	struct echo_guest e;
	struct driver d;

	ops.notify = answer;
	echo_guest_init(&e, &ops, true);
	for (unsigned i = 0; i < 300; i++) {
		uint64_t features = (i & 1 ? VIRTIO_F_EVENT_IDX : 0) |
				    (i & 4 ? VIRTIO_F_RING_PACKED : 0);

		start_driver(&d, &e.guest, features);
		for (unsigned slot = 0; slot < i % (RING_SIZE / 2); slot++)
			ask(&d, slot, i);
		notify_if_wanted(&d);
		if (i % 3)
			guest_write32(&e.guest, MMIO_STATUS, 0);
	}
	start_driver(&d, &e.guest, 0);
	hammer(&d, 100);
	echo_guest_exit(&e);
}

// -- the block device on a file --

#define BLOCK 4096
#define BLOCKS 256
#define SLOT_STRIDE (2 * BLOCK)

struct request {
	bool busy;
	bool write;
	unsigned block;
};

struct blk_driver {
	struct driver d;
	struct request requests[RING_SIZE / 4];
	uint8_t version[BLOCKS]; // what each block holds
	bool block_busy[BLOCKS];
	unsigned seed;
};

static unsigned next_random(struct blk_driver *b)
{
	b->seed = b->seed * 1103515245 + 12345;
	return b->seed >> 16;
}

static uint64_t slot_gpa(unsigned slot)
{
	return GUEST_DATA_GPA + slot * SLOT_STRIDE;
}

static uint8_t *slot_data(struct blk_driver *b, unsigned slot)
{
	return guest_ram(b->d.guest, slot_gpa(slot) + BLOCK);
}

static void submit_block(struct blk_driver *b, unsigned slot)
{
	struct request *r = &b->requests[slot];
	struct {
		uint32_t type, reserved;
		uint64_t sector;
	} header = { 0 };
	unsigned desc = 4 * slot;
	uint16_t direction;

	do {
		r->block = next_random(b) % BLOCKS;
	} while (b->block_busy[r->block]);
	r->busy = b->block_busy[r->block] = true;
	r->write = next_random(b) & 1;
	direction = r->write ? 0 : RING_DESC_WRITE;
	memset(slot_data(b, slot), r->write ? ++b->version[r->block] : 0xee, BLOCK);
	header.type = r->write;
	header.sector = r->block * (BLOCK / 512);
	memcpy(guest_ram(b->d.guest, slot_gpa(slot)), &header, sizeof(header));
	guest_desc(&b->d.q, desc, slot_gpa(slot), sizeof(header), RING_DESC_NEXT, desc + 1);
	guest_desc(&b->d.q, desc + 1, slot_gpa(slot) + BLOCK, 1000, direction | RING_DESC_NEXT,
		   desc + 2);
	guest_desc(&b->d.q, desc + 2, slot_gpa(slot) + BLOCK + 1000, BLOCK - 1000,
		   direction | RING_DESC_NEXT, desc + 3);
	guest_desc(&b->d.q, desc + 3, slot_gpa(slot) + 64, 1, RING_DESC_WRITE, 0);
	*guest_ram(b->d.guest, slot_gpa(slot) + 64) = 0xaa;
	guest_offer(&b->d.q, desc);
}

static void check_block(struct blk_driver *b, unsigned slot)
{
	struct request *r = &b->requests[slot];
	const uint8_t *data = slot_data(b, slot);

	assert_true(r->busy);
	assert_int_equal(*guest_ram(b->d.guest, slot_gpa(slot) + 64), 0);
	for (unsigned i = 0; !r->write && i < BLOCK; i++)
		if (data[i] != b->version[r->block])
			fail_msg("block %u, byte %u: 0x%x instead of 0x%x", r->block, i, data[i],
				 b->version[r->block]);
	r->busy = b->block_busy[r->block] = false;
}

static void run_blk(struct blk_driver *b, unsigned total)
{
	unsigned submitted = 0, done = 0;

	while (done < total) {
		struct ring_used_elem elem;

		for (unsigned slot = 0; slot < ARRAY_SIZE(b->requests); slot++)
			if (!b->requests[slot].busy && submitted < total) {
				submit_block(b, slot);
				submitted++;
			}
		notify_if_wanted(&b->d);
		take_used(&b->d, &elem);
		check_block(b, elem.id / 4);
		done++;
	}
}

// Beside this program: /tmp may be a tmpfs, which has no direct I/O.
static int make_file(char *path, size_t size)
{
	char program[400] = { 0 };

	assert_true(readlink("/proc/self/exe", program, sizeof(program) - 1) > 0);
	snprintf(path, size, "%s-XXXXXX", program);
	return mkstemp(path);
}

static void blk_on_file(bool direct, uint64_t features)
{
	char path[512];
	struct disk_config config = { .path = path, .direct = direct };
	struct blk_driver b = { .seed = 1 };
	struct virtio_device *vdev;
	struct guest guest;
	struct disk *disk;
	int fd = make_file(path, sizeof(path));

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, BLOCKS * BLOCK), 0);
	if (direct && fcntl(fd, F_SETFL, O_DIRECT)) {
		unlink(path);
		close(fd);
		skip();
	}
	close(fd);
	guest_init(&guest);
	assert_int_equal(disk_open(&disk, &config), 0);
	unlink(path);
	assert_int_equal(virtio_blk_create(&vdev, "blk0", &guest.memory, disk), 0);
	guest_attach(&guest, vdev);
	start_driver(&b.d, &guest, features | VIRTIO_F_EVENT_IDX | 1 << 9);
	run_blk(&b, direct ? 1000 : 5000);
	guest_exit(&guest);
}

static void test_blk(void **state)
{
	blk_on_file(false, 0);
}

static void test_blk_direct(void **state)
{
	blk_on_file(true, 0);
}

static void test_blk_packed(void **state)
{
	blk_on_file(false, VIRTIO_F_RING_PACKED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_event_idx),
		cmocka_unit_test(test_resets),
		cmocka_unit_test(test_blk),
		cmocka_unit_test(test_blk_direct),
		cmocka_unit_test(test_packed),
		cmocka_unit_test(test_packed_event_idx),
		cmocka_unit_test(test_blk_packed),
	};

	alarm(100); // a hang is a failure
	return cmocka_run_group_tests(tests, NULL, NULL);
}
