// SPDX-License-Identifier: GPL-2.0-or-later
// The power button on virtio.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include "support-virtio.h"
#include "virtio-devices.h"

#include <cmocka.h>

#define QUEUE_SIZE 8
#define EVENT_BYTES 8
#define BUFFER_GPA(n) (GUEST_DATA_GPA + (n)*EVENT_BYTES)

enum { CONFIG_SELECT = 0, CONFIG_SUBSEL = 1, CONFIG_SIZE = 2, CONFIG_DATA = 8 };
enum { ID_NAME = 1, ID_SERIAL = 2, EV_BITS = 0x11, EV_KEY = 1, EV_REL = 2 };

struct fixture {
	struct guest guest;
	struct guest_queue q[2];
};

static int setup(void **state)
{
	static struct fixture f;
	struct virtio_device *vdev;

	f = (struct fixture){ 0 };
	guest_init(&f.guest);
	assert_int_equal(virtio_input_create(&vdev, "button", &f.guest.memory, &f.guest.loop), 0);
	guest_attach(&f.guest, vdev);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	guest_exit(&((struct fixture *)*state)->guest);
	return 0;
}

static void start(struct fixture *f)
{
	guest_start(&f->guest, 0, f->q, 2, QUEUE_SIZE);
	guest_sync(&f->guest);
	memset(guest_ram(&f->guest, GUEST_DATA_GPA), 0xee, QUEUE_SIZE * EVENT_BYTES);
}

static void offer(struct fixture *f, unsigned first, unsigned count)
{
	for (unsigned i = first; i < first + count; i++) {
		guest_desc(&f->q[0], i, BUFFER_GPA(i), EVENT_BYTES, RING_DESC_WRITE, 0);
		guest_offer(&f->q[0], i);
	}
}

static void assert_event(struct fixture *f, unsigned index, uint8_t type, uint8_t code,
			 uint8_t value)
{
	const uint8_t expected[EVENT_BYTES] = { type, 0, code, 0, value };

	assert_memory_equal(guest_ram(&f->guest, BUFFER_GPA(index)), expected, EVENT_BYTES);
}

static void assert_press(struct fixture *f)
{
	assert_event(f, 0, 1, 116, 1);
	assert_event(f, 1, 0, 0, 0);
	assert_event(f, 2, 1, 116, 0);
	assert_event(f, 3, 0, 0, 0);
}

static void select_config(struct fixture *f, uint8_t select, uint8_t subsel)
{
	guest_write_config(&f->guest, CONFIG_SELECT, select, 1);
	guest_write_config(&f->guest, CONFIG_SUBSEL, subsel, 1);
}

static void test_identity(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(guest_read32(&f->guest, MMIO_DEVICE_ID), 18);
	select_config(f, ID_NAME, 0);
	assert_int_equal(guest_read_config(&f->guest, CONFIG_SIZE, 1), 12);
	assert_int_equal(guest_read_config(&f->guest, CONFIG_DATA, 1), 'P');
}

static void test_one_key(void **state)
{
	struct fixture *f = *state;

	select_config(f, EV_BITS, EV_KEY);
	assert_int_equal(guest_read_config(&f->guest, CONFIG_SIZE, 1), 15);
	for (unsigned i = 0; i < 14; i++)
		assert_int_equal(guest_read_config(&f->guest, CONFIG_DATA + i, 1), 0);
	assert_int_equal(guest_read_config(&f->guest, CONFIG_DATA + 14, 1), 1 << 4);
	select_config(f, EV_BITS, EV_REL);
	assert_int_equal(guest_read_config(&f->guest, CONFIG_SIZE, 1), 0);
	assert_int_equal(guest_read_config(&f->guest, CONFIG_DATA + 14, 1), 0);
	select_config(f, ID_SERIAL, 0);
	assert_int_equal(guest_read_config(&f->guest, CONFIG_SIZE, 1), 0);
}

