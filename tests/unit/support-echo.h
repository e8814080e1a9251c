// SPDX-License-Identifier: GPL-2.0-or-later
// A virtio device that gives every chain of its first queue back and remembers what
// it was told, with a driver in miniature in front of it.
#ifndef KVIK_SUPPORT_ECHO_H
#define KVIK_SUPPORT_ECHO_H

#include "support-virtio.h"

#define ECHO_TYPE 42
#define ECHO_FEATURE (1ULL << 5)
#define ECHO_OFFERED                                                                               \
	(VIRTIO_F_VERSION_1 | VIRTIO_F_RING_PACKED | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX | \
	 ECHO_FEATURE)
#define ECHO_QUEUES 2
#define ECHO_QUEUE_MAX 64
#define ECHO_CONFIG_BYTES 12

struct echo {
	struct virtio_device vdev;
	uint8_t config[ECHO_CONFIG_BYTES];
	int activate_result;
	unsigned activated, resets;
	unsigned notified[ECHO_QUEUES];
	unsigned taken_notified; // chains taken while notifications were on
	unsigned *freed;
};

// A guest with an echo device.
struct echo_guest {
	struct guest guest;
	struct guest_queue q[ECHO_QUEUES];
	struct echo *echo;
	unsigned freed;
};

extern const struct virtio_ops echo_ops;

void echo_guest_init(struct echo_guest *e, const struct virtio_ops *ops, bool own_loop);
void echo_guest_exit(struct echo_guest *e);
// Drives the device to DRIVER_OK, with both queues of 8.
void echo_guest_start(struct echo_guest *e, uint64_t features);
// Offers one buffer of 16 bytes on the first queue.
void echo_guest_offer(struct echo_guest *e);

// cmocka fixtures: *state is a struct echo_guest, its device on the main loop or on
// one of its own.
int echo_setup_main_loop(void **state);
int echo_setup_own_loop(void **state);
int echo_teardown(void **state);

#define ECHO_TEST(f) cmocka_unit_test_setup_teardown(f, echo_setup_main_loop, echo_teardown)
#define ECHO_TEST_BOTH_LOOPS(f) \
	ECHO_TEST(f), cmocka_unit_test_setup_teardown(f, echo_setup_own_loop, echo_teardown)

#endif
