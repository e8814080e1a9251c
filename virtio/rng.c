// SPDX-License-Identifier: GPL-2.0-or-later
// The entropy device (virtio 1.2 5.4): random bytes from the host's kernel.

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "log.h"
#include "virtio-devices.h"
#include "virtio.h"

#define QUEUE_SIZE 8
#define REQUEST_MAX (64 * KIB) // bytes; a driver that wants more asks again

struct virtio_rng {
	struct virtio_device vdev;
};

static uint64_t rng_features(struct virtio_device *vdev)
{
	return 0;
}

// Returns how many bytes it got, which are less than @len only when the host fails.
static size_t fill_random(uint8_t *data, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = getrandom(data + done, len - done, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += n;
	}
	return done;
}

static bool take_chain(struct virtio_device *vdev, unsigned queue, struct virtqueue_chain *chain)
{
	struct virtqueue *vq = &vdev->queues[queue];
	uint32_t done = 0;

	for (unsigned i = 0; i < chain->in_count; i++) {
		size_t wanted = MIN((uint64_t)chain->in[i].iov_len, REQUEST_MAX - done);
		size_t got = fill_random(chain->in[i].iov_base, wanted);

		done += got;
		if (got < wanted)
			break;
	}
	virtqueue_mark_written(vq, chain->in, chain->in_gpa, chain->in_count, done);
	virtqueue_fill(vq, chain->head, done);
	return true;
}

static void rng_notify(struct virtio_device *vdev, unsigned queue)
{
	virtio_take_chains(vdev, queue, take_chain);
	virtio_signal(vdev, &vdev->queues[queue]);
}

static void rng_free(struct virtio_device *vdev)
{
	virtio_exit(vdev);
	free(container_of(vdev, struct virtio_rng, vdev));
}

static const struct virtio_ops rng_ops = {
	.type = VIRTIO_TYPE_RNG,
	.name = "rng",
	.queue_count = 1,
	.queue_size_max = QUEUE_SIZE,
	.features = rng_features,
	.notify = rng_notify,
	.free = rng_free,
};

int virtio_rng_create(struct virtio_device **vdev, const char *name, struct memory *mem,
		      struct loop *main_loop)
{
	struct virtio_setup setup = { .name = name, .memory = mem, .main_loop = main_loop };
	struct virtio_rng *rng = calloc(1, sizeof(*rng));
	int ret;

	if (!rng)
		return fail(ENOMEM, "%s", name);
	ret = virtio_init(&rng->vdev, &rng_ops, &setup);
	if (ret) {
		free(rng);
		return ret;
	}
	*vdev = &rng->vdev;
	return 0;
}
