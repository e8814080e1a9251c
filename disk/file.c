// SPDX-License-Identifier: GPL-2.0-or-later
// Opening a raw disk image: what it is, how large, with which alignment, and whose.

#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "log.h"
#include "vm-config.h"

#define DEFAULT_DIRECT_ALIGN 4096 // where the kernel does not say (before 6.1)

// -- what it is --

static const char *kind_name(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "a directory";
	case S_IFIFO:
		return "a FIFO";
	case S_IFCHR:
		return "a character device";
	default:
		return "a socket";
	}
}

static int refuse_kind(const char *path, mode_t mode)
{
	return fail_msg(EINVAL, "disk %s: is %s; a disk is a regular file or a block device", path,
			kind_name(mode));
}

static int open_failed(int errnum, const struct disk_config *config)
{
	const char *path = config->path;

	switch (errnum) {
	case EISDIR:
		return refuse_kind(path, S_IFDIR);
	case ENOENT:
		return fail(errnum, "disk %s ('kvik disk create %s 10G' makes one)", path, path);
	case EACCES:
	case EPERM:
	case EROFS:
		if (!config->read_only)
			return fail(errnum, "disk %s: open for writing (%s,ro opens it read-only)",
				    path, path);
	}
	return fail(errnum, "disk %s: open", path);
}

