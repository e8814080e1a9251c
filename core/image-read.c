// SPDX-License-Identifier: GPL-2.0-or-later
// Reading whole files that a user names: kernels and initrds.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
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
static int file_size(const char *path, int fd, size_t *size_bytes)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return fail(errno, "%s: stat", path);
	if (!S_ISREG(st.st_mode))
		return fail_msg(EINVAL, "%s: is %s; name a regular file", path,
				file_type(st.st_mode));
	if (!st.st_size)
		return fail_msg(EINVAL, "%s: is empty", path);
	*size_bytes = st.st_size;
	return 0;
}

int image_open_file(const char *path)
{
	// O_NONBLOCK: opening a pipe must not wait for its writer.
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	size_t size_bytes;
	int rc;

	if (fd < 0)
		return fail(errno, "open %s", path);
	rc = file_size(path, fd, &size_bytes);
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

static int read_exactly(const char *path, int fd, uint8_t *data, size_t size_bytes)
{
	size_t done = 0;

	while (done < size_bytes) {
		ssize_t n = pread(fd, data + done, size_bytes - done, done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(errno, "%s: read", path);
		if (!n)
			return fail_msg(EIO,
					"%s: ended after %zu of %zu bytes; was it being written?",
					path, done, size_bytes);
		done += n;
	}
	return 0;
}

int image_read_head(const char *path, int fd, uint8_t *data, size_t room_bytes, size_t *size_bytes)
{
	int rc = file_size(path, fd, size_bytes);

	if (rc)
		return rc;
	*size_bytes = MIN(*size_bytes, room_bytes);
	return read_exactly(path, fd, data, *size_bytes);
}

int image_read_all(const char *path, int fd, uint64_t max_bytes, uint8_t **data, size_t *size_bytes)
{
	int rc = file_size(path, fd, size_bytes);

	if (rc)
		return rc;
	if (*size_bytes > max_bytes)
		return fail_msg(EFBIG, "%s: has %zu bytes; at most %llu are taken", path,
				*size_bytes, (unsigned long long)max_bytes);
	*data = malloc(*size_bytes);
	if (!*data)
		return fail(ENOMEM, "%s: read %zu bytes", path, *size_bytes);
	rc = read_exactly(path, fd, *data, *size_bytes);
	if (rc)
		free(*data);
	return rc;
}

int image_load_file(const char *path, int fd, struct memory *mem, uint64_t gpa,
		    uint64_t *size_bytes)
{
	uint8_t *host;
	size_t size;
	int rc = file_size(path, fd, &size);

	if (rc)
		return rc;
	host = memory_ptr(mem, gpa, size);
	if (!host)
		return fail_msg(ENOSPC,
				"%s: its %zu KiB do not fit into the VM's %llu MiB of RAM "
				"from %#llx on; give it more with -m",
				path, size / (size_t)KIB + 1,
				(unsigned long long)(memory_total_bytes(mem) / MIB),
				(unsigned long long)gpa);
	rc = read_exactly(path, fd, host, size);
	if (rc)
		return rc;
	memory_mark_written(mem, gpa, size);
	*size_bytes = size;
	return 0;
}
