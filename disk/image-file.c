// SPDX-License-Identifier: GPL-2.0-or-later
// New image files: without a name as long as they are incomplete, so that whatever ends
// the process leaves nothing behind, and what had the name before stays whole.

#include "image-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int refuse_existing(const struct new_file *file)
{
	return fail_msg(EEXIST, "disk %s: is there already; --force replaces it", file->path);
}

// Whoever writes it would go on in a file that has no name any more.
static int check_writers(const struct new_file *file)
{
	struct flock whole = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
	int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	bool busy = fd >= 0 && !fcntl(fd, F_OFD_GETLK, &whole) && whole.l_type != F_UNLCK;

	if (fd >= 0)
		close(fd);
	if (!busy)
		return 0;
	return fail_msg(EBUSY,
			"disk %s: is in use by a VM, which --force does not replace; stop that VM, "
			"or name another file",
			file->path);
}

static int check_name(const struct new_file *file)
{
	struct stat st;

	if (stat(file->path, &st))
		return errno == ENOENT ? 0 : fail(errno, "disk %s", file->path);
	if (!S_ISREG(st.st_mode))
		return fail_msg(EEXIST,
				"disk %s: is there and not a regular file; name another one",
				file->path);
	return file->replace ? check_writers(file) : refuse_existing(file);
}

static char *format_name(const char *format, const char *path, int number)
{
	char *name;

	return asprintf(&name, format, path, number) < 0 ? NULL : name;
}

static char *directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

// Where a file needs a name.
static int make_named(struct new_file *file)
{
	file->temporary = format_name("%s.%dXXXXXX", file->path, getpid());
	if (!file->temporary)
		return -ENOMEM;
	file->fd = mkostemp(file->temporary, O_CLOEXEC);
	return file->fd < 0 ? -errno : 0;
}

static int make_nameless(struct new_file *file)
{
	char *dir = directory_of(file->path);

	if (!dir)
		return -ENOMEM;
	file->fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
	free(dir);
	return file->fd < 0 ? -errno : 0;
}

int new_file_create(struct new_file *file, const char *path, bool replace)
{
	int ret;

	*file = (struct new_file){ .path = path, .replace = replace, .fd = -1 };
	ret = check_name(file);
	if (ret)
		return ret;
	ret = make_nameless(file);
	if (ret == -EOPNOTSUPP || ret == -EISDIR)
		ret = make_named(file);
	if (!ret) {
		file->open_path = format_name("%s%d", "/proc/self/fd/", file->fd);
		ret = file->open_path ? 0 : -ENOMEM;
	}
	if (!ret)
		return 0;
	new_file_abandon(file);
	return fail(-ret, "disk %s: create", path);
}

static int give_name(struct new_file *file)
{
	if (file->temporary)
		return 0;
	if (!file->replace)
		return linkat(AT_FDCWD, file->open_path, AT_FDCWD, file->path, AT_SYMLINK_FOLLOW) ?
			       -errno :
			       0;
	file->temporary = format_name("%s.%d", file->path, getpid());
	if (!file->temporary)
		return -ENOMEM;
	return linkat(AT_FDCWD, file->open_path, AT_FDCWD, file->temporary, AT_SYMLINK_FOLLOW) ?
		       -errno :
		       0;
}

static int take_name(struct new_file *file)
{
	int ret = fsync(file->fd) ? -errno : give_name(file);

	if (ret || !file->temporary)
		return ret;
	if (file->replace ? rename(file->temporary, file->path) : link(file->temporary, file->path))
		return -errno;
	if (!file->replace)
		unlink(file->temporary);
	free(file->temporary);
	file->temporary = NULL;
	return 0;
}

int new_file_finish(struct new_file *file)
{
	int ret = take_name(file);

	if (ret == -EEXIST)
		refuse_existing(file);
	else if (ret)
		fail(-ret, "disk %s: give it its name", file->path);
	new_file_abandon(file);
	return ret;
}

void new_file_abandon(struct new_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	if (file->temporary)
		unlink(file->temporary);
	free(file->temporary);
	free(file->open_path);
}
