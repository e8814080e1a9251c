// SPDX-License-Identifier: GPL-2.0-or-later
// The registers of the virtio-mmio transport, and its device tree node.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fdt.h"
#include "support-echo.h"

#include <cmocka.h>

static uint32_t status(struct echo_guest *e)
{
	return guest_read32(&e->guest, MMIO_STATUS);
}

static void test_identity(void **state)
{
	struct echo_guest *e = *state;
	struct guest *g = &e->guest;

	assert_int_equal(guest_read32(g, MMIO_MAGIC), 0x74726976);
	assert_int_equal(guest_read32(g, MMIO_VERSION), 2);
	assert_int_equal(guest_read32(g, MMIO_DEVICE_ID), ECHO_TYPE);
	assert_int_equal(guest_read32(g, MMIO_VENDOR_ID), 0x4b49564b);
	assert_int_equal(guest_read32(g, MMIO_SHM_LEN), UINT32_MAX);
	assert_int_equal(guest_read32(g, MMIO_SHM_LEN + 4), UINT32_MAX);
	assert_int_equal(guest_read32(g, MMIO_SHM_BASE), UINT32_MAX);
	assert_int_equal(guest_read32(g, MMIO_SHM_BASE + 4), UINT32_MAX);
	assert_int_equal(guest_read32(g, MMIO_QUEUE_RESET), 0);
}

static void test_device_features(void **state)
{
	struct echo_guest *e = *state;

	assert_true(guest_device_features(&e->guest) == ECHO_OFFERED);
	guest_write32(&e->guest, MMIO_DEVICE_FEATURES_SEL, 2);
	assert_int_equal(guest_read32(&e->guest, MMIO_DEVICE_FEATURES), 0);
}

// -- queues --

static uint32_t queue_read(struct echo_guest *e, unsigned queue, uint64_t reg)
{
	guest_write32(&e->guest, MMIO_QUEUE_SEL, queue);
	return guest_read32(&e->guest, reg);
}

static void test_queue_registers(void **state)
{
	struct echo_guest *e = *state;

	assert_int_equal(queue_read(e, 0, MMIO_QUEUE_NUM_MAX), ECHO_QUEUE_MAX);
	assert_int_equal(queue_read(e, 1, MMIO_QUEUE_NUM_MAX), ECHO_QUEUE_MAX);
	assert_int_equal(queue_read(e, 2, MMIO_QUEUE_NUM_MAX), 0);
	assert_int_equal(queue_read(e, UINT32_MAX, MMIO_QUEUE_NUM_MAX), 0);
	assert_int_equal(guest_negotiate(&e->guest, 0), GUEST_FEATURES_OK);
	guest_set_up_queue(&e->guest, &e->q[1], 1, 16);
	assert_int_equal(queue_read(e, 1, MMIO_QUEUE_READY), 1);
	assert_int_equal(queue_read(e, 0, MMIO_QUEUE_READY), 0);
	guest_write32(&e->guest, MMIO_QUEUE_SEL, 1);
	guest_write32(&e->guest, MMIO_QUEUE_READY, 0);
	assert_int_equal(queue_read(e, 1, MMIO_QUEUE_READY), 0);
}

static void test_queue_that_does_not_exist(void **state)
{
	struct echo_guest *e = *state;

	assert_int_equal(guest_negotiate(&e->guest, 0), GUEST_FEATURES_OK);
	guest_write32(&e->guest, MMIO_QUEUE_SEL, VIRTIO_MAX_QUEUES + 1);
	guest_write32(&e->guest, MMIO_QUEUE_NUM, 8);
	guest_write32(&e->guest, MMIO_QUEUE_DESC, 0x1000);
	guest_write32(&e->guest, MMIO_QUEUE_READY, 1);
	assert_int_equal(guest_read32(&e->guest, MMIO_QUEUE_READY), 0);
	guest_write32(&e->guest, MMIO_QUEUE_NOTIFY, ECHO_QUEUES);
	guest_write32(&e->guest, MMIO_QUEUE_NOTIFY, UINT32_MAX);
	echo_guest_start(e, 0);
	guest_write32(&e->guest, MMIO_QUEUE_NOTIFY, ECHO_QUEUES);
	guest_write32(&e->guest, MMIO_QUEUE_NOTIFY, 32);
	guest_write32(&e->guest, MMIO_QUEUE_NOTIFY, UINT32_MAX);
	guest_sync(&e->guest);
	assert_int_equal(status(e), GUEST_DRIVER_OK);
}

