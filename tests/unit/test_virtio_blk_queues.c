// SPDX-License-Identifier: GPL-2.0-or-later
// The block device with several request queues, each with a thread, on a raw disk.

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disk.h"
#include "support-virtio.h"
#include "virtio-devices.h"
#include "vm-config.h"

#include <cmocka.h>

#define QUEUES 4
#define ROUNDS 50
#define F_MQ (1ULL << 12)
#define CONFIG_NUM_QUEUES 34

struct fixture {
	struct guest guest;
	struct guest_queue queues[QUEUES];
	char path[64];
};

static int setup(void **state)
{
	static struct fixture f;
	struct disk_config config = { .path = f.path, .queues = QUEUES };
	struct virtio_device *vdev;
	struct disk *disk;
	int fd;

	f = (struct fixture){ .path = "/tmp/kvik-queues-XXXXXX" };
	fd = mkstemp(f.path);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	close(fd);
	guest_init(&f.guest);
	assert_int_equal(disk_open(&disk, &config), 0);
	assert_int_equal(virtio_blk_create(&vdev, "blk0", &f.guest.memory, disk), 0);
	guest_attach(&f.guest, vdev);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	guest_exit(&f->guest);
	unlink(f->path);
	return 0;
}

static uint64_t area_gpa(const struct guest_queue *q)
{
	return GUEST_DATA_GPA + q->index * 0x1000;
}

// One sector, the queue's own.
static void offer_transfer(struct guest_queue *q, bool write)
{
	struct {
		uint32_t type, reserved;
		uint64_t sector;
	} header = { .type = write, .sector = q->index };
	uint64_t gpa = area_gpa(q);

	memcpy(guest_ram(q->guest, gpa), &header, sizeof(header));
	*guest_ram(q->guest, gpa + 64) = 0xaa;
	guest_desc(q, 0, gpa, sizeof(header), RING_DESC_NEXT, 1);
	guest_desc(q, 1, gpa + 512, 512, RING_DESC_NEXT | (write ? 0 : RING_DESC_WRITE), 2);
	guest_desc(q, 2, gpa + 64, 1, RING_DESC_WRITE, 0);
	guest_offer(q, 0);
	guest_kick(q);
}

static void wait_ok(struct guest_queue *q)
{
	struct ring_used_elem elem;

	guest_wait_used(q, &elem);
	assert_int_equal(*guest_ram(q->guest, area_gpa(q) + 64), 0);
}

static void test_all_at_once(void **state)
{
	struct fixture *f = *state;

	assert_true(guest_device_features(&f->guest) & F_MQ);
	assert_int_equal(guest_read_config(&f->guest, CONFIG_NUM_QUEUES, 2), QUEUES);
	guest_start(&f->guest, F_MQ, f->queues, QUEUES, 8);
	for (unsigned round = 0; round < ROUNDS; round++) {
		bool write = round % 2 == 0;

		for (unsigned i = 0; i < QUEUES; i++) {
			memset(guest_ram(&f->guest, area_gpa(&f->queues[i]) + 512),
			       write ? (int)(round + i + 1) : 0, 512);
			offer_transfer(&f->queues[i], write);
		}
		for (unsigned i = 0; i < QUEUES; i++) {
			wait_ok(&f->queues[i]);
			if (!write)
				assert_int_equal(*guest_ram(&f->guest,
							    area_gpa(&f->queues[i]) + 1023),
						 round + i);
		}
	}
}

// A driver need not use all of them.
static void test_some(void **state)
{
	struct fixture *f = *state;

	guest_start(&f->guest, F_MQ, f->queues, 2, 8);
	offer_transfer(&f->queues[1], true);
	wait_ok(&f->queues[1]);
	guest_start(&f->guest, 0, f->queues, 1, 8);
	offer_transfer(&f->queues[0], false);
	wait_ok(&f->queues[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_some, setup, teardown),
	};

	alarm(60); // a hang is a failure
	return cmocka_run_group_tests(tests, NULL, NULL);
}
