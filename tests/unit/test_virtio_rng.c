// SPDX-License-Identifier: GPL-2.0-or-later
// The entropy device.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include "support-virtio.h"
#include "virtio-devices.h"

#include <cmocka.h>

#define QUEUE_SIZE 8
#define BUFFER_GPA GUEST_DATA_GPA
#define CAP (64 * KIB)

struct fixture {
	struct guest guest;
	struct guest_queue q;
};

static int setup(void **state)
{
	static struct fixture f;
	struct virtio_device *vdev;

	f = (struct fixture){ 0 };
	guest_init(&f.guest);
	assert_int_equal(virtio_rng_create(&vdev, "rng", &f.guest.memory, &f.guest.loop), 0);
	guest_attach(&f.guest, vdev);
	guest_start(&f.guest, 0, &f.q, 1, QUEUE_SIZE);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	guest_exit(&((struct fixture *)*state)->guest);
	return 0;
}

static uint32_t run(struct fixture *f, uint16_t head)
{
	struct ring_used_elem elem;

	guest_offer(&f->q, head);
	guest_kick(&f->q);
	guest_wait_used(&f->q, &elem);
	assert_int_equal(elem.id, head);
	return elem.len;
}

static bool all_zero(const uint8_t *data, size_t len)
{
	while (len--)
		if (*data++)
			return false;
	return true;
}

static void test_identity(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(guest_read32(&f->guest, MMIO_DEVICE_ID), 4);
	assert_int_equal(guest_read_config(&f->guest, 0, 4), 0);
}

static void test_bytes(void **state)
{
	struct fixture *f = *state;
	uint8_t first[64];

	guest_desc(&f->q, 0, BUFFER_GPA, 64, RING_DESC_WRITE | RING_DESC_NEXT, 1);
	guest_desc(&f->q, 1, BUFFER_GPA + 0x1000, 16, RING_DESC_WRITE, 0);
	assert_int_equal(run(f, 0), 80);
	assert_false(all_zero(guest_ram(&f->guest, BUFFER_GPA), 64));
	assert_false(all_zero(guest_ram(&f->guest, BUFFER_GPA + 0x1000), 16));
	assert_true(all_zero(guest_ram(&f->guest, BUFFER_GPA + 64), 0x1000 - 64));
	assert_true(all_zero(guest_ram(&f->guest, BUFFER_GPA + 0x1010), 0x1000));
	assert_true(guest_was_marked(&f->guest, BUFFER_GPA, 64));
	assert_int_equal(f->guest.written_bytes, 80);
	assert_true(f->guest.irqchip.high);
	memcpy(first, guest_ram(&f->guest, BUFFER_GPA), 64);
	assert_int_equal(run(f, 0), 80);
	assert_memory_not_equal(guest_ram(&f->guest, BUFFER_GPA), first, 64);
}

static void test_huge_request_is_capped(void **state)
{
	struct fixture *f = *state;

	// 4 GiB is more than RAM: as much as one descriptor may say here, twice.
	guest_desc(&f->q, 0, BUFFER_GPA, 0x80000, RING_DESC_WRITE | RING_DESC_NEXT, 1);
	guest_desc(&f->q, 1, BUFFER_GPA + 0x80000, 0x80000, RING_DESC_WRITE, 0);
	assert_int_equal(run(f, 0), CAP);
	assert_true(all_zero(guest_ram(&f->guest, BUFFER_GPA + CAP), 0x100000 - CAP));
	assert_int_equal(f->guest.written_bytes, CAP);
	// Over several descriptors the cap is the same.
	for (unsigned i = 0; i < QUEUE_SIZE; i++)
		guest_desc(&f->q, i, BUFFER_GPA, 0x3000,
			   RING_DESC_WRITE | (i < QUEUE_SIZE - 1 ? RING_DESC_NEXT : 0), i + 1);
	assert_int_equal(run(f, 0), CAP);
}

static void test_nothing_to_fill(void **state)
{
	struct fixture *f = *state;

	guest_desc(&f->q, 0, BUFFER_GPA, 64, 0, 0);
	assert_int_equal(run(f, 0), 0);
	guest_desc(&f->q, 0, BUFFER_GPA, 0, RING_DESC_WRITE, 0);
	assert_int_equal(run(f, 0), 0);
	assert_int_equal(f->guest.written_bytes, 0);
}

static void test_bad_chain(void **state)
{
	struct fixture *f = *state;

	guest_desc(&f->q, 0, BUFFER_GPA, UINT32_MAX, RING_DESC_WRITE, 0);
	guest_offer(&f->q, 0);
	guest_kick(&f->q);
	guest_sync(&f->guest);
	assert_int_equal(guest_read32(&f->guest, MMIO_STATUS),
			 GUEST_DRIVER_OK | VIRTIO_STATUS_NEEDS_RESET);
	guest_start(&f->guest, 0, &f->q, 1, QUEUE_SIZE);
	guest_desc(&f->q, 0, BUFFER_GPA, 8, RING_DESC_WRITE, 0);
	assert_int_equal(run(f, 0), 8);
}

// A driver that refills the queue all the time gets a queue full in each turn, and the
// loop its turns in between.
static void test_busy_driver(void **state)
{
	struct fixture *f = *state;

	guest_desc(&f->q, 0, BUFFER_GPA, 8, RING_DESC_WRITE, 0);
	for (unsigned i = 0; i < QUEUE_SIZE; i++)
		guest_offer(&f->q, 0);
	guest_kick(&f->q);
	guest_sync(&f->guest);
	assert_int_equal(f->q.used->idx, QUEUE_SIZE);
	for (unsigned i = 0; i < QUEUE_SIZE; i++)
		guest_offer(&f->q, 0);
	guest_sync(&f->guest); // not notified: the device looks again by itself
	assert_int_equal(f->q.used->idx, 2 * QUEUE_SIZE);
}

#define RNG_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RNG_TEST(test_identity),
		RNG_TEST(test_bytes),
		RNG_TEST(test_huge_request_is_capped),
		RNG_TEST(test_nothing_to_fill),
		RNG_TEST(test_bad_chain),
		RNG_TEST(test_busy_driver),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
