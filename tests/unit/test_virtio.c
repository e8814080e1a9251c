// SPDX-License-Identifier: GPL-2.0-or-later
// The status machine of a virtio device: features, activation, failure, reset.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "support-echo.h"

#include <cmocka.h>

static uint32_t status(struct echo_guest *e)
{
	return guest_read32(&e->guest, MMIO_STATUS);
}

static void set_status(struct echo_guest *e, uint32_t value)
{
	guest_write32(&e->guest, MMIO_STATUS, value);
}

static bool line_high(struct echo_guest *e)
{
	return atomic_load(&e->guest.irqchip.high);
}

// -- features --

static void test_features_accepted(void **state)
{
	struct echo_guest *e = *state;

	assert_int_equal(guest_negotiate(&e->guest, 0), GUEST_FEATURES_OK);
	assert_int_equal(guest_negotiate(&e->guest, ECHO_OFFERED), GUEST_FEATURES_OK);
	assert_true(virtio_has_feature(&e->echo->vdev, ECHO_FEATURE));
}

static void test_features_refused(void **state)
{
	struct echo_guest *e = *state;
	uint32_t before = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER;

	assert_int_equal(guest_negotiate(&e->guest, 1ULL << 6), before);
	assert_int_equal(guest_negotiate(&e->guest, 1ULL << 63), before);
	// VIRTIO_F_RING_RESET and VIRTIO_F_IN_ORDER are not offered.
	assert_int_equal(guest_negotiate(&e->guest, 1ULL << 40), before);
	assert_int_equal(guest_negotiate(&e->guest, 1ULL << 35), before);
	// Without VIRTIO_F_VERSION_1.
	set_status(e, 0);
	set_status(e, before);
	guest_write32(&e->guest, MMIO_DRIVER_FEATURES_SEL, 0);
	guest_write32(&e->guest, MMIO_DRIVER_FEATURES, ECHO_FEATURE);
	set_status(e, GUEST_FEATURES_OK);
	assert_int_equal(status(e), before);
	// A refusal is not the end.
	guest_write32(&e->guest, MMIO_DRIVER_FEATURES_SEL, 1);
	guest_write32(&e->guest, MMIO_DRIVER_FEATURES, 1);
	set_status(e, GUEST_FEATURES_OK);
	assert_int_equal(status(e), GUEST_FEATURES_OK);
}

static void test_features_frozen(void **state)
{
	struct echo_guest *e = *state;

	assert_int_equal(guest_negotiate(&e->guest, 0), GUEST_FEATURES_OK);
	guest_write32(&e->guest, MMIO_DRIVER_FEATURES_SEL, 0);
	guest_write32(&e->guest, MMIO_DRIVER_FEATURES, ECHO_FEATURE);
	assert_false(virtio_has_feature(&e->echo->vdev, ECHO_FEATURE));
	set_status(e, 0); // but cleared by reset
	assert_true(e->echo->vdev.features_driver == 0);
}

// -- status --

static void test_status_bits_only_get_set(void **state)
{
	struct echo_guest *e = *state;

	echo_guest_start(e, 0);
	set_status(e, VIRTIO_STATUS_ACKNOWLEDGE);
	assert_int_equal(status(e), GUEST_DRIVER_OK);
	set_status(e, VIRTIO_STATUS_FAILED);
	assert_int_equal(status(e), GUEST_DRIVER_OK | VIRTIO_STATUS_FAILED);
	set_status(e, 0x100); // not a reset
	assert_int_equal(status(e), GUEST_DRIVER_OK | VIRTIO_STATUS_FAILED);
	set_status(e, 0);
	assert_int_equal(status(e), 0);
}

static void test_driver_cannot_say_needs_reset(void **state)
{
	struct echo_guest *e = *state;

	set_status(e, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_NEEDS_RESET);
	assert_int_equal(status(e), VIRTIO_STATUS_ACKNOWLEDGE);
}

