// SPDX-License-Identifier: GPL-2.0-or-later
// What the parts of a virtio device share: device.c, loops.c.
#ifndef KVIK_VIRTIO_DEVICE_PRIV_H
#define KVIK_VIRTIO_DEVICE_PRIV_H

#include <stdbool.h>

#include "virtio.h"

// Gives each queue its loop and starts the loops' threads. Returns 0 or -errno after a
// message. Main thread.
int virtio_loops_init(struct virtio_device *vdev, const struct virtio_setup *setup) MUST_CHECK;
void virtio_loops_exit(struct virtio_device *vdev);

// Starts queues and model, loop by loop, the first loop first; returns NULL, or what
// went wrong: then they are stopped again. Register side.
const char *virtio_loops_start(struct virtio_device *vdev);
// The counterpart, the first loop last. When it returns no loop uses a queue.
void virtio_loops_stop(struct virtio_device *vdev);

#endif
