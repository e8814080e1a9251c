// SPDX-License-Identifier: GPL-2.0-or-later
// A file with the process's id, locked for as long as the process lives.
//
// The lock (flock) says whether the id is of a process that runs; the file is only ever
// removed by who holds it, and only counts while it still has the name.

#include "pidfile.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

static bool has_its_name(const struct pidfile *pidfile)
{
	struct stat opened, named;

	return fstat(pidfile->fd, &opened) == 0 && lstat(pidfile->path, &named) == 0 &&
	       opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

static int lock(const struct pidfile *pidfile)
{
	if (flock(pidfile->fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return fail(errno, "--pidfile %s: lock it", pidfile->path);
	return fail_msg(EEXIST,
			"--pidfile %s: belongs to a process that runs; end it or choose another "
			"file",
			pidfile->path);
}

// What it held is lost: a disk image that was named by mistake must not be.
static int check_content(const struct pidfile *pidfile)
{
	char text[32];
	ssize_t len = pread(pidfile->fd, text, sizeof(text), 0), at = 0;

	while (at < len && (isdigit((unsigned char)text[at]) || text[at] == '\n'))
		at++;
	if (len < 0)
		return fail(errno, "--pidfile %s: read it", pidfile->path);
	if (at < len || len == sizeof(text))
		return fail_msg(
			EINVAL,
			"--pidfile %s: holds something else than a process id; remove it or "
			"choose another file",
			pidfile->path);
	return 0;
}

static int write_id(const struct pidfile *pidfile)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d\n", getpid());

	if (ftruncate(pidfile->fd, 0) || pwrite(pidfile->fd, text, (size_t)len, 0) != len)
		return fail(errno, "--pidfile %s: write it", pidfile->path);
	return 0;
}

// 0; -EAGAIN without a message: its owner removed it just now.
static int try_claim(struct pidfile *pidfile)
{
	int err;

	pidfile->fd = open(pidfile->path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (pidfile->fd < 0)
		return fail(errno, "--pidfile %s: open", pidfile->path);
	err = lock(pidfile);
	if (!err && !has_its_name(pidfile))
		err = -EAGAIN;
	if (!err)
		err = check_content(pidfile);
	if (!err)
		err = write_id(pidfile);
	if (err)
		close(pidfile->fd);
	return err;
}

int pidfile_claim(struct pidfile *pidfile, const char *path)
{
	int err;

	pidfile->path = path;
	do
		err = try_claim(pidfile);
	while (err == -EAGAIN);
	if (err)
		pidfile->path = NULL;
	return err;
}

void pidfile_release(struct pidfile *pidfile)
{
	if (!pidfile->path)
		return;
	if (has_its_name(pidfile))
		unlink(pidfile->path);
	close(pidfile->fd);
	pidfile->path = NULL;
}