static void test_reset_forgets_the_queues(void **state)
{
	struct echo_guest *e = *state;

	echo_guest_start(e, 0);
	guest_write32(&e->guest, MMIO_STATUS, 0);
	assert_int_equal(queue_read(e, 0, MMIO_QUEUE_READY), 0);
	assert_int_equal(queue_read(e, 0, MMIO_QUEUE_NUM_MAX), ECHO_QUEUE_MAX);
	guest_kick(&e->q[0]);
	guest_sync(&e->guest);
	assert_int_equal(e->echo->vdev.queues[0].size, 0);
}

// -- widths and offsets --

static void test_register_widths(void **state)
{
	struct echo_guest *e = *state;
	static const unsigned widths[] = { 1, 2, 8 };

	echo_guest_start(e, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(widths); i++) {
		for (uint64_t reg = 0; reg < MMIO_CONFIG; reg++) {
			uint64_t data = UINT64_MAX;

			assert_int_equal(
				bus_read(&e->guest.bus, GUEST_MMIO_GPA + reg, &data, widths[i]), 0);
			assert_int_equal(data & 0xff, 0);
			data = 0; // would reset, if the status register took it
			assert_int_equal(bus_write(&e->guest.bus, GUEST_MMIO_GPA + reg, &data,
						   widths[i]),
					 0);
		}
	}
	assert_int_equal(status(e), GUEST_DRIVER_OK);
}

static void test_misaligned_registers(void **state)
{
	struct echo_guest *e = *state;
	uint32_t data = UINT32_MAX;

	echo_guest_start(e, 0);
	assert_int_equal(bus_read(&e->guest.bus, GUEST_MMIO_GPA + 2, &data, 4), 0);
	assert_int_equal(data, 0);
	data = 0;
	assert_int_equal(bus_write(&e->guest.bus, GUEST_MMIO_GPA + MMIO_STATUS + 1, &data, 4), 0);
	assert_int_equal(status(e), GUEST_DRIVER_OK);
}

// Every offset, read and written with nonsense, from every state: nothing breaks.
static void test_unknown_registers(void **state)
{
	struct echo_guest *e = *state;
	static const uint32_t known[] = {
		MMIO_MAGIC,        MMIO_VERSION,           MMIO_DEVICE_ID,
		MMIO_VENDOR_ID,    MMIO_DEVICE_FEATURES,   MMIO_QUEUE_NUM_MAX,
		MMIO_QUEUE_READY,  MMIO_INTERRUPT_STATUS,  MMIO_STATUS,
		MMIO_SHM_LEN,      MMIO_SHM_LEN + 4,       MMIO_SHM_BASE,
		MMIO_SHM_BASE + 4, MMIO_CONFIG_GENERATION,
	};

	for (uint32_t reg = 0; reg < MMIO_CONFIG; reg += 4) {
		bool is_known = false;

		for (unsigned i = 0; i < ARRAY_SIZE(known); i++)
			is_known |= known[i] == reg;
		if (!is_known)
			assert_int_equal(guest_read32(&e->guest, reg), 0);
	}
	for (uint32_t reg = 0; reg < MMIO_CONFIG; reg += 4)
		if (reg != MMIO_STATUS)
			guest_write32(&e->guest, reg, 0xa5a5a5a5);
	assert_int_equal(status(e), 0);
	echo_guest_start(e, 0);
}

