// SPDX-License-Identifier: GPL-2.0-or-later
// The console device, on a terminal that takes and gives what the test wants.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "support-virtio.h"
#include "term.h"
#include "virtio-devices.h"

#include <cmocka.h>

#define QUEUE_SIZE 8
#define F_SIZE (1ULL << 0)
#define BUFFER_GPA GUEST_DATA_GPA
#define RX 0
#define TX 1

// -- the terminal --

struct term {
	const struct term_frontend *frontend;
	bool is_tty;
	unsigned columns, rows;
	size_t room; // how much term_write() takes
	size_t written;
	uint8_t output[65536];
	unsigned input_ready_calls;
};

static struct term the_term;

void term_connect(struct term *term, const struct term_frontend *frontend)
{
	term->frontend = frontend;
}

size_t term_write(struct term *term, const uint8_t *data, size_t len)
{
	size_t taken = MIN(len, term->room);

	if (term->written + taken <= sizeof(term->output))
		memcpy(term->output + term->written, data, taken);
	term->written += taken;
	term->room -= taken;
	return taken;
}

void term_input_ready(struct term *term)
{
	term->input_ready_calls++;
}

bool term_size(struct term *term, unsigned *columns, unsigned *rows)
{
	if (!term->is_tty)
		return false;
	*columns = term->columns;
	*rows = term->rows;
	return true;
}

// -- the device --

struct fixture {
	struct guest guest;
	struct guest_queue q[2];
	struct term *term;
};

static void set_up(struct fixture *f, bool is_tty, uint64_t features)
{
	struct virtio_device *vdev;

	*f = (struct fixture){ .term = &the_term };
	memset(f->term, 0, sizeof(*f->term));
	f->term->room = SIZE_MAX;
	f->term->is_tty = is_tty;
	f->term->columns = 80;
	f->term->rows = 25;
	guest_init(&f->guest);
	assert_int_equal(virtio_console_create(&vdev, "console", &f->guest.memory, &f->guest.loop,
					       f->term),
			 0);
	guest_attach(&f->guest, vdev);
	guest_start(&f->guest, features, f->q, 2, QUEUE_SIZE);
	guest_sync(&f->guest);
}

static int setup(void **state)
{
	static struct fixture f;

	set_up(&f, true, F_SIZE);
	*state = &f;
	return 0;
}

static int setup_event_idx(void **state)
{
	static struct fixture f;

	set_up(&f, true, F_SIZE | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC);
	*state = &f;
	return 0;
}

