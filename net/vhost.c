// SPDX-License-Identifier: GPL-2.0-or-later
// The host's vhost-net (linux/vhost.h): what its kernel wants to know before it serves rings.
//
// The descriptors in the rings hold guest-physical addresses: the kernel finds them by the
// table of RAM, and takes none outside. The rings themselves are named by host addresses,
// which the device has checked.

#include "vhost.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "memory.h"
#include "net-priv.h"

#define BIT(n) (1ULL << (n))
#define RING_FEATURES                                                 \
	(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_INDIRECT_DESC) | \
	 BIT(VIRTIO_RING_F_EVENT_IDX) | BIT(VIRTIO_NET_F_MRG_RXBUF))

// -- open --

static int cannot_open(const struct net_config *config, const char *path)
{
	switch (errno) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return net_fail(config, errno,
				"vhost=1: %s: %m; have root load the module vhost_net ('modprobe "
				"vhost_net'), or leave vhost=1 out",
				path);
	case EACCES:
	case EPERM:
		return net_fail(config, errno,
				"vhost=1: %s: %m; join the group that owns it (usually: sudo "
				"usermod -aG kvm $USER), or leave vhost=1 out",
				path);
	default:
		return net_fail(config, errno, "vhost=1: %s: %m", path);
	}
}

static int claim(int vhost_fd, uint64_t *features)
{
	if (ioctl(vhost_fd, VHOST_SET_OWNER, NULL) < 0 ||
	    ioctl(vhost_fd, VHOST_GET_FEATURES, features) < 0)
		return -errno;
	*features &= RING_FEATURES;
	return *features & BIT(VIRTIO_F_VERSION_1) ? 0 : -ENOTSUP;
}

int vhost_open(const struct net_config *config, const char *path, uint64_t *features)
{
	int fd = open(path, O_RDWR | O_CLOEXEC), err;

	if (fd < 0)
		return cannot_open(config, path);
	err = claim(fd, features);
	if (!err)
		return fd;
	close(fd);
	return net_fail(config, -err, "vhost=1: %s cannot be used: %m; leave vhost=1 out", path);
}

// -- rings --

static int set_memory(int vhost_fd, const struct memory *mem)
{
	union {
		struct vhost_memory table;
		char bytes[sizeof(struct vhost_memory) +
			   MEMORY_MAX_BANKS * sizeof(struct vhost_memory_region)];
	} ram = { .table.nregions = mem->bank_count };

	for (unsigned i = 0; i < mem->bank_count; i++)
		ram.table.regions[i] = (struct vhost_memory_region){
			.guest_phys_addr = mem->banks[i].base_gpa,
			.memory_size = mem->banks[i].size_bytes,
			.userspace_addr = (uintptr_t)mem->banks[i].host,
		};
	return ioctl(vhost_fd, VHOST_SET_MEM_TABLE, &ram.table) < 0 ? -errno : 0;
}

int vhost_set_up(int vhost_fd, const struct memory *mem, uint64_t features)
{
	if (ioctl(vhost_fd, VHOST_SET_FEATURES, &features) < 0)
		return -errno;
	return set_memory(vhost_fd, mem);
}

static int set_file(int vhost_fd, unsigned long request, unsigned index, int fd)
{
	struct vhost_vring_file file = { .index = index, .fd = fd };

	return ioctl(vhost_fd, request, &file) < 0 ? -errno : 0;
}

static int set_state(int vhost_fd, unsigned long request, unsigned index, unsigned number)
{
	struct vhost_vring_state state = { .index = index, .num = number };

	return ioctl(vhost_fd, request, &state) < 0 ? -errno : 0;
}

static int set_addresses(int vhost_fd, unsigned index, const struct net_ring *ring)
{
	struct vhost_vring_addr address = {
		.index = index,
		.desc_user_addr = (uintptr_t)ring->desc,
		.avail_user_addr = (uintptr_t)ring->avail,
		.used_user_addr = (uintptr_t)ring->used,
	};

	return ioctl(vhost_fd, VHOST_SET_VRING_ADDR, &address) < 0 ? -errno : 0;
}

// The interface comes last: with it the kernel begins.
int vhost_start_ring(int vhost_fd, unsigned index, const struct net_ring *ring, int tap_fd)
{
	int err = set_state(vhost_fd, VHOST_SET_VRING_NUM, index, ring->size);

	if (!err)
		err = set_state(vhost_fd, VHOST_SET_VRING_BASE, index, ring->next_avail);
	if (!err)
		err = set_addresses(vhost_fd, index, ring);
	if (!err)
		err = set_file(vhost_fd, VHOST_SET_VRING_CALL, index, ring->call_fd);
	if (!err)
		err = set_file(vhost_fd, VHOST_SET_VRING_ERR, index, ring->error_fd);
	if (!err)
		err = set_file(vhost_fd, VHOST_SET_VRING_KICK, index, ring->kick_fd);
	return err ? err : set_file(vhost_fd, VHOST_NET_SET_BACKEND, index, tap_fd);
}

int vhost_stop_ring(int vhost_fd, unsigned index, struct net_ring *ring)
{
	struct vhost_vring_state state = { .index = index };
	int err = set_file(vhost_fd, VHOST_NET_SET_BACKEND, index, VHOST_FILE_UNBIND);

	if (err)
		return err;
	if (ioctl(vhost_fd, VHOST_GET_VRING_BASE, &state) < 0)
		return -errno;
	ring->next_avail = (uint16_t)state.num;
	return 0;
}