static void test_config_space(void **state)
{
	struct echo_guest *e = *state;
	struct guest *g = &e->guest;
	uint32_t value = 0xddccbbaa;
	uint64_t wide = 0;

	assert_int_equal(guest_read_config(g, 0, 1), 0x10);
	assert_int_equal(guest_read_config(g, 3, 1), 0x13);
	assert_int_equal(guest_read_config(g, 2, 2), 0x1312);
	assert_int_equal(guest_read_config(g, 4, 4), 0x17161514);
	assert_true(guest_read_config(g, 0, 8) == 0x1716151413121110);
	// Not aligned, or not all inside.
	assert_int_equal(guest_read_config(g, 1, 2), 0);
	assert_int_equal(guest_read_config(g, 8, 8), 0);
	assert_int_equal(guest_read_config(g, ECHO_CONFIG_BYTES, 1), 0);
	assert_int_equal(guest_read_config(g, 0xff, 1), 0);
	assert_int_equal(guest_read_config(g, 0xf8, 8), 0);
	assert_int_equal(bus_write(&g->bus, GUEST_MMIO_GPA + MMIO_CONFIG + 8, &value, 4), 0);
	assert_int_equal(guest_read_config(g, 8, 4), value);
	assert_int_equal(bus_write(&g->bus, GUEST_MMIO_GPA + MMIO_CONFIG + 12, &value, 4), 0);
	assert_int_equal(bus_write(&g->bus, GUEST_MMIO_GPA + MMIO_CONFIG + 8, &wide, 8), 0);
	assert_int_equal(guest_read_config(g, 8, 4), value);
	// Behind the region there is nothing at all.
	assert_int_equal(bus_read(&g->bus, GUEST_MMIO_GPA + 0x1000, &value, 4), -ENXIO);
}

static void test_no_config_space(void **state)
{
	struct echo_guest e;
	struct virtio_ops ops = echo_ops;
	uint32_t value = 1;

	ops.config_bytes = 0;
	ops.config_read = NULL;
	ops.config_write = NULL;
	echo_guest_init(&e, &ops, false);
	assert_int_equal(guest_read_config(&e.guest, 0, 4), 0);
	assert_int_equal(bus_write(&e.guest.bus, GUEST_MMIO_GPA + MMIO_CONFIG, &value, 4), 0);
	echo_guest_exit(&e);
}

static void test_device_tree(void **state)
{
	struct echo_guest *e = *state;
	char blob[4096], path[] = "/tmp/kvik-virtio-XXXXXX", command[128];
	struct fdt_writer fdt;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	fdt_writer_init(&fdt, blob, sizeof(blob));
	fdt_u32(&fdt, "#address-cells", 2);
	fdt_u32(&fdt, "#size-cells", 2);
	fdt_node(&fdt, "interrupt-controller");
	fdt_flag(&fdt, "interrupt-controller");
	fdt_u32(&fdt, "#interrupt-cells", 1);
	fdt_u32(&fdt, "#address-cells", 0);
	fdt_u32(&fdt, "phandle", 1);
	fdt_end(&fdt);
	e->guest.dev->ops->describe(e->guest.dev, &fdt);
	assert_int_equal(fdt_writer_finish(&fdt), 0);
	assert_int_equal(write(fd, blob, sizeof(blob)), sizeof(blob));
	close(fd);
	if (system("dtc --version >/dev/null 2>&1") == 0) {
		snprintf(command, sizeof(command),
			 "test -z \"$(dtc -I dtb -O dts -o /dev/null %s "
			 "2>&1)\"",
			 path);
		assert_int_equal(system(command), 0);
		snprintf(command, sizeof(command),
			 "dtc -qI dtb -O dts %s | "
			 "grep -q 'virtio_mmio@10001000 {'",
			 path);
		assert_int_equal(system(command), 0);
	}
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ECHO_TEST(test_identity),
		ECHO_TEST(test_device_features),
		ECHO_TEST(test_queue_registers),
		ECHO_TEST_BOTH_LOOPS(test_queue_that_does_not_exist),
		ECHO_TEST_BOTH_LOOPS(test_reset_forgets_the_queues),
		ECHO_TEST(test_register_widths),
		ECHO_TEST(test_misaligned_registers),
		ECHO_TEST_BOTH_LOOPS(test_unknown_registers),
		ECHO_TEST(test_config_space),
		cmocka_unit_test(test_no_config_space),
		ECHO_TEST(test_device_tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