static int setup_packed(void **state)
{
	static struct fixture f;

	set_up(&f, true,
	       F_SIZE | VIRTIO_F_RING_PACKED | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	guest_exit(&((struct fixture *)*state)->guest);
	return 0;
}

static void offer_output(struct fixture *f, unsigned index, uint64_t gpa, uint32_t len)
{
	guest_desc(&f->q[TX], index, gpa, len, 0, 0);
	guest_offer(&f->q[TX], index);
}

static void offer_input(struct fixture *f, unsigned index, uint32_t len)
{
	guest_desc(&f->q[RX], index, BUFFER_GPA + 0x1000 * index, len, RING_DESC_WRITE, 0);
	guest_offer(&f->q[RX], index);
}

static size_t type(struct fixture *f, const char *text)
{
	return f->term->frontend->input(f->term->frontend->opaque, (const uint8_t *)text,
					strlen(text));
}

static void output_ready(struct fixture *f)
{
	f->term->frontend->output_ready(f->term->frontend->opaque);
}

static bool is_used(struct fixture *f, unsigned queue, unsigned id, unsigned len)
{
	struct ring_used_elem elem;

	return guest_take_used(&f->q[queue], &elem) && elem.id == id && elem.len == len;
}

static bool nothing_used(struct fixture *f, unsigned queue)
{
	struct ring_used_elem elem;

	return !guest_take_used(&f->q[queue], &elem);
}

static uint32_t take_interrupt(struct fixture *f)
{
	uint32_t isr = guest_read32(&f->guest, MMIO_INTERRUPT_STATUS);

	guest_write32(&f->guest, MMIO_INTERRUPT_ACK, isr);
	return isr;
}

// The driver's first output, which tells that it is ready for input.
static void greet(struct fixture *f)
{
	offer_output(f, QUEUE_SIZE - 1, BUFFER_GPA, 1);
	guest_kick(&f->q[TX]);
	guest_sync(&f->guest);
	assert_true(is_used(f, TX, QUEUE_SIZE - 1, 0));
	take_interrupt(f);
	f->term->written = 0;
}

// -- size --

static void test_size(void **state)
{
	struct fixture *f = *state;
	uint32_t generation;

	assert_true(guest_device_features(&f->guest) & F_SIZE);
	assert_int_equal(guest_read32(&f->guest, MMIO_DEVICE_ID), 3);
	assert_int_equal(guest_read_config(&f->guest, 0, 2), 80);
	assert_int_equal(guest_read_config(&f->guest, 2, 2), 25);
	assert_int_equal(guest_read_config(&f->guest, 4, 4), 0);
	assert_int_equal(guest_read_config(&f->guest, 8, 4), 0);
	generation = guest_read32(&f->guest, MMIO_CONFIG_GENERATION);
	f->term->frontend->resized(f->term->frontend->opaque, 132, 43);
	assert_int_equal(guest_read32(&f->guest, MMIO_CONFIG_GENERATION), generation + 1);
	assert_int_equal(take_interrupt(f), VIRTIO_ISR_CONFIG);
	assert_int_equal(guest_read_config(&f->guest, 0, 2), 132);
	assert_int_equal(guest_read_config(&f->guest, 2, 2), 43);
	assert_int_equal(guest_read_config(&f->guest, 0, 4), 43 << 16 | 132);
	f->term->frontend->resized(f->term->frontend->opaque, 100000, 65536);
	assert_int_equal(guest_read_config(&f->guest, 0, 4), UINT32_MAX);
}

static void test_size_comes_later(void **state)
{
	struct fixture f;

	set_up(&f, false, F_SIZE);
	assert_true(guest_device_features(&f.guest) & F_SIZE);
	assert_int_equal(guest_read_config(&f.guest, 0, 4), 0);
	f.term->frontend->resized(f.term->frontend->opaque, 132, 43);
	assert_int_equal(take_interrupt(&f), VIRTIO_ISR_CONFIG);
	assert_int_equal(guest_read_config(&f.guest, 0, 4), 43 << 16 | 132);
	guest_exit(&f.guest);
}

// -- output --

static void test_output(void **state)
{
	struct fixture *f = *state;

	memcpy(guest_ram(&f->guest, BUFFER_GPA), "hello, world", 12);
	guest_desc(&f->q[TX], 0, BUFFER_GPA, 5, RING_DESC_NEXT, 1);
	guest_desc(&f->q[TX], 1, BUFFER_GPA + 5, 0, RING_DESC_NEXT, 2);
	guest_desc(&f->q[TX], 2, BUFFER_GPA + 5, 7, 0, 0);
	guest_offer(&f->q[TX], 0);
	offer_output(f, 3, BUFFER_GPA, 1);
	guest_kick(&f->q[TX]);
	guest_sync(&f->guest);
	assert_int_equal(f->term->written, 13);
	assert_memory_equal(f->term->output, "hello, worldh", 13);
	assert_true(is_used(f, TX, 0, 0));
	assert_true(is_used(f, TX, 3, 0));
	assert_int_equal(take_interrupt(f), VIRTIO_ISR_QUEUE);
}

// The terminal takes a little at a time: nothing is lost, doubled or reordered.
static void test_backpressure(void **state)
{
	struct fixture *f = *state;
	uint8_t *ram = guest_ram(&f->guest, BUFFER_GPA);

	for (unsigned i = 0; i < 3000; i++)
		ram[i] = i * 7 + i / 256;
	f->term->room = 100;
	guest_desc(&f->q[TX], 0, BUFFER_GPA, 1000, RING_DESC_NEXT, 1);
	guest_desc(&f->q[TX], 1, BUFFER_GPA + 1000, 1000, 0, 0);
	guest_offer(&f->q[TX], 0);
	offer_output(f, 2, BUFFER_GPA + 2000, 1000);
	guest_kick(&f->q[TX]);
	guest_sync(&f->guest);
	assert_int_equal(f->term->written, 100);
	assert_true(nothing_used(f, TX));
	assert_int_equal(take_interrupt(f), 0);
	// A notification in between changes nothing.
	guest_kick(&f->q[TX]);
	guest_sync(&f->guest);
	assert_int_equal(f->term->written, 100);
	for (unsigned i = 0; i < 18; i++) {
		f->term->room = 100;
		output_ready(f);
	}
	assert_int_equal(f->term->written, 1900);
	assert_true(nothing_used(f, TX));
	f->term->room = 150;
	output_ready(f);
	assert_true(is_used(f, TX, 0, 0));
	assert_true(nothing_used(f, TX));
	assert_int_equal(take_interrupt(f), VIRTIO_ISR_QUEUE);
	f->term->room = SIZE_MAX;
	output_ready(f);
	assert_true(is_used(f, TX, 2, 0));
	assert_int_equal(f->term->written, 3000);
	assert_memory_equal(f->term->output, ram, 3000);
	// And notifications are on again.
	offer_output(f, 3, BUFFER_GPA, 1);
	guest_kick(&f->q[TX]);
	guest_sync(&f->guest);
	assert_true(is_used(f, TX, 3, 0));
}

// A reader that stopped: 1 GiB of output goes nowhere, and costs nothing.
static void test_reader_stopped(void **state)
{
	struct fixture *f = *state;

	f->term->room = 65536;
	for (unsigned i = 0; i < QUEUE_SIZE; i++)
		offer_output(f, i, GUEST_RAM_GPA, GUEST_RAM_BYTES);
	for (unsigned i = 0; i < 1000; i++) {
		guest_kick(&f->q[TX]);
		guest_sync(&f->guest);
	}
	assert_int_equal(f->term->written, 65536);
	assert_true(nothing_used(f, TX));
	guest_write32(&f->guest, MMIO_STATUS, 0);
	f->term->room = SIZE_MAX;
	output_ready(f);
	assert_int_equal(f->term->written, 65536);
	guest_start(&f->guest, F_SIZE, f->q, 2, QUEUE_SIZE);
	output_ready(f);
	guest_sync(&f->guest);
	assert_int_equal(f->term->written, 65536);
}

// -- input --

static void test_input(void **state)
{
	struct fixture *f = *state;

	greet(f);
	assert_int_equal(type(f, "lost?"), 0); // no buffers yet
	offer_input(f, 0, 4);
	offer_input(f, 1, 16);
	f->term->input_ready_calls = 0;
	guest_kick(&f->q[RX]);
	guest_sync(&f->guest);
	assert_int_equal(f->term->input_ready_calls, 1);
	assert_int_equal(type(f, "abcdefg"), 7);
	assert_true(is_used(f, RX, 0, 4));
	assert_true(is_used(f, RX, 1, 3));
	assert_memory_equal(guest_ram(&f->guest, BUFFER_GPA), "abcd", 4);
	assert_memory_equal(guest_ram(&f->guest, BUFFER_GPA + 0x1000), "efg", 3);
	assert_true(guest_was_marked(&f->guest, BUFFER_GPA, 4));
	assert_true(guest_was_marked(&f->guest, BUFFER_GPA + 0x1000, 3));
	assert_int_equal(f->guest.written_bytes, 7);
	assert_int_equal(take_interrupt(f), VIRTIO_ISR_QUEUE);
	assert_int_equal(type(f, "h"), 0);
	assert_int_equal(take_interrupt(f), 0);
}

static void test_input_in_part(void **state)
{
	struct fixture *f = *state;

	greet(f);
	offer_input(f, 0, 2);
	assert_int_equal(type(f, "abc"), 2);
	offer_input(f, 1, 2);
	assert_int_equal(type(f, "c"), 1);
	assert_true(is_used(f, RX, 0, 2));
	assert_true(is_used(f, RX, 1, 1));
}

// Having found no buffer, the device asks to be told of the next one.
static void test_input_asks_for_buffers(void **state)
{
	struct fixture *f = *state;

	greet(f);
	offer_input(f, 0, 2);
	offer_input(f, 1, 2);
	assert_int_equal(type(f, "abcdef"), 4);
	assert_int_equal(*ring_avail_event(f->q[RX].used, QUEUE_SIZE), 2);
	assert_int_equal(f->q[RX].used->flags, 0);
}

// A driver that fills up its buffers is not to say so each time.
static void test_buffers_only_when_there_is_input(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(f->q[RX].device_event->flags, PACKED_EVENT_DISABLE);
	greet(f);
	assert_int_equal(type(f, "a"), 0);
	assert_int_equal(f->q[RX].device_event->flags, PACKED_EVENT_DESC);
	offer_input(f, 0, 2);
	guest_kick(&f->q[RX]);
	guest_sync(&f->guest);
	assert_int_equal(f->q[RX].device_event->flags, PACKED_EVENT_DISABLE);
	assert_int_equal(type(f, "a"), 1);
}

static void test_input_before_driver_ok(void **state)
{
	struct fixture *f = *state;
	unsigned calls = f->term->input_ready_calls;

	guest_write32(&f->guest, MMIO_STATUS, 0);
	assert_int_equal(type(f, "x"), 0);
	guest_start(&f->guest, 0, f->q, 2, QUEUE_SIZE);
	guest_sync(&f->guest);
	// Whatever waits is offered again.
	assert_true(f->term->input_ready_calls > calls);
	greet(f);
	offer_input(f, 0, 8);
	assert_int_equal(type(f, "x"), 1);
}

// Linux drops what arrives before it has connected the port to a terminal.
static void test_input_waits_for_the_driver(void **state)
{
	struct fixture *f = *state;

	offer_input(f, 0, 8);
	guest_kick(&f->q[RX]);
	guest_sync(&f->guest);
	assert_int_equal(type(f, "early"), 0);
	f->term->input_ready_calls = 0;
	greet(f);
	assert_int_equal(f->term->input_ready_calls, 1);
	assert_int_equal(type(f, "early"), 5);
	assert_true(is_used(f, RX, 0, 5));
}

// What is typed or waits for the terminal's room while the VM is paused, comes afterwards.
static void test_hold(void **state)
{
	struct fixture *f = *state;
	uint8_t *ram = guest_ram(&f->guest, GUEST_RAM_GPA), *before = malloc(GUEST_RAM_BYTES);

	assert_non_null(before);
	greet(f);
	offer_input(f, 0, 8);
	guest_kick(&f->q[RX]);
	guest_sync(&f->guest);
	f->term->room = 3;
	offer_output(f, 1, BUFFER_GPA, 5);
	guest_kick(&f->q[TX]);
	guest_sync(&f->guest);

	virtio_hold(f->guest.vdev, true);
	memcpy(before, ram, GUEST_RAM_BYTES);
	f->term->input_ready_calls = 0;
	f->term->room = SIZE_MAX;
	output_ready(f);
	assert_int_equal(type(f, "later"), 0);
	guest_sync(&f->guest);
	assert_memory_equal(ram, before, GUEST_RAM_BYTES);
	free(before);

	virtio_hold(f->guest.vdev, false);
	guest_sync(&f->guest);
	assert_true(is_used(f, TX, 1, 0));
	assert_int_equal(f->term->written, 5);
	assert_true(f->term->input_ready_calls > 0);
	assert_int_equal(type(f, "later"), 5);
	assert_true(is_used(f, RX, 0, 5));
}

static struct loop *loop_to_stop;

static void stop_loop(struct loop_timer *timer)
{
	loop_stop(loop_to_stop);
}

static void run_for_longer_than_silence(struct fixture *f)
{
	struct loop_timer end = { .expired = stop_loop };

	loop_to_stop = &f->guest.loop;
	loop_arm_timer(&f->guest.loop, &end, clock_monotonic_ns() + 600 * 1000000ULL);
	loop_run(&f->guest.loop);
}

static void test_silent_driver_gets_input_later(void **state)
{
	struct fixture *f = *state;

	offer_input(f, 0, 8);
	assert_int_equal(type(f, "early"), 0);
	f->term->input_ready_calls = 0;
	run_for_longer_than_silence(f);
	assert_int_equal(f->term->input_ready_calls, 1);
	assert_int_equal(type(f, "early"), 5);
	assert_true(is_used(f, RX, 0, 5));
}

static void test_pause_is_no_silence(void **state)
{
	struct fixture *f = *state;

	offer_input(f, 0, 8);
	virtio_hold(f->guest.vdev, true);
	run_for_longer_than_silence(f);
	virtio_hold(f->guest.vdev, false);
	guest_sync(&f->guest);
	assert_int_equal(type(f, "early"), 0);
	greet(f);
	assert_int_equal(type(f, "early"), 5);
}

// -- what a hostile driver tries --

static void expect_needs_reset(struct fixture *f)
{
	assert_int_equal(guest_read32(&f->guest, MMIO_STATUS),
			 GUEST_DRIVER_OK | VIRTIO_STATUS_NEEDS_RESET);
	assert_int_equal(type(f, "x"), 0);
	f->term->room = SIZE_MAX;
	output_ready(f);
	guest_start(&f->guest, F_SIZE, f->q, 2, QUEUE_SIZE);
	guest_sync(&f->guest);
}

static void test_bad_receive_buffers(void **state)
{
	struct fixture *f = *state;

	greet(f);
	guest_desc(&f->q[RX], 0, BUFFER_GPA, 8, 0, 0); // not writable
	guest_offer(&f->q[RX], 0);
	assert_int_equal(type(f, "x"), 0);
	expect_needs_reset(f);
	greet(f);
	guest_desc(&f->q[RX], 0, BUFFER_GPA, 0, RING_DESC_WRITE, 0); // empty
	guest_offer(&f->q[RX], 0);
	assert_int_equal(type(f, "x"), 0);
	expect_needs_reset(f);
	greet(f);
	guest_desc(&f->q[RX], 0, GUEST_MMIO_GPA, 8, RING_DESC_WRITE, 0);
	guest_offer(&f->q[RX], 0);
	assert_int_equal(type(f, "x"), 0);
	expect_needs_reset(f);
	greet(f);
	f->q[RX].avail->idx = 40000;
	assert_int_equal(type(f, "x"), 0);
	expect_needs_reset(f);
}

static void test_bad_output(void **state)
{
	struct fixture *f = *state;

	greet(f);
	offer_output(f, 0, UINT64_MAX - 10, 100);
	offer_input(f, 0, 8); // must not be used any more, either
	guest_kick(&f->q[TX]);
	guest_sync(&f->guest);
	expect_needs_reset(f);
	assert_int_equal(f->term->written, 0);
	// One chain waits for room while the other queue breaks.
	f->term->room = 1;
	offer_output(f, 0, BUFFER_GPA, 100);
	offer_output(f, 1, BUFFER_GPA, 100);
	guest_kick(&f->q[TX]);
	guest_sync(&f->guest);
	guest_offer(&f->q[RX], 999);
	assert_int_equal(type(f, "x"), 0);
	expect_needs_reset(f);
	assert_int_equal(f->term->written, 100);
}

// Writable descriptors on the transmit queue are not written, and no obstacle.
static void test_output_with_nothing_to_write(void **state)
{
	struct fixture *f = *state;

	guest_desc(&f->q[TX], 0, BUFFER_GPA, 100, RING_DESC_WRITE, 0);
	guest_offer(&f->q[TX], 0);
	guest_kick(&f->q[TX]);
	guest_sync(&f->guest);
	assert_true(is_used(f, TX, 0, 0));
	assert_int_equal(f->term->written, 0);
	assert_int_equal(f->guest.written_bytes, 0);
}

#define CONSOLE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define PACKED_TEST(f) cmocka_unit_test_setup_teardown(f, setup_packed, teardown)
#define EACH_WAY(f)                      \
	CONSOLE_TEST(f), PACKED_TEST(f), \
		cmocka_unit_test_setup_teardown(f, setup_event_idx, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CONSOLE_TEST(test_size),
		cmocka_unit_test(test_size_comes_later),
		EACH_WAY(test_output),
		EACH_WAY(test_backpressure),
		EACH_WAY(test_reader_stopped),
		EACH_WAY(test_input),
		EACH_WAY(test_input_in_part),
		cmocka_unit_test_setup_teardown(test_input_asks_for_buffers, setup_event_idx,
						teardown),
		PACKED_TEST(test_buffers_only_when_there_is_input),
		CONSOLE_TEST(test_input_before_driver_ok),
		CONSOLE_TEST(test_input_waits_for_the_driver),
		EACH_WAY(test_hold),
		CONSOLE_TEST(test_silent_driver_gets_input_later),
		CONSOLE_TEST(test_pause_is_no_silence),
		CONSOLE_TEST(test_bad_receive_buffers),
		CONSOLE_TEST(test_bad_output),
		CONSOLE_TEST(test_output_with_nothing_to_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
