// SPDX-License-Identifier: GPL-2.0-or-later
// Registers of virtio-mmio that the guest reads from memory.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "device.h"
#include "support-echo.h"

#include <cmocka.h>

#define SHOWN_AFTER 64 // reads of InterruptStatus, the first time

// What the accelerator was asked for.
static struct {
	const uint8_t *bytes; // shown now; NULL: none
	unsigned shown, hidden;
	int result;
} memory;

static int take_bell(void *opaque, const struct bus_doorbell *doorbell)
{
	return 0;
}

static int show_page(void *opaque, const struct bus_page *page, const void *bytes)
{
	assert_int_equal(page->addr, GUEST_MMIO_GPA);
	assert_true(!memory.bytes == !!bytes);
	if (memory.result)
		return memory.result;
	if (bytes)
		memory.shown++;
	else
		memory.hidden++;
	memory.bytes = bytes;
	return 0;
}

static struct echo_guest *new_guest_with(bool edge, uint64_t region_bytes)
{
	struct virtio_setup setup = { .name = "echo0" };
	struct echo_guest *e = calloc(1, sizeof(*e));

	assert_non_null(e);
	memset(&memory, 0, sizeof(memory));
	guest_init(&e->guest);
	e->guest.edge = edge;
	e->guest.region_bytes = region_bytes;
	e->guest.bus.add_doorbell = take_bell;
	e->guest.bus.show_page = show_page;
	e->echo = calloc(1, sizeof(*e->echo));
	assert_non_null(e->echo);
	e->echo->freed = &e->freed;
	e->echo->config[5] = 0x77;
	setup.memory = &e->guest.memory;
	setup.main_loop = &e->guest.loop;
	assert_int_equal(virtio_init(&e->echo->vdev, &echo_ops, &setup), 0);
	guest_attach(&e->guest, &e->echo->vdev);
	return e;
}

static struct echo_guest *new_guest(bool edge)
{
	return new_guest_with(edge, BUS_PAGE_BYTES);
}

static void end(struct echo_guest *e)
{
	echo_guest_exit(e);
	free(e);
}

static void read_status(struct echo_guest *e, unsigned times)
{
	while (times--)
		guest_read32(&e->guest, MMIO_INTERRUPT_STATUS);
}

static struct echo_guest *new_guest_with_page(void)
{
	struct echo_guest *e = new_guest(true);

	echo_guest_start(e, 0);
	read_status(e, SHOWN_AFTER);
	assert_non_null(memory.bytes);
	return e;
}

static void test_same_as_registers(void **state)
{
	struct echo_guest *e;

	e = new_guest(true);
	echo_guest_start(e, 0);
	read_status(e, SHOWN_AFTER - 1);
	assert_null(memory.bytes);
	read_status(e, 1);
	assert_non_null(memory.bytes);
	for (unsigned reg = 0; reg < MMIO_CONFIG; reg += 4)
		assert_int_equal(load_le32(memory.bytes + reg), guest_read32(&e->guest, reg));
	assert_int_equal(load_le32(memory.bytes + MMIO_INTERRUPT_STATUS), VIRTIO_ISR_QUEUE);
	assert_int_equal(memory.bytes[MMIO_CONFIG + 5], 0x77);
	for (unsigned i = MMIO_CONFIG + ECHO_CONFIG_BYTES; i < BUS_PAGE_BYTES; i++)
		assert_int_equal(memory.bytes[i], 0);
	end(e);
}

// A level-triggered line's status changes with each interrupt.
static void test_not_with_levels(void **state)
{
	struct echo_guest *e = new_guest(false);

	echo_guest_start(e, 0);
	read_status(e, 10 * SHOWN_AFTER);
	assert_int_equal(memory.shown, 0);
	end(e);
}

static void test_not_beside_another_device(void **state)
{
	struct echo_guest *e = new_guest_with(true, VIRTIO_MMIO_SIZE);

	echo_guest_start(e, 0);
	read_status(e, 10 * SHOWN_AFTER);
	assert_int_equal(memory.shown, 0);
	end(e);
}

static void test_not_before_driver_ok(void **state)
{
	struct echo_guest *e = new_guest(true);

	read_status(e, 10 * SHOWN_AFTER);
	assert_int_equal(memory.shown, 0);
	end(e);
}

static void test_goes_before_a_register_changes(void **state)
{
	static const uint64_t registers[] = { MMIO_QUEUE_SEL, MMIO_DEVICE_FEATURES_SEL, MMIO_STATUS,
					      MMIO_CONFIG + 4 };
	struct echo_guest *e;

	for (unsigned i = 0; i < ARRAY_SIZE(registers); i++) {
		e = new_guest_with_page();
		guest_write32(&e->guest, MMIO_QUEUE_NOTIFY, 1); // changes none
		assert_non_null(memory.bytes);
		guest_write32(&e->guest, registers[i], 0);
		assert_null(memory.bytes);
		end(e);
	}
	e = new_guest_with_page();
	e->guest.dev->ops->reset(e->guest.dev);
	assert_null(memory.bytes);
	end(e);
}

// The driver is to find the new bit, which it could not where the old page was.
static void test_goes_before_another_interrupt(void **state)
{
	struct echo_guest *e = new_guest_with_page();

	virtio_config_changed(&e->echo->vdev);
	assert_null(memory.bytes);
	assert_int_equal(guest_read32(&e->guest, MMIO_INTERRUPT_STATUS),
			 VIRTIO_ISR_QUEUE | VIRTIO_ISR_CONFIG);
	read_status(e, 10 * SHOWN_AFTER);
	assert_null(memory.bytes); // as long as it has not heard
	guest_write32(&e->guest, MMIO_INTERRUPT_ACK, VIRTIO_ISR_CONFIG);
	read_status(e, 100 * SHOWN_AFTER);
	assert_non_null(memory.bytes);
	assert_int_equal(load_le32(memory.bytes + MMIO_CONFIG_GENERATION),
			 guest_read32(&e->guest, MMIO_CONFIG_GENERATION));
	virtio_fail(&e->echo->vdev, "a test");
	assert_null(memory.bytes);
	end(e);
}

// To show and to hide costs more than an exit: who has it often waits longer.
static void test_patience_grows(void **state)
{
	struct echo_guest *e = new_guest_with_page();

	for (unsigned i = 0; i < 3; i++) {
		guest_write32(&e->guest, MMIO_QUEUE_SEL, 0);
		read_status(e, (2 * SHOWN_AFTER << i) - 1);
		assert_null(memory.bytes);
		read_status(e, 1);
		assert_non_null(memory.bytes);
	}
	assert_int_equal(memory.shown, 4);
	end(e);
}

static void test_accelerator_without_room(void **state)
{
	struct echo_guest *e = new_guest(true);

	memory.result = -EINVAL;
	echo_guest_start(e, 0);
	read_status(e, 10 * SHOWN_AFTER);
	assert_int_equal(guest_read32(&e->guest, MMIO_INTERRUPT_STATUS), VIRTIO_ISR_QUEUE);
	end(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_as_registers),
		cmocka_unit_test(test_not_with_levels),
		cmocka_unit_test(test_not_beside_another_device),
		cmocka_unit_test(test_not_before_driver_ok),
		cmocka_unit_test(test_goes_before_a_register_changes),
		cmocka_unit_test(test_goes_before_another_interrupt),
		cmocka_unit_test(test_patience_grows),
		cmocka_unit_test(test_accelerator_without_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
