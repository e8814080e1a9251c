// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzzes the block device on a raw disk in memory; the disk's size never changes.

#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk.h"
#include "fuzz-virtio.h"
#include "virtio-devices.h"
#include "vm-config.h"

#define DISK_BYTES (64 * KIB)
// FLUSH, CONFIG_WCE, DISCARD, WRITE_ZEROES
#define BLK_FEATURES (1 << 9 | 1 << 11 | 1 << 13 | 1 << 14)

static struct fuzz_guest guest;
static int disk_fd;

static void set_up(void)
{
	static char path[32];
	struct disk_config config = { .path = path };
	struct virtio_device *vdev;
	struct disk *disk;

	fuzz_guest_init(&guest);
	disk_fd = memfd_create("disk", MFD_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", disk_fd);
	if (disk_fd < 0 || ftruncate(disk_fd, DISK_BYTES) || disk_open(&disk, &config) ||
	    virtio_blk_create(&vdev, "blk0", &guest.memory, disk))
		abort();
	fuzz_guest_attach(&guest, vdev);
	guest.features = BLK_FEATURES;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stat st;

	if (!guest.vdev)
		set_up();
	fuzz_run(&guest, data, size);
	if (fstat(disk_fd, &st) || st.st_size != DISK_BYTES)
		abort();
	return 0;
}
