// SPDX-License-Identifier: GPL-2.0-or-later
// The memory balloon: what goes back to the host, and drivers that lie.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "balloon.h"
#include "support-virtio.h"

#include <cmocka.h>

#define QUEUE_SIZE 8
#define QUEUES 4
#define PAGE_BYTES 4096
#define LIST_GPA GUEST_DATA_GPA
#define PAGES_GPA (GUEST_DATA_GPA + 0x10000) // of which pages are given away

enum { INFLATE, DEFLATE, STATS, REPORT };

// Feature bits (virtio 1.2 5.5.3).
#define STATS_VQ (1ULL << 1)
#define PAGE_POISON (1ULL << 4)
#define PAGE_REPORTING (1ULL << 5)

struct fixture {
	struct guest guest;
	struct guest_queue q[QUEUES];
	struct virtio_device *vdev;
	unsigned changed, told;
};

static void changed(void *opaque)
{
	((struct fixture *)opaque)->changed++;
}

static void told(void *opaque)
{
	((struct fixture *)opaque)->told++;
}

static void start(struct fixture *f, uint64_t features)
{
	struct balloon_events events = { .changed = changed, .told = told, .opaque = f };

	guest_init(&f->guest);
	assert_int_equal(virtio_balloon_create(&f->vdev, "balloon", &f->guest.memory,
					       &f->guest.loop, events),
			 0);
	guest_attach(&f->guest, f->vdev);
	guest_start(&f->guest, features, f->q, QUEUES, QUEUE_SIZE);
	memset(guest_ram(&f->guest, PAGES_GPA), 0x5a, 16 * PAGE_BYTES);
}

static int setup(void **state)
{
	static struct fixture f;

	f = (struct fixture){ 0 };
	start(&f, STATS_VQ | PAGE_REPORTING);
	*state = &f;
	return 0;
}

static int setup_poison(void **state)
{
	static struct fixture f;

	f = (struct fixture){ 0 };
	start(&f, STATS_VQ | PAGE_REPORTING | PAGE_POISON);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	guest_exit(&((struct fixture *)*state)->guest);
	return 0;
}

static void name_page(struct fixture *f, unsigned index, uint32_t pfn)
{
	memcpy(guest_ram(&f->guest, LIST_GPA) + index * sizeof(pfn), &pfn, sizeof(pfn));
}

static uint32_t pfn_of(unsigned page)
{
	return (uint32_t)(PAGES_GPA / PAGE_BYTES + page);
}

static void give_list(struct fixture *f, unsigned queue, uint32_t len)
{
	guest_desc(&f->q[queue], 0, LIST_GPA, len, 0, 0);
	guest_offer(&f->q[queue], 0);
	guest_kick(&f->q[queue]);
}

static void run_list(struct fixture *f, unsigned queue, unsigned count)
{
	struct ring_used_elem elem;

	give_list(f, queue, count * sizeof(uint32_t));
	guest_wait_used(&f->q[queue], &elem);
	assert_int_equal(elem.len, 0);
}

static bool is_dropped(struct fixture *f, unsigned page)
{
	return *guest_ram(&f->guest, PAGES_GPA + page * PAGE_BYTES) == 0;
}

static void test_inflate(void **state)
{
	struct fixture *f = *state;

	name_page(f, 0, pfn_of(1));
	name_page(f, 1, pfn_of(2));
	name_page(f, 2, pfn_of(5));
	name_page(f, 3, pfn_of(4)); // downwards
	run_list(f, INFLATE, 4);
	assert_false(is_dropped(f, 0));
	assert_true(is_dropped(f, 1));
	assert_true(is_dropped(f, 2));
	assert_false(is_dropped(f, 3));
	assert_true(is_dropped(f, 4));
	assert_true(is_dropped(f, 5));
	assert_false(is_dropped(f, 6));
	assert_int_equal(balloon_state(f->vdev).returned_bytes, 4 * PAGE_BYTES);
	assert_true(guest_was_marked(&f->guest, PAGES_GPA + PAGE_BYTES, 2 * PAGE_BYTES));
}

static void test_deflate_drops_nothing(void **state)
{
	struct fixture *f = *state;

	name_page(f, 0, pfn_of(1));
	run_list(f, DEFLATE, 1);
	assert_false(is_dropped(f, 1));
}

static void assert_broken(struct fixture *f)
{
	guest_run_main_loop(&f->guest);
	assert_true(virtio_status(f->vdev) & VIRTIO_STATUS_NEEDS_RESET);
}

static void test_page_beyond_ram(void **state)
{
	struct fixture *f = *state;

	name_page(f, 0, pfn_of(1));
	name_page(f, 1, 0xffffffff);
	give_list(f, INFLATE, 8);
	assert_broken(f);
}

static void test_page_below_ram(void **state)
{
	struct fixture *f = *state;

	name_page(f, 0, 0);
	give_list(f, INFLATE, 4);
	assert_broken(f);
}

static void test_half_a_number(void **state)
{
	struct fixture *f = *state;

	give_list(f, INFLATE, 6);
	assert_broken(f);
}

// Each of them may cost a call of the kernel's, on the main loop.
static void test_endless_list(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i <= 4096; i++)
		name_page(f, i, pfn_of(i % 2 ? 1 : 3));
	run_list(f, INFLATE, 4096);
	give_list(f, INFLATE, 4097 * sizeof(uint32_t));
	assert_broken(f);
}

static void report(struct fixture *f, uint64_t gpa, uint32_t len)
{
	struct ring_used_elem elem;

	guest_desc(&f->q[REPORT], 0, gpa, len, RING_DESC_WRITE, 0);
	guest_offer(&f->q[REPORT], 0);
	guest_kick(&f->q[REPORT]);
	guest_wait_used(&f->q[REPORT], &elem);
}