static void test_only_selectors_can_be_written(void **state)
{
	struct fixture *f = *state;

	select_config(f, EV_BITS, EV_KEY);
	guest_write_config(&f->guest, CONFIG_SIZE, 200, 1);
	guest_write_config(&f->guest, CONFIG_DATA, 0xff, 1);
	guest_write_config(&f->guest, CONFIG_DATA + 127, 0xff, 1);
	assert_int_equal(guest_read_config(&f->guest, CONFIG_SIZE, 1), 15);
	assert_int_equal(guest_read_config(&f->guest, CONFIG_DATA, 1), 0);
}

static void test_no_driver(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(virtio_input_press(f->guest.vdev), -ENOTCONN);
	start(f);
	assert_int_equal(virtio_input_press(f->guest.vdev), 0);
	guest_write32(&f->guest, MMIO_STATUS, 0);
	guest_sync(&f->guest);
	assert_int_equal(virtio_input_press(f->guest.vdev), -ENOTCONN);
}

static void test_press(void **state)
{
	struct fixture *f = *state;

	start(f);
	offer(f, 0, QUEUE_SIZE);
	assert_int_equal(virtio_input_press(f->guest.vdev), 0);
	assert_int_equal(f->q[0].used->idx, 4);
	assert_press(f);
	assert_true(guest_was_marked(&f->guest, BUFFER_GPA(0), 4 * EVENT_BYTES));
	assert_true(f->guest.irqchip.high);
}

// What finds no buffer comes when there is one, and a press is not heard by halves.
static void test_buffers_come_late(void **state)
{
	struct fixture *f = *state;

	start(f);
	offer(f, 0, 1);
	assert_int_equal(virtio_input_press(f->guest.vdev), 0);
	assert_int_equal(f->q[0].used->idx, 1);
	assert_int_equal(virtio_input_press(f->guest.vdev), 0);
	offer(f, 1, 5);
	guest_kick(&f->q[0]);
	guest_sync(&f->guest);
	assert_int_equal(f->q[0].used->idx, 4);
	assert_press(f);
}

static void test_press_of_one_that_is_held(void **state)
{
	struct fixture *f = *state;

	start(f);
	offer(f, 0, QUEUE_SIZE);
	virtio_hold(f->guest.vdev, true);
	assert_int_equal(virtio_input_press(f->guest.vdev), 0);
	guest_sync(&f->guest);
	assert_int_equal(f->q[0].used->idx, 0);
	assert_int_equal(guest_ram(&f->guest, BUFFER_GPA(0))[0], 0xee);
	virtio_hold(f->guest.vdev, false);
	guest_sync(&f->guest);
	assert_press(f);
}

static void test_reset_forgets_a_press(void **state)
{
	struct fixture *f = *state;

	start(f);
	assert_int_equal(virtio_input_press(f->guest.vdev), 0);
	start(f);
	offer(f, 0, QUEUE_SIZE);
	guest_kick(&f->q[0]);
	guest_sync(&f->guest);
	assert_int_equal(f->q[0].used->idx, 0);
}

static void test_buffer_that_is_not_writable(void **state)
{
	struct fixture *f = *state;

	start(f);
	guest_desc(&f->q[0], 0, BUFFER_GPA(0), EVENT_BYTES, 0, 0);
	guest_offer(&f->q[0], 0);
	assert_int_equal(virtio_input_press(f->guest.vdev), 0);
	assert_int_equal(guest_ram(&f->guest, BUFFER_GPA(0))[0], 0xee);
}

static void test_status_is_taken(void **state)
{
	struct fixture *f = *state;
	struct ring_used_elem elem;

	start(f);
	guest_desc(&f->q[1], 0, BUFFER_GPA(0), EVENT_BYTES, 0, 0);
	guest_offer(&f->q[1], 0);
	guest_kick(&f->q[1]);
	guest_wait_used(&f->q[1], &elem);
	assert_int_equal(elem.len, 0);
}

#define INPUT_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		INPUT_TEST(test_identity),
		INPUT_TEST(test_one_key),
		INPUT_TEST(test_only_selectors_can_be_written),
		INPUT_TEST(test_no_driver),
		INPUT_TEST(test_press),
		INPUT_TEST(test_buffers_come_late),
		INPUT_TEST(test_press_of_one_that_is_held),
		INPUT_TEST(test_reset_forgets_a_press),
		INPUT_TEST(test_buffer_that_is_not_writable),
		INPUT_TEST(test_status_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
