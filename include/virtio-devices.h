// SPDX-License-Identifier: GPL-2.0-or-later
// Constructors of the virtio device models. Main thread.
#ifndef KVIK_VIRTIO_DEVICES_H
#define KVIK_VIRTIO_DEVICES_H

#include "util.h"

struct disk;
struct loop;
struct memory;
struct net;
struct net_config;
struct term;
struct virtio_device;

// A block device with a thread of its own. Takes ownership of @disk, also on
// failure. @name ("blk0") is copied.
int virtio_blk_create(struct virtio_device **vdev, const char *name, struct memory *mem,
		      struct disk *disk) MUST_CHECK;
// A network device with a thread for each pair of queues, of which there are as many as
// @config and @backend allow. Takes ownership of @backend, also on failure.
int virtio_net_create(struct virtio_device **vdev, const char *name, struct memory *mem,
		      struct net *backend, const struct net_config *config) MUST_CHECK;

// A console on @term, which outlives it; runs on @main_loop. It is a frontend of
// the terminal: it connects itself.
int virtio_console_create(struct virtio_device **vdev, const char *name, struct memory *mem,
			  struct loop *main_loop, struct term *term) MUST_CHECK;
// A keyboard with nothing but a power button; runs on @main_loop.
int virtio_input_create(struct virtio_device **vdev, const char *name, struct memory *mem,
			struct loop *main_loop) MUST_CHECK;
// Presses and releases it. Returns 0, or -ENOTCONN without a message when the guest has no
// driver for it. On the main loop.
int virtio_input_press(struct virtio_device *vdev) MUST_CHECK;
// Entropy from getrandom(); runs on @main_loop.
int virtio_rng_create(struct virtio_device **vdev, const char *name, struct memory *mem,
		      struct loop *main_loop) MUST_CHECK;

#endif
