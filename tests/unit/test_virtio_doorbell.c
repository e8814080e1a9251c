// SPDX-License-Identifier: GPL-2.0-or-later
// Notifications that an accelerator turns into a signal on an eventfd.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "device.h"
#include "support-echo.h"

#include <cmocka.h>

// What an accelerator would have been asked for.
static struct bus_doorbell bells[4];
static unsigned bell_count;
static int bell_result;

static int note_bell(void *opaque, const struct bus_doorbell *doorbell)
{
	assert_ptr_equal(opaque, bells);
	assert_true(bell_count < ARRAY_SIZE(bells));
	bells[bell_count++] = *doorbell;
	return bell_result;
}

static struct echo_guest *new_guest_with_line(bool own_loop, int result, bool edge)
{
	struct virtio_setup setup = { .name = "echo0" };
	struct echo_guest *e = calloc(1, sizeof(*e));

	assert_non_null(e);
	bell_count = 0;
	bell_result = result;
	guest_init(&e->guest);
	e->guest.edge = edge;
	e->guest.bus.add_doorbell = note_bell;
	e->guest.bus.accel_opaque = bells;
	e->echo = calloc(1, sizeof(*e->echo));
	assert_non_null(e->echo);
	e->echo->freed = &e->freed;
	setup.memory = &e->guest.memory;
	setup.main_loop = own_loop ? NULL : &e->guest.loop;
	assert_int_equal(virtio_init(&e->echo->vdev, &echo_ops, &setup), 0);
	guest_attach(&e->guest, &e->echo->vdev);
	return e;
}

static struct echo_guest *new_guest(bool own_loop, int result)
{
	return new_guest_with_line(own_loop, result, false);
}

struct stopper {
	struct loop_timer timer;
	struct loop *loop;
};

static void stop(struct loop_timer *timer)
{
	loop_stop(container_of(timer, struct stopper, timer)->loop);
}

// A round of the main loop, descriptors included.
static void run_main_loop(struct echo_guest *e)
{
	struct stopper stopper = { .timer.expired = stop, .loop = &e->guest.loop };

	loop_arm_timer(&e->guest.loop, &stopper.timer, clock_monotonic_ns());
	loop_run(&e->guest.loop);
}

// Rings, and waits until the device has heard it: a loop looks at its descriptors
// between two posts.
static void ring(struct echo_guest *e, unsigned queue)
{
	uint64_t one = 1;

	guest_sync(&e->guest); // ThreadSanitizer does not see the eventfd order anything
	assert_int_equal(write(bells[queue].fd, &one, sizeof(one)), sizeof(one));
	if (!e->echo->vdev.has_own_loops)
		run_main_loop(e);
	guest_sync(&e->guest);
	guest_sync(&e->guest);
}

static void end(struct echo_guest *e)
{
	echo_guest_exit(e);
	free(e);
}

static void test_each_queue_has_one(void **state)
{
	struct echo_guest *e = new_guest(false, 0);

	assert_int_equal(bell_count, ECHO_QUEUES);
	for (unsigned i = 0; i < ECHO_QUEUES; i++) {
		assert_int_equal(bells[i].addr, GUEST_MMIO_GPA + MMIO_QUEUE_NOTIFY);
		assert_int_equal(bells[i].len, 4);
		assert_int_equal(bells[i].value, i);
	}
	end(e);
}

// What the driver says of a queue's interrupt changes nothing then.
static void test_acknowledgement_of_an_edge(void **state)
{
	struct echo_guest *e = new_guest_with_line(false, 0, true);
	const struct bus_doorbell *ack = &bells[ECHO_QUEUES];

	assert_int_equal(bell_count, ECHO_QUEUES + 1);
	assert_int_equal(ack->addr, GUEST_MMIO_GPA + MMIO_INTERRUPT_ACK);
	assert_int_equal(ack->len, 4);
	assert_int_equal(ack->value, VIRTIO_ISR_QUEUE);
	assert_true(ack->fd >= 0);
	end(e);

	e = new_guest_with_line(false, -ENOTSUP, true);
	echo_guest_start(e, 0);
	guest_write32(&e->guest, MMIO_INTERRUPT_ACK, VIRTIO_ISR_QUEUE);
	end(e);
}

