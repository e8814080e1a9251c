// SPDX-License-Identifier: GPL-2.0-or-later
// Throw-away overlays: what the guest writes goes to a file without a name, which the
// host frees when the process ends, however it ends.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "qcow2-create.h"
#include "qcow2-open.h"

static int make_file(const char *dir)
{
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	char path[4096];

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
		return fd;
	snprintf(path, sizeof(path), "%s/kvik-overlay-XXXXXX", dir);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	return fd;
}

// What the guest writes may be much: not in /tmp, which may be memory.
static const char *temporary_dir(void)
{
	const char *dir = getenv("TMPDIR");

	return dir && *dir ? dir : "/var/tmp";
}

static int open_file(struct disk **file, char **path)
{
	const char *dir = temporary_dir();
	int fd = make_file(dir), ret;

	if (fd < 0)
		return fail(errno, "make a temporary file in %s (TMPDIR names another place)", dir);
	if (asprintf(path, "/proc/self/fd/%d", fd) < 0)
		ret = fail(ENOMEM, "overlay");
	else
		ret = raw_open(file, &(struct disk_config){ .path = *path });
	close(fd);
	return ret;
}

int overlay_open(struct disk **disk, struct disk *base)
{
	struct qcow2_options options = {
		QCOW2_OPTIONS_DEFAULT,
		.size_bytes = base->info.size_bytes,
		.volatile_ = true,
	};
	struct disk *file = NULL;
	char *path = NULL;
	int ret = open_file(&file, &path);

	if (!ret)
		ret = qcow2_create(file, &options);
	if (!ret)
		ret = qcow2_open_overlay(disk, file, path, base);
	if (!ret)
		return 0;
	if (file)
		disk_close(file);
	free(path);
	return ret;
}
