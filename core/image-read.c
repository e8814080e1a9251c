// SPDX-License-Identifier: GPL-2.0-or-later
// Reading whole files that a user names: kernels and initrds.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image-internal.h"
#include "log.h"

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
static int check_file(const char *path, const struct stat *st, uint64_t max_bytes)
{
	if (!S_ISREG(st->st_mode))
		return fail_msg(EINVAL, "%s: is %s; name a regular file", path,
				file_type(st->st_mode));
	if (!st->st_size)
		return fail_msg(EINVAL, "%s: is empty", path);
	if ((uint64_t)st->st_size > max_bytes)
		return fail_msg(EFBIG, "%s: has %llu bytes; at most %llu are taken", path,
				(unsigned long long)st->st_size, (unsigned long long)max_bytes);
	return 0;
}

static int open_file(const char *path, uint64_t max_bytes, int *fd, size_t *size_bytes)
{
	struct stat st;
	int rc;

	// O_NONBLOCK: opening a pipe must not wait for its writer.
	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (*fd < 0)
		return fail(errno, "open %s", path);
	if (fstat(*fd, &st) < 0)
		rc = fail(errno, "%s: stat", path);
	else
		rc = check_file(path, &st, max_bytes);
	if (rc)
		close(*fd);
	else
		*size_bytes = st.st_size;
	return rc;
}

static int read_all(int fd, const char *path, uint8_t *data, size_t size_bytes)
{
	size_t done = 0;

	while (done < size_bytes) {
		ssize_t n = read(fd, data + done, size_bytes - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(errno, "%s: read", path);
		if (!n)
			return fail_msg(EIO, "%s: ended after %zu of %zu bytes; was it being written?",
					path, done, size_bytes);
		done += n;
	}
	return 0;
}

int image_read_head(const char *path, uint8_t *data, size_t room_bytes, size_t *size_bytes)
{
	int fd;
	int rc = open_file(path, IMAGE_MAX_BYTES, &fd, size_bytes);

	if (rc)
		return rc;
	*size_bytes = MIN(*size_bytes, room_bytes);
	rc = read_all(fd, path, data, *size_bytes);
	close(fd);
	return rc;
}

int image_read_file(const char *path, uint64_t max_bytes, uint8_t **data, size_t *size_bytes)
{
	int fd;
	int rc = open_file(path, max_bytes, &fd, size_bytes);

	if (rc)
		return rc;
	*data = malloc(*size_bytes);
	rc = *data ? read_all(fd, path, *data, *size_bytes)
		   : fail(ENOMEM, "%s: read %zu bytes", path, *size_bytes);
	if (rc)
		free(*data);
	close(fd);
	return rc;
}