static void heard(bool own_loop)
{
	struct echo_guest *e = new_guest(own_loop, 0);
	unsigned before;

	ring(e, 1); // no driver yet: nobody hears
	assert_int_equal(e->echo->notified[1], 0);
	echo_guest_start(e, 0);
	before = e->echo->notified[1];
	ring(e, 1);
	assert_int_equal(e->echo->notified[1], before + 1);
	assert_int_equal(e->echo->notified[0], before);

	guest_write32(&e->guest, MMIO_STATUS, 0);
	ring(e, 1);
	ring(e, 0);
	assert_int_equal(e->echo->notified[1], before + 1);
	assert_int_equal(e->echo->notified[0], before);
	end(e);
}

static void test_heard_between_driver_ok_and_reset(void **state)
{
	heard(false);
	heard(true);
}

// On the main loop, which goes on.
static void test_waits_while_held(void **state)
{
	struct echo_guest *e = new_guest(false, 0);
	struct ring_used_elem used;

	echo_guest_start(e, 0);
	guest_sync(&e->guest);
	virtio_hold(&e->echo->vdev, true);
	echo_guest_offer(e);
	ring(e, 0);
	assert_false(guest_take_used(&e->q[0], &used));
	virtio_hold(&e->echo->vdev, false);
	guest_sync(&e->guest);
	assert_true(guest_take_used(&e->q[0], &used));
	end(e);
}

static void test_chains_are_taken(void **state)
{
	struct echo_guest *e = new_guest(true, 0);
	struct ring_used_elem used;

	echo_guest_start(e, 0);
	echo_guest_offer(e);
	ring(e, 0);
	assert_true(guest_take_used(&e->q[0], &used));
	assert_int_equal(used.id, 0);
	end(e);
}

// A device that could not be started must not be woken.
static void test_not_after_a_failed_start(void **state)
{
	struct echo_guest *e = new_guest(true, 0);

	e->echo->activate_result = -EIO;
	assert_int_equal(guest_negotiate(&e->guest, 0), GUEST_FEATURES_OK);
	guest_set_up_queue(&e->guest, &e->q[0], 0, 8);
	guest_write32(&e->guest, MMIO_STATUS, GUEST_DRIVER_OK);
	ring(e, 0);
	assert_int_equal(e->echo->notified[0], 0);
	end(e);
}

// The register does it then.
static void test_accelerator_without_room(void **state)
{
	struct echo_guest *e = new_guest(false, -ENOSPC);
	unsigned before;

	assert_int_equal(bell_count, ECHO_QUEUES);
	echo_guest_start(e, 0);
	before = e->echo->notified[1];
	guest_write32(&e->guest, MMIO_QUEUE_NOTIFY, 1);
	guest_sync(&e->guest);
	assert_int_equal(e->echo->notified[1], before + 1);
	end(e);
}

// The driver's reset and the bell's ring on different threads.
static void test_ring_while_resetting(void **state)
{
	struct echo_guest *e = new_guest(true, 0);
	uint64_t one = 1;

	for (unsigned i = 0; i < 200; i++) {
		assert_int_equal(write(bells[0].fd, &one, sizeof(one)), sizeof(one));
		echo_guest_start(e, 0);
		assert_int_equal(write(bells[1].fd, &one, sizeof(one)), sizeof(one));
		guest_write32(&e->guest, MMIO_STATUS, 0);
	}
	end(e);
}

static void test_bus_without_doorbells(void **state)
{
	struct bus bus;
	struct bus_doorbell bell = { .fd = -1 };

	bus_init(&bus);
	assert_int_equal(bus_add_doorbell(&bus, &bell), -ENOTSUP);
	bus_exit(&bus);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_queue_has_one),
		cmocka_unit_test(test_acknowledgement_of_an_edge),
		cmocka_unit_test(test_heard_between_driver_ok_and_reset),
		cmocka_unit_test(test_waits_while_held),
		cmocka_unit_test(test_chains_are_taken),
		cmocka_unit_test(test_not_after_a_failed_start),
		cmocka_unit_test(test_accelerator_without_room),
		cmocka_unit_test(test_ring_while_resetting),
		cmocka_unit_test(test_bus_without_doorbells),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
