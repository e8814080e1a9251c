// SPDX-License-Identifier: GPL-2.0-or-later
// Memory shared by two processes that exchange frames.

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "frames.h"

// To try more would end the process by a signal.
static bool may_be_as_large(size_t size_bytes)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_FSIZE, &limit) < 0 || limit.rlim_cur >= size_bytes;
}

// Memory that the peer could take away would be a signal at the next look at it.
static int fix_size(int fd, size_t size_bytes)
{
	if (!may_be_as_large(size_bytes))
		return -EFBIG;
	if (ftruncate(fd, (off_t)size_bytes) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	return 0;
}

int frames_area_create(size_t size_bytes)
{
	int fd = memfd_create("kvik-frames", MFD_CLOEXEC | MFD_ALLOW_SEALING), err;

	if (fd < 0)
		return -errno;
	err = fix_size(fd, size_bytes);
	if (!err)
		return fd;
	close(fd);
	return err;
}

int frames_area_map(struct frames_area *area, int fd, bool writes)
{
	struct stat status;
	void *data;

	if (fstat(fd, &status) < 0)
		return -errno;
	data = mmap(NULL, (size_t)status.st_size, PROT_READ | (writes ? PROT_WRITE : 0), MAP_SHARED,
		    fd, 0);
	if (data == MAP_FAILED)
		return -errno;
	*area = (struct frames_area){ .data = data, .size_bytes = (size_t)status.st_size };
	return 0;
}

void frames_area_unmap(struct frames_area *area)
{
	if (area->data)
		munmap(area->data, area->size_bytes);
	area->data = NULL;
}
