// SPDX-License-Identifier: GPL-2.0-or-later
// The memory balloon: what the VM asks of it, and what it knows of the guest's memory.
//
// All of it runs on the main loop's thread.
#ifndef KVIK_BALLOON_H
#define KVIK_BALLOON_H

#include <stdbool.h>
#include <stdint.h>

#include "util.h"

struct loop;
struct memory;
struct virtio_device;

struct balloon_events {
	// The balloon's size changed, or its driver came or left. May be NULL.
	void (*changed)(void *opaque);
	// The driver told the statistics that balloon_refresh() asked for. May be NULL.
	void (*told)(void *opaque);
	void *opaque;
};

// A balloon for the guest whose memory is @mem; runs on @main_loop. Main thread.
int virtio_balloon_create(struct virtio_device **vdev, const char *name, struct memory *mem,
			  struct loop *main_loop, struct balloon_events events) MUST_CHECK;

struct balloon_state {
	bool has_driver;
	uint64_t target_bytes;   // what the guest was asked to give
	uint64_t size_bytes;     // what it gave
	uint64_t returned_bytes; // all that was ever given back to the host, reports included
};
struct balloon_state balloon_state(struct virtio_device *vdev);

// Asks the guest to give @bytes of its memory in all; whole pages of 4 KiB. -EINVAL
// (no message) for more than it has. A driver that comes later is asked then.
int balloon_set_target(struct virtio_device *vdev, uint64_t bytes) MUST_CHECK;

// Asks the driver for new statistics; false when it cannot be asked now.
bool balloon_refresh(struct virtio_device *vdev);

#endif