static void test_driver_ok_needs_features_ok(void **state)
{
	struct echo_guest *e = *state;

	set_status(e, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_DRIVER_OK);
	assert_int_equal(status(e), VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
	guest_sync(&e->guest);
	assert_int_equal(e->echo->activated, 0);
}

static void test_activation_and_reset(void **state)
{
	struct echo_guest *e = *state;

	echo_guest_start(e, 0);
	assert_int_equal(e->echo->activated, 1);
	set_status(e, GUEST_DRIVER_OK); // again
	assert_int_equal(e->echo->activated, 1);
	set_status(e, 0);
	assert_int_equal(e->echo->resets, 1);
	set_status(e, 0);
	assert_int_equal(e->echo->resets, 1);
	echo_guest_start(e, 0);
	assert_int_equal(e->echo->activated, 2);
	e->guest.dev->ops->reset(e->guest.dev);
	assert_int_equal(e->echo->resets, 2);
	assert_int_equal(status(e), 0);
}

static void test_activation_fails(void **state)
{
	struct echo_guest *e = *state;

	e->echo->activate_result = -ENOMEM;
	assert_int_equal(guest_negotiate(&e->guest, 0), GUEST_FEATURES_OK);
	guest_set_up_queue(&e->guest, &e->q[0], 0, 8);
	set_status(e, GUEST_DRIVER_OK);
	assert_int_equal(status(e), GUEST_DRIVER_OK | VIRTIO_STATUS_NEEDS_RESET);
	guest_kick(&e->q[0]);
	guest_sync(&e->guest);
	assert_int_equal(e->echo->notified[0], 0);
	set_status(e, 0);
	assert_int_equal(e->echo->resets, 0);
	e->echo->activate_result = 0;
	echo_guest_start(e, 0);
}

// -- queues --

static void try_bad_queue(struct echo_guest *e, uint64_t reg, uint32_t value)
{
	assert_int_equal(guest_negotiate(&e->guest, 0), GUEST_FEATURES_OK);
	guest_set_up_queue(&e->guest, &e->q[0], 0, 8);
	guest_write32(&e->guest, MMIO_QUEUE_READY, 0);
	guest_write32(&e->guest, reg, value);
	guest_write32(&e->guest, MMIO_QUEUE_READY, 1);
	set_status(e, GUEST_DRIVER_OK);
	assert_int_equal(status(e), GUEST_DRIVER_OK | VIRTIO_STATUS_NEEDS_RESET);
	assert_int_equal(guest_read32(&e->guest, MMIO_INTERRUPT_STATUS), VIRTIO_ISR_CONFIG);
	assert_true(line_high(e));
}

static void test_bad_queues(void **state)
{
	struct echo_guest *e = *state;
	static const uint32_t bad_sizes[] = { 0,          3,      65535, 65536, 2 * ECHO_QUEUE_MAX,
					      0x80000000, 0x10008 };

	for (unsigned i = 0; i < ARRAY_SIZE(bad_sizes); i++)
		try_bad_queue(e, MMIO_QUEUE_NUM, bad_sizes[i]);
	try_bad_queue(e, MMIO_QUEUE_DESC, 0x80000004);
	try_bad_queue(e, MMIO_QUEUE_DESC + 4, 0xffffffff);
	try_bad_queue(e, MMIO_QUEUE_DRIVER, GUEST_MMIO_GPA);
	try_bad_queue(e, MMIO_QUEUE_DEVICE + 4, 1);
	assert_int_equal(e->echo->activated, 0);
	echo_guest_start(e, 0);
	assert_int_equal(e->echo->activated, 1);
}

// A packed ring's size may be any (2.8.10.1), and what it lies on is checked as well.
static void test_packed_queues(void **state)
{
	struct echo_guest *e = *state;
	struct ring_used_elem elem;

	assert_int_equal(guest_negotiate(&e->guest, VIRTIO_F_RING_PACKED), GUEST_FEATURES_OK);
	guest_set_up_queue(&e->guest, &e->q[0], 0, 13);
	set_status(e, GUEST_DRIVER_OK);
	assert_int_equal(status(e), GUEST_DRIVER_OK);
	for (unsigned i = 0; i < 40; i++) {
		echo_guest_offer(e);
		guest_kick(&e->q[0]);
		guest_wait_used(&e->q[0], &elem);
		assert_int_equal(elem.len, 16);
	}
	assert_int_equal(guest_negotiate(&e->guest, VIRTIO_F_RING_PACKED), GUEST_FEATURES_OK);
	guest_set_up_queue(&e->guest, &e->q[0], 0, 13);
	guest_write32(&e->guest, MMIO_QUEUE_READY, 0);
	guest_write32(&e->guest, MMIO_QUEUE_DRIVER, e->q[0].avail_gpa + 1);
	guest_write32(&e->guest, MMIO_QUEUE_READY, 1);
	set_status(e, GUEST_DRIVER_OK);
	assert_int_equal(status(e), GUEST_DRIVER_OK | VIRTIO_STATUS_NEEDS_RESET);
}

static void test_queue_set_up_only_between_features_and_driver_ok(void **state)
{
	struct echo_guest *e = *state;
	struct virtqueue *vq = &e->echo->vdev.queues[0];
	struct virtqueue before;

	guest_write32(&e->guest, MMIO_QUEUE_NUM, 8);
	guest_write32(&e->guest, MMIO_QUEUE_READY, 1);
	assert_int_equal(guest_read32(&e->guest, MMIO_QUEUE_READY), 0);
	assert_int_equal(vq->size, 0);
	// Not while it is ready.
	assert_int_equal(guest_negotiate(&e->guest, 0), GUEST_FEATURES_OK);
	guest_set_up_queue(&e->guest, &e->q[0], 0, 8);
	guest_write32(&e->guest, MMIO_QUEUE_NUM, 16);
	guest_write32(&e->guest, MMIO_QUEUE_DEVICE, 0);
	assert_int_equal(vq->size, 8);
	assert_true(vq->used_gpa == e->q[0].used_gpa);
	// Not after DRIVER_OK.
	set_status(e, GUEST_DRIVER_OK);
	guest_sync(&e->guest);
	before = *vq;
	guest_write32(&e->guest, MMIO_QUEUE_READY, 0);
	guest_write32(&e->guest, MMIO_QUEUE_NUM, 64);
	for (uint64_t reg = MMIO_QUEUE_DESC; reg < MMIO_SHM_LEN; reg += 4)
		guest_write32(&e->guest, reg, 0x41414141);
	guest_write32(&e->guest, MMIO_QUEUE_RESET, 1);
	assert_memory_equal(vq, &before, sizeof(before));
	assert_int_equal(status(e), GUEST_DRIVER_OK);
}

// -- work and interrupts --

static void test_round_trip(void **state)
{
	struct echo_guest *e = *state;
	struct ring_used_elem elem;

	echo_guest_start(e, 0);
	assert_false(line_high(e));
	echo_guest_offer(e);
	guest_kick(&e->q[0]);
	guest_wait_used(&e->q[0], &elem);
	guest_sync(&e->guest);
	assert_int_equal(elem.len, 16);
	assert_int_equal(e->echo->taken_notified, 0);
	assert_true(line_high(e));
	assert_int_equal(guest_read32(&e->guest, MMIO_INTERRUPT_STATUS), VIRTIO_ISR_QUEUE);
	guest_write32(&e->guest, MMIO_INTERRUPT_ACK, VIRTIO_ISR_QUEUE);
	assert_false(line_high(e));
	assert_int_equal(guest_read32(&e->guest, MMIO_INTERRUPT_STATUS), 0);
}

// Notifications before DRIVER_OK are not taken, but the chains are found at start.
static void test_chains_offered_before_driver_ok(void **state)
{
	struct echo_guest *e = *state;
	struct ring_used_elem elem;

	assert_int_equal(guest_negotiate(&e->guest, 0), GUEST_FEATURES_OK);
	guest_set_up_queue(&e->guest, &e->q[0], 0, 8);
	echo_guest_offer(e);
	guest_kick(&e->q[0]);
	guest_sync(&e->guest);
	assert_false(guest_take_used(&e->q[0], &elem));
	set_status(e, GUEST_DRIVER_OK);
	guest_wait_used(&e->q[0], &elem);
	assert_int_equal(e->echo->notified[1], 0); // not set up
}

static void test_line_is_high_while_any_bit_is_set(void **state)
{
	struct echo_guest *e = *state;
	struct ring_used_elem elem;

	echo_guest_start(e, 0);
	echo_guest_offer(e);
	guest_kick(&e->q[0]);
	guest_wait_used(&e->q[0], &elem);
	guest_sync(&e->guest);
	virtio_config_changed(&e->echo->vdev);
	assert_int_equal(guest_read32(&e->guest, MMIO_INTERRUPT_STATUS), 3);
	guest_write32(&e->guest, MMIO_INTERRUPT_ACK, VIRTIO_ISR_QUEUE);
	assert_true(line_high(e));
	guest_write32(&e->guest, MMIO_INTERRUPT_ACK, ~0u);
	assert_false(line_high(e));
	assert_int_equal(e->guest.irqchip.edges, 1);
	virtio_config_changed(&e->echo->vdev);
	set_status(e, 0);
	assert_false(line_high(e));
	assert_int_equal(guest_read32(&e->guest, MMIO_INTERRUPT_STATUS), 0);
}

static void test_config_generation(void **state)
{
	struct echo_guest *e = *state;
	uint32_t before = guest_read32(&e->guest, MMIO_CONFIG_GENERATION);

	virtio_config_changed(&e->echo->vdev);
	assert_int_equal(guest_read32(&e->guest, MMIO_CONFIG_GENERATION), before + 1);
	assert_false(line_high(e)); // 3.1.1: not before DRIVER_OK
	assert_int_equal(guest_read32(&e->guest, MMIO_INTERRUPT_STATUS), 0);
	echo_guest_start(e, 0);
	virtio_config_changed(&e->echo->vdev);
	assert_int_equal(guest_read32(&e->guest, MMIO_CONFIG_GENERATION), before + 2);
	assert_true(line_high(e));
}

static void test_broken_driver(void **state)
{
	struct echo_guest *e = *state;
	struct ring_used_elem elem;

	echo_guest_start(e, 0);
	guest_offer(&e->q[0], 8); // beyond the table
	guest_kick(&e->q[0]);
	guest_sync(&e->guest);
	assert_int_equal(status(e), GUEST_DRIVER_OK | VIRTIO_STATUS_NEEDS_RESET);
	assert_int_equal(guest_read32(&e->guest, MMIO_INTERRUPT_STATUS), VIRTIO_ISR_CONFIG);
	assert_true(line_high(e));
	// It does no more ...
	e->echo->notified[0] = 0;
	echo_guest_offer(e);
	guest_kick(&e->q[0]);
	guest_sync(&e->guest);
	assert_int_equal(e->echo->notified[0], 0);
	assert_false(guest_take_used(&e->q[0], &elem));
	// ... until it is reset.
	set_status(e, 0);
	assert_int_equal(status(e), 0);
	test_round_trip(state);
}

// A device stands still until it is let go, and loses nothing.
static void test_hold(void **state)
{
	struct echo_guest *e = *state;
	struct ring_used_elem elem;

	echo_guest_start(e, 0);
	guest_sync(&e->guest);
	virtio_hold(&e->echo->vdev, true);
	virtio_hold(&e->echo->vdev, true);
	echo_guest_offer(e);
	guest_kick(&e->q[0]);
	guest_run_main_loop(&e->guest);
	guest_run_main_loop(&e->guest);
	assert_false(guest_take_used(&e->q[0], &elem));
	virtio_hold(&e->echo->vdev, false);
	guest_wait_used(&e->q[0], &elem);
	echo_guest_offer(e);
	guest_kick(&e->q[0]);
	guest_wait_used(&e->q[0], &elem);
}

// A driver that breaks the rules all the time gets few lines into the log.
static void test_broken_driver_does_not_flood_the_log(void **state)
{
	struct echo_guest *e = *state;
	int saved = dup(STDERR_FILENO), pipes[2], bytes;
	char text[65536];

	assert_int_equal(pipe(pipes), 0);
	assert_true(dup2(pipes[1], STDERR_FILENO) >= 0);
	for (unsigned i = 0; i < 50; i++) {
		echo_guest_start(e, 0);
		guest_offer(&e->q[0], 8);
		guest_kick(&e->q[0]);
		guest_sync(&e->guest);
	}
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(pipes[1]);
	bytes = read(pipes[0], text, sizeof(text) - 1);
	close(pipes[0]);
	assert_true(bytes > 0);
	text[bytes] = '\0';
	assert_non_null(strstr(text, "echo0: "));
	assert_non_null(strstr(text, "descriptor index beyond the table"));
	unsigned lines = 0;
	for (const char *c = text; *c; c++)
		lines += *c == '\n';
	assert_in_range(lines, 1, 10);
}

// Freed while it works: with chains offered and a notification on its way.
static void test_free_while_active(void **state)
{
	struct echo_guest *e = *state;

	echo_guest_start(e, 0);
	echo_guest_offer(e);
	guest_kick(&e->q[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ECHO_TEST(test_features_accepted),
		ECHO_TEST(test_features_refused),
		ECHO_TEST(test_features_frozen),
		ECHO_TEST_BOTH_LOOPS(test_status_bits_only_get_set),
		ECHO_TEST(test_driver_cannot_say_needs_reset),
		ECHO_TEST(test_driver_ok_needs_features_ok),
		ECHO_TEST_BOTH_LOOPS(test_activation_and_reset),
		ECHO_TEST_BOTH_LOOPS(test_activation_fails),
		ECHO_TEST_BOTH_LOOPS(test_bad_queues),
		ECHO_TEST_BOTH_LOOPS(test_packed_queues),
		ECHO_TEST_BOTH_LOOPS(test_queue_set_up_only_between_features_and_driver_ok),
		ECHO_TEST_BOTH_LOOPS(test_round_trip),
		ECHO_TEST_BOTH_LOOPS(test_chains_offered_before_driver_ok),
		ECHO_TEST_BOTH_LOOPS(test_line_is_high_while_any_bit_is_set),
		ECHO_TEST(test_config_generation),
		ECHO_TEST_BOTH_LOOPS(test_broken_driver),
		ECHO_TEST_BOTH_LOOPS(test_hold),
		ECHO_TEST_BOTH_LOOPS(test_broken_driver_does_not_flood_the_log),
		ECHO_TEST_BOTH_LOOPS(test_free_while_active),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