// Without O_NONBLOCK the open of a FIFO would wait for its other end.
static int open_path(struct disk_file *file, const struct disk_config *config)
{
	int flags = config->read_only ? O_RDONLY : O_RDWR;

	file->fd = open(config->path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return file->fd < 0 ? open_failed(errno, config) : 0;
}

static int examine_block_device(struct disk_file *file)
{
	struct disk_info *info = &file->info;
	unsigned int physical_bytes = 0, optimal_bytes = 0;
	int logical_bytes = 0;

	if (ioctl(file->fd, BLKGETSIZE64, &info->size_bytes) ||
	    ioctl(file->fd, BLKSSZGET, &logical_bytes))
		return fail(errno, "disk %s: ask for its size", file->path);
	info->block_bytes = MAX(logical_bytes, SECTOR_BYTES);
	if (ioctl(file->fd, BLKPBSZGET, &physical_bytes))
		physical_bytes = 0;
	if (ioctl(file->fd, BLKIOOPT, &optimal_bytes))
		optimal_bytes = 0;
	info->physical_block_bytes = MAX(physical_bytes, info->block_bytes);
	info->optimal_io_bytes = optimal_bytes;
	file->block_device = true;
	return 0;
}

static int examine_regular_file(struct disk_file *file, const struct stat *st)
{
	struct disk_info *info = &file->info;
	uint32_t fs_block_bytes = st->st_blksize;
	bool power_of_two = !(fs_block_bytes & (fs_block_bytes - 1));

	info->size_bytes = st->st_size;
	info->block_bytes = SECTOR_BYTES;
	info->physical_block_bytes = SECTOR_BYTES;
	if (power_of_two && fs_block_bytes <= 64 * KIB)
		info->physical_block_bytes = MAX(fs_block_bytes, (uint32_t)SECTOR_BYTES);
	return 0;
}

static int examine(struct disk_file *file)
{
	struct stat st;
	int ret;

	if (fstat(file->fd, &st))
		return fail(errno, "disk %s: stat", file->path);
	if (S_ISREG(st.st_mode))
		ret = examine_regular_file(file, &st);
	else if (S_ISBLK(st.st_mode))
		ret = examine_block_device(file);
	else
		ret = refuse_kind(file->path, st.st_mode);
	return ret;
}

// -- whose it is --

static int lock(const struct disk_file *file)
{
	bool shared = file->info.read_only;
	struct flock whole = { .l_type = shared ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET };

	if (!fcntl(file->fd, F_OFD_SETLK, &whole))
		return 0;
	if (errno == EAGAIN || errno == EACCES)
		return fail_msg(
			EBUSY,
			"disk %s: is in use by another VM, or twice by this one%s; only those "
			"that all open it with ,ro may share it",
			file->path, shared ? ", and written" : "");
	warn("disk %s: the file system has no locks (%m): see that no other VM uses it",
	     file->path);
	return 0;
}

// -- direct I/O --

static void find_alignment(struct disk_file *file)
{
	uint32_t offset_align = 0, memory_align = 0;
#ifdef STATX_DIOALIGN
	struct statx stx;

	if (!statx(file->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) &&
	    stx.stx_mask & STATX_DIOALIGN) {
		offset_align = stx.stx_dio_offset_align;
		memory_align = stx.stx_dio_mem_align;
	}
#endif
	file->offset_align =
		MAX(offset_align ? offset_align : DEFAULT_DIRECT_ALIGN, (uint32_t)SECTOR_BYTES);
	file->memory_align = memory_align ? memory_align : DEFAULT_DIRECT_ALIGN;
}

// Also clears O_NONBLOCK, which was for the open only.
static int set_flags(struct disk_file *file)
{
	if (fcntl(file->fd, F_SETFL, file->direct ? O_DIRECT : 0))
		return fail(errno,
			    "disk %s: this file system has no direct I/O (leave out ,direct)",
			    file->path);
	if (!file->direct)
		return 0;
	find_alignment(file);
	return 0;
}

int disk_file_fix_size(struct disk_file *file)
{
	struct disk_info *info = &file->info;
	uint32_t tail_bytes = info->size_bytes % SECTOR_BYTES;

	file->growable = false;
	if (tail_bytes)
		warn("disk %s: its last %u bytes do not fill a sector; the guest does not see them",
		     file->path, tail_bytes);
	info->size_bytes -= tail_bytes;
	if (!info->size_bytes)
		return fail_msg(EINVAL, "disk %s: is empty; truncate -s 10G %s gives it a size",
				file->path, file->path);
	// A last block written whole would make the file longer.
	if (info->size_bytes % file->offset_align)
		return fail_msg(EINVAL,
				"disk %s: direct I/O needs a size in multiples of %u bytes; "
				"leave out ,direct or round it up: truncate -s %%%u %s",
				file->path, file->offset_align, file->offset_align, file->path);
	return 0;
}

// -- discard --

static bool device_can_discard(const struct disk_file *file)
{
	// A partition has no queue; the disk one level up has.
	static const char *const formats[] = {
		"/sys/dev/block/%u:%u/queue/discard_max_bytes",
		"/sys/dev/block/%u:%u/../queue/discard_max_bytes",
	};
	uint64_t max_bytes = 0;
	struct stat st;

	if (fstat(file->fd, &st))
		return false;
	for (unsigned i = 0; i < ARRAY_SIZE(formats) && !max_bytes; i++) {
		char name[80];
		FILE *stream;

		snprintf(name, sizeof(name), formats[i], major(st.st_rdev), minor(st.st_rdev));
		stream = fopen(name, "re");
		if (!stream)
			continue;
		if (fscanf(stream, "%" SCNu64, &max_bytes) != 1)
			max_bytes = 0;
		fclose(stream);
	}
	return max_bytes;
}

static int punch_hole(const struct disk_file *file, uint64_t offset, uint64_t len)
{
	int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

	return fallocate(file->fd, mode, offset, len) ? -errno : 0;
}

static bool can_discard(const struct disk_file *file)
{
	if (file->info.read_only)
		return false;
	if (file->block_device)
		return device_can_discard(file);
	// Behind the end there is nothing to lose.
	return !punch_hole(file, align_up(file->info.size_bytes, 4096) + 4096, 4096);
}

int disk_file_discard(struct disk_file *file, uint64_t offset, uint64_t len)
{
	uint64_t range[2] = { offset, len };

	if (!file->info.can_discard)
		return -EOPNOTSUPP;
	if (!file->block_device)
		return punch_hole(file, offset, len);
	return ioctl(file->fd, BLKDISCARD, range) ? -errno : 0;
}

int disk_file_zero(struct disk_file *file, uint64_t offset, uint64_t len, bool unmap)
{
	int mode = FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE;

	if (unmap && file->info.can_discard && !punch_hole(file, offset, len))
		return 0;
	if (file->cannot_zero)
		return -EOPNOTSUPP;
	if (!fallocate(file->fd, mode, offset, len))
		return 0;
	file->cannot_zero = errno == EOPNOTSUPP;
	// A device answers EINVAL where less than a block of its own is asked for.
	return errno == EINVAL ? -EOPNOTSUPP : -errno;
}

// -- open and close --

// FNV-1a, 64 bits. The guest sees it as a serial number, so it must not change as
// long as the path does not.
static void make_id(struct disk_file *file)
{
	uint64_t hash = 0xcbf29ce484222325;
	char *absolute = realpath(file->path, NULL);

	for (const char *c = absolute ? absolute : file->path; *c; c++)
		hash = (hash ^ (uint8_t)*c) * 0x100000001b3;
	snprintf(file->info.id, sizeof(file->info.id), "kvik%016" PRIx64, hash);
	free(absolute);
}

int disk_file_open(struct disk_file *file, const struct disk_config *config)
{
	int ret;

	*file = (struct disk_file){
		.fd = -1,
		.path = config->path,
		.growable = true,
		.aio = config->aio,
		.direct = config->direct,
		.offset_align = 1,
		.memory_align = 1,
		.info.read_only = config->read_only,
	};
	ret = open_path(file, config);
	if (!ret)
		ret = examine(file);
	if (!ret)
		ret = lock(file);
	if (!ret)
		ret = set_flags(file);
	if (ret) {
		disk_file_close(file);
		return ret;
	}
	file->info.can_discard = can_discard(file);
	make_id(file);
	return 0;
}

void disk_file_close(struct disk_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
}
