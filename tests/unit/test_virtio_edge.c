// SPDX-License-Identifier: GPL-2.0-or-later
// Interrupts on a line that the guest takes for edge-triggered.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "support-echo.h"

#include <cmocka.h>

static unsigned edges(struct echo_guest *e)
{
	guest_sync(&e->guest);
	assert_false(atomic_load(&e->guest.irqchip.high));
	return atomic_load(&e->guest.irqchip.edges);
}

static uint32_t isr(struct echo_guest *e)
{
	return guest_read32(&e->guest, MMIO_INTERRUPT_STATUS);
}

static void offer(struct echo_guest *e)
{
	echo_guest_offer(e);
	guest_kick(&e->q[0]);
}

static int setup(void **state)
{
	struct echo_guest *e = calloc(1, sizeof(*e));

	if (!e)
		return -1;
	echo_guest_init(e, &echo_ops, true);
	e->echo->vdev.irq.edge = true;
	*state = e;
	return 0;
}

static void test_one_for_each_time(void **state)
{
	struct echo_guest *e = *state;

	echo_guest_start(e, 0);
	offer(e);
	assert_int_equal(edges(e), 1);
	// Not acknowledged, as far as the device knows: the accelerator may keep that.
	offer(e);
	assert_int_equal(edges(e), 2);
}

// vhost's, whose rings are read elsewhere.
static void test_interrupts_without_a_look_at_the_ring(void **state)
{
	struct echo_guest *e = *state;

	virtio_interrupt(&e->echo->vdev);
	assert_int_equal(edges(e), 0); // 3.1.1
	echo_guest_start(e, 0);
	virtio_interrupt(&e->echo->vdev);
	virtio_interrupt(&e->echo->vdev);
	assert_int_equal(edges(e), 2);
}

static void test_status_tells_of_queues_at_all_times(void **state)
{
	struct echo_guest *e = *state;

	echo_guest_start(e, 0);
	assert_int_equal(isr(e), VIRTIO_ISR_QUEUE);
	offer(e);
	guest_write32(&e->guest, MMIO_INTERRUPT_ACK, VIRTIO_ISR_QUEUE);
	assert_int_equal(isr(e), VIRTIO_ISR_QUEUE);
	assert_int_equal(edges(e), 1);
}

static void test_a_change_of_the_configuration_is_acknowledged(void **state)
{
	struct echo_guest *e = *state;

	echo_guest_start(e, 0);
	virtio_config_changed(&e->echo->vdev);
	assert_int_equal(edges(e), 1);
	assert_int_equal(isr(e), VIRTIO_ISR_QUEUE | VIRTIO_ISR_CONFIG);
	virtio_config_changed(&e->echo->vdev); // the driver has not looked yet
	assert_int_equal(edges(e), 1);
	guest_write32(&e->guest, MMIO_INTERRUPT_ACK, isr(e));
	assert_int_equal(isr(e), VIRTIO_ISR_QUEUE);
	virtio_config_changed(&e->echo->vdev);
	assert_int_equal(edges(e), 2);
}

// 3.1.1
static void test_none_before_driver_ok(void **state)
{
	struct echo_guest *e = *state;

	virtio_config_changed(&e->echo->vdev);
	virtio_signal(&e->echo->vdev, &e->echo->vdev.queues[0]);
	assert_int_equal(edges(e), 0);
	echo_guest_start(e, 0);
	guest_write32(&e->guest, MMIO_STATUS, 0);
	virtio_config_changed(&e->echo->vdev);
	assert_int_equal(edges(e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_for_each_time, setup, echo_teardown),
		cmocka_unit_test_setup_teardown(test_status_tells_of_queues_at_all_times, setup,
						echo_teardown),
		cmocka_unit_test_setup_teardown(test_a_change_of_the_configuration_is_acknowledged,
						setup, echo_teardown),
		cmocka_unit_test_setup_teardown(test_none_before_driver_ok, setup, echo_teardown),
		cmocka_unit_test_setup_teardown(test_interrupts_without_a_look_at_the_ring, setup,
						echo_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