static void test_report(void **state)
{
	struct fixture *f = *state;

	report(f, PAGES_GPA + 2 * PAGE_BYTES, 3 * PAGE_BYTES);
	assert_false(is_dropped(f, 1));
	assert_true(is_dropped(f, 2));
	assert_true(is_dropped(f, 4));
	assert_false(is_dropped(f, 5));
}

static void test_report_of_parts_of_pages(void **state)
{
	struct fixture *f = *state;

	report(f, PAGES_GPA + PAGE_BYTES - 1, PAGE_BYTES + 2);
	assert_false(is_dropped(f, 0));
	assert_true(is_dropped(f, 1));
	assert_false(is_dropped(f, 2));
}

// 5.5.6.6.2: the driver finds its pattern there, not zeroes.
static void test_report_with_poison(void **state)
{
	struct fixture *f = *state;

	guest_write_config(&f->guest, 12, 0xaaaaaaaa, 4);
	report(f, PAGES_GPA + PAGE_BYTES, PAGE_BYTES);
	assert_false(is_dropped(f, 1));
	guest_write_config(&f->guest, 12, 0, 4);
	report(f, PAGES_GPA + PAGE_BYTES, PAGE_BYTES);
	assert_true(is_dropped(f, 1));
}

static void test_target_and_size(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(balloon_set_target(f->vdev, GUEST_RAM_BYTES + PAGE_BYTES), -EINVAL);
	assert_int_equal(balloon_set_target(f->vdev, 8 * PAGE_BYTES), 0);
	assert_int_equal(guest_read_config(&f->guest, 0, 4), 8);
	assert_true(guest_wait_irq(&f->guest));
	guest_run_main_loop(&f->guest);
	f->changed = 0;
	guest_write_config(&f->guest, 4, 5, 4);
	guest_write_config(&f->guest, 0, 99, 4); // not the driver's to write
	guest_run_main_loop(&f->guest);
	assert_true(f->changed);
	assert_int_equal(balloon_state(f->vdev).size_bytes, 5 * PAGE_BYTES);
	assert_int_equal(balloon_state(f->vdev).target_bytes, 8 * PAGE_BYTES);
}

static void put_stat(struct fixture *f, unsigned index, uint16_t tag, uint64_t value)
{
	uint8_t *at = guest_ram(&f->guest, LIST_GPA) + index * 10;

	memcpy(at, &tag, sizeof(tag));
	memcpy(at + 2, &value, sizeof(value));
}

static void test_statistics(void **state)
{
	struct fixture *f = *state;
	struct ring_used_elem elem;

	assert_false(balloon_refresh(f->vdev)); // there is no buffer yet
	put_stat(f, 0, 4, 1234);
	put_stat(f, 1, 999, 1);
	give_list(f, STATS, 20);
	guest_run_main_loop(&f->guest);
	assert_int_equal(f->told, 1);
	assert_false(guest_take_used(&f->q[STATS], &elem)); // it is kept
	assert_true(balloon_refresh(f->vdev));
	assert_true(guest_take_used(&f->q[STATS], &elem));
	assert_false(balloon_refresh(f->vdev)); // the driver has it
	give_list(f, STATS, 20);
	guest_run_main_loop(&f->guest);
	assert_int_equal(f->told, 2);
}

static void test_statistics_twice(void **state)
{
	struct fixture *f = *state;

	give_list(f, STATS, 10);
	guest_run_main_loop(&f->guest);
	guest_desc(&f->q[STATS], 1, LIST_GPA, 10, 0, 0);
	guest_offer(&f->q[STATS], 1);
	guest_kick(&f->q[STATS]);
	assert_broken(f);
}

static void test_statistics_of_one_that_is_held(void **state)
{
	struct fixture *f = *state;
	struct ring_used_elem elem;

	give_list(f, STATS, 10);
	guest_run_main_loop(&f->guest);
	virtio_hold(f->vdev, true);
	assert_false(balloon_refresh(f->vdev));
	assert_false(guest_take_used(&f->q[STATS], &elem));
	virtio_hold(f->vdev, false);
	assert_true(balloon_refresh(f->vdev));
	assert_true(guest_take_used(&f->q[STATS], &elem));
}

static void test_reset(void **state)
{
	struct fixture *f = *state;

	guest_write_config(&f->guest, 4, 5, 4);
	give_list(f, STATS, 10);
	guest_run_main_loop(&f->guest);
	guest_write32(&f->guest, MMIO_STATUS, 0);
	assert_false(balloon_state(f->vdev).has_driver);
	assert_int_equal(balloon_state(f->vdev).size_bytes, 0);
	assert_false(balloon_refresh(f->vdev));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_inflate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deflate_drops_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_page_beyond_ram, setup, teardown),
		cmocka_unit_test_setup_teardown(test_page_below_ram, setup, teardown),
		cmocka_unit_test_setup_teardown(test_half_a_number, setup, teardown),
		cmocka_unit_test_setup_teardown(test_endless_list, setup, teardown),
		cmocka_unit_test_setup_teardown(test_report, setup, teardown),
		cmocka_unit_test_setup_teardown(test_report_of_parts_of_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_report_with_poison, setup_poison, teardown),
		cmocka_unit_test_setup_teardown(test_target_and_size, setup, teardown),
		cmocka_unit_test_setup_teardown(test_statistics, setup, teardown),
		cmocka_unit_test_setup_teardown(test_statistics_twice, setup, teardown),
		cmocka_unit_test_setup_teardown(test_statistics_of_one_that_is_held, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_reset, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
