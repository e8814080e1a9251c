// SPDX-License-Identifier: GPL-2.0-or-later
// Files that a user names: kernels and initrds.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image-internal.h"
#include "log.h"
#include "memory.h"

static const char *file_type(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "a directory";
	case S_IFIFO:
		return "a pipe";
	case S_IFCHR:
		return "a character device";
	case S_IFBLK:
		return "a block device";
	case S_IFSOCK:
		return "a socket";
	default:
		return "a special file";
	}
}

// Devices and pipes have no size to check against and may never end.
int image_file_size(const char *path, int fd, uint64_t *size_bytes)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return fail(errno, "%s: stat", path);
	if (!S_ISREG(st.st_mode))
		return fail_msg(EINVAL, "%s: is %s; name a regular file", path,
				file_type(st.st_mode));
	if (!st.st_size)
		return fail_msg(EINVAL, "%s: is empty; name another file", path);
	*size_bytes = st.st_size;
	return 0;
}

int image_open_file(const char *what, const char *path)
{
	// O_NONBLOCK: opening a pipe must not wait for its writer.
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	uint64_t size_bytes;
	int rc;

	if (fd < 0)
		return fail(errno, "%s %s", what, path);
	rc = image_file_size(path, fd, &size_bytes);
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

int image_load_file(const char *path, int fd, struct memory *mem, uint64_t gpa,
		    uint64_t *size_bytes)
{
	struct image_source source = { .path = path, .fd = fd };
	uint8_t *host;
	int rc = image_file_size(path, fd, &source.size_bytes);

	if (rc)
		return rc;
	host = memory_ptr(mem, gpa, source.size_bytes);
	if (!host)
		return fail_msg(ENOSPC,
				"%s: its %llu KiB do not fit into the VM's %llu MiB of RAM "
				"from %#llx on; give it more with -m",
				path, source.size_bytes / KIB + 1,
				(unsigned long long)(memory_total_bytes(mem) / MIB),
				(unsigned long long)gpa);
	rc = image_source_read(&source, 0, host, source.size_bytes);
	if (rc)
		return rc;
	memory_mark_written(mem, gpa, source.size_bytes);
	*size_bytes = source.size_bytes;
	return 0;
}
