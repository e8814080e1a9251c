// SPDX-License-Identifier: GPL-2.0-or-later
// Names of running VMs: lock files and control sockets in one directory.
//
// A lock file is only ever removed by somebody who holds its lock, and a lock only
// counts on the file that still has the name: so two can neither hold one name, nor
// does a removal take away the file of somebody who came in between.

#include "instance.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

#define REMEDY "set KVIK_RUNTIME_DIR to a directory of yours"
#define LOCK_SUFFIX ".lock"
#define SOCKET_SUFFIX ".sock"
#define LOG_SUFFIX ".log"
#define BACKLOG 128
#define CONNECT_S 2

// Whoever cleans up after a dead VM holds its lock for a moment.
#define LOCK_TRIES 20
#define LOCK_TRY_MS 5

struct file_name {
	char text[INSTANCE_NAME_MAX + sizeof(LOCK_SUFFIX)];
};

static struct file_name file_name(const char *name, const char *suffix)
{
	struct file_name file;

	snprintf(file.text, sizeof(file.text), "%.*s%s", INSTANCE_NAME_MAX, name, suffix);
	return file;
}

bool instance_name_is_valid(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "0123456789._-");

	return len && !name[len] && len <= INSTANCE_NAME_MAX && name[0] != '.' && name[0] != '-';
}

// -- the directory --

static int directory_path(char *path, size_t size)
{
	const char *own = getenv("KVIK_RUNTIME_DIR");
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	if (own && own[0] && own[0] != '/')
		return fail_msg(EINVAL, "KVIK_RUNTIME_DIR=%s: is no absolute path; give one", own);
	if (own && own[0])
		snprintf(path, size, "%s", own);
	else if (geteuid() == 0)
		snprintf(path, size, "/run/kvik");
	else if (runtime && runtime[0] == '/')
		snprintf(path, size, "%s/kvik", runtime);
	else
		snprintf(path, size, "/tmp/kvik-%u", (unsigned)geteuid());
	return 0;
}

static int unfit_directory(int errnum, const char *path, const char *what)
{
	return fail_msg(errnum, "%s, for the names of running VMs: %s: %m; " REMEDY, path, what);
}

// Another user's directory could lead to sockets of that user's choice.
static int check_directory(int fd, const char *path)
{
	struct stat st;

	if (fstat(fd, &st))
		return fail(errno, "%s", path);
	if (st.st_uid != geteuid() || st.st_mode & (S_IWGRP | S_IWOTH))
		return fail_msg(EPERM,
				"%s: belongs to somebody else, or others may write there; "
				"remove it, or " REMEDY,
				path);
	return 0;
}

// Returns a descriptor; -ENOENT (no message) when there is none and not @create.
static int open_directory(bool create)
{
	char path[4096];
	int fd, err = directory_path(path, sizeof(path));

	if (err)
		return err;
	if (create && mkdir(path, 0700) && errno != EEXIST)
		return unfit_directory(errno, path, "create");
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ENOENT : unfit_directory(errno, path, "open");
	err = check_directory(fd, path);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

// -- locks --

static bool still_has_its_name(int dir_fd, int fd, const char *file)
{
	struct stat opened, named;

	return fstat(fd, &opened) == 0 && fstatat(dir_fd, file, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

// One try. Returns the locked file; -EWOULDBLOCK: somebody holds it; -EAGAIN: it was
// just removed; other -errno. No messages.
static int try_lock(int dir_fd, const char *name, int flags)
{
	struct file_name file = file_name(name, LOCK_SUFFIX);
	int fd = openat(dir_fd, file.text, O_RDWR | O_NOFOLLOW | O_CLOEXEC | flags, 0600);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB))
		err = -errno;
	else if (!still_has_its_name(dir_fd, fd, file.text))
		err = -EAGAIN;
	if (!err)
		return fd;
	close(fd);
	return err;
}

// The lock's holder wrote its process id there; 0 when that cannot be read.
static int holder(int dir_fd, const char *name)
{
	struct file_name file = file_name(name, LOCK_SUFFIX);
	int fd = openat(dir_fd, file.text, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char text[16] = "";
	ssize_t len;

	if (fd < 0)
		return 0;
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	return len > 0 ? atoi(text) : 0;
}

static int name_is_taken(int dir_fd, const char *name)
{
	int pid = holder(dir_fd, name);

	return fail_msg(EEXIST,
			"--name %s: a VM of that name runs already (process %d); stop it "
			"or choose another name",
			name, pid);
}

static int cannot_lock(int errnum, const char *name)
{
	char path[4096];
	int err = directory_path(path, sizeof(path));

	return err ? err :
		     fail_msg(errnum, "--name %s: make %s/%s" LOCK_SUFFIX ": %m; " REMEDY, name,
			      path, name);
}

static int lock_name(int dir_fd, const char *name)
{
	struct timespec pause = { .tv_nsec = LOCK_TRY_MS * NSEC_PER_MSEC };
	int fd = -EAGAIN;

	for (unsigned tries = 0; tries < LOCK_TRIES; tries++) {
		fd = try_lock(dir_fd, name, O_CREAT);
		if (fd != -EWOULDBLOCK && fd != -EAGAIN)
			break;
		nanosleep(&pause, NULL);
	}
	if (fd == -EWOULDBLOCK)
		return name_is_taken(dir_fd, name);
	return fd < 0 ? cannot_lock(-fd, name) : fd;
}

static int write_pid(int lock_fd, const char *name)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d\n", getpid());

	if (ftruncate(lock_fd, 0) || pwrite(lock_fd, text, (size_t)len, 0) != len)
		return fail(errno, "--name %s: write its lock file", name);
	return 0;
}

// The lock is held.
static void remove_files(int dir_fd, const char *name)
{
	struct file_name socket_file = file_name(name, SOCKET_SUFFIX);
	struct file_name lock_file = file_name(name, LOCK_SUFFIX);

	unlinkat(dir_fd, socket_file.text, 0);
	unlinkat(dir_fd, lock_file.text, 0);
}

// A log that tells nothing of how its VM was killed. The lock is held.
static void remove_empty_log(int dir_fd, const char *name)
{
	struct file_name file = file_name(name, LOG_SUFFIX);
	struct stat st;

	if (fstatat(dir_fd, file.text, &st, AT_SYMLINK_NOFOLLOW) == 0 && !st.st_size)
		unlinkat(dir_fd, file.text, 0);
}

static bool is_alive(int dir_fd, const char *name)
{
	int fd = try_lock(dir_fd, name, 0);

	if (fd < 0)
		return fd == -EWOULDBLOCK;
	remove_empty_log(dir_fd, name);
	remove_files(dir_fd, name);
	close(fd);
	return false;
}

// -- sockets --

// By way of the directory's descriptor: a socket's address has room for 107 bytes only.
static struct sockaddr_un socket_address(int dir_fd, const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct file_name file = file_name(name, SOCKET_SUFFIX);

	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", dir_fd,
		 file.text);
	return address;
}

// Only its owner may connect: the mode of a socket's file is that of its descriptor.
static int open_socket(int dir_fd, const char *name)
{
	struct sockaddr_un address = socket_address(dir_fd, name);
	struct file_name file = file_name(name, SOCKET_SUFFIX);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return fail(errno, "--name %s: make its control socket", name);
	unlinkat(dir_fd, file.text, 0);
	if (fchmod(fd, 0600) || bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(fd, BACKLOG)) {
		int err = fail(errno, "--name %s: bind its control socket", name);

		close(fd);
		return err;
	}
	return fd;
}

int instance_connect(const char *name)
{
	struct timeval patience = { .tv_sec = CONNECT_S };
	struct sockaddr_un address;
	int dir_fd, fd, err = 0;

	if (!instance_name_is_valid(name))
		return -ENOENT;
	dir_fd = open_directory(false);
	if (dir_fd < 0)
		return dir_fd;
	address = socket_address(dir_fd, name);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	// A VM that stands still (SIGSTOP) takes no more clients than wait in its queue.
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) ||
	    connect(fd, (struct sockaddr *)&address, sizeof(address)))
		err = -errno;
	close(dir_fd);
	if (!err)
		return fd;
	if (fd >= 0)
		close(fd);
	if (err == -ENOENT || err == -ECONNREFUSED)
		return -ENOENT;
	if (err == -EAGAIN)
		return fail_msg(ETIMEDOUT, "VM %s: does not answer", name);
	return fail(-err, "connect to the VM %s", name);
}

// -- logs --

int instance_open_log(const char *name, bool fresh)
{
	struct file_name file = file_name(name, LOG_SUFFIX);
	int flags = O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC | (fresh ? O_TRUNC : 0);
	int fd, dir_fd = open_directory(false);

	if (dir_fd < 0)
		return dir_fd == -ENOENT ? fail(ENOENT, "--name %s: its log", name) : dir_fd;
	fd = openat(dir_fd, file.text, flags, 0600);
	if (fd < 0)
		fd = fail(errno, "--name %s: open its log", name);
	close(dir_fd);
	return fd;
}

void instance_remove_log(const char *name)
{
	struct file_name file = file_name(name, LOG_SUFFIX);
	int dir_fd = open_directory(false);

	if (dir_fd < 0)
		return;
	unlinkat(dir_fd, file.text, 0);
	close(dir_fd);
}

// -- claims --

static int claim_in(struct instance *instance)
{
	int err;

	instance->lock_fd = lock_name(instance->dir_fd, instance->name);
	if (instance->lock_fd < 0)
		return instance->lock_fd;
	err = write_pid(instance->lock_fd, instance->name);
	if (!err) {
		instance->listen_fd = open_socket(instance->dir_fd, instance->name);
		err = MIN(instance->listen_fd, 0);
	}
	if (err) {
		remove_files(instance->dir_fd, instance->name);
		close(instance->lock_fd);
	}
	return err;
}

int instance_claim(struct instance *instance, const char *name)
{
	int err;

	*instance = (struct instance){ .name = name, .listen_fd = -1, .lock_fd = -1 };
	instance->dir_fd = open_directory(true);
	if (instance->dir_fd < 0)
		return instance->dir_fd;
	err = claim_in(instance);
	if (err)
		close(instance->dir_fd);
	return err;
}

void instance_release(struct instance *instance)
{
	remove_files(instance->dir_fd, instance->name);
	if (instance->listen_fd >= 0)
		close(instance->listen_fd);
	close(instance->lock_fd);
	close(instance->dir_fd);
}

// -- the list --

static int add_name(struct instance_names *list, const char *name)
{
	char **names = reallocarray(list->names, list->count + 1, sizeof(*names));

	if (!names)
		return -ENOMEM;
	list->names = names;
	names[list->count] = strdup(name);
	if (!names[list->count])
		return -ENOMEM;
	list->count++;
	return 0;
}

// "x.lock" to "x"; false for other files.
static bool strip_suffix(char *name)
{
	char *suffix = strrchr(name, '.');

	if (!suffix || strcmp(suffix, LOCK_SUFFIX) != 0)
		return false;
	*suffix = '\0';
	return instance_name_is_valid(name);
}

static int read_names(struct instance_names *list, DIR *dir)
{
	struct dirent *entry;
	int err = 0;

	while (!err && (entry = readdir(dir))) {
		if (strip_suffix(entry->d_name) && is_alive(dirfd(dir), entry->d_name))
			err = add_name(list, entry->d_name);
	}
	return err ? fail(-err, "list of VMs") : 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int instance_list(struct instance_names *list)
{
	int dir_fd = open_directory(false);
	DIR *dir;
	int err;

	*list = (struct instance_names){ 0 };
	if (dir_fd < 0)
		return dir_fd == -ENOENT ? 0 : dir_fd;
	dir = fdopendir(dir_fd);
	if (!dir) {
		err = fail(errno, "list of VMs");
		close(dir_fd);
		return err;
	}
	err = read_names(list, dir);
	closedir(dir);
	if (err)
		instance_list_free(list);
	else if (list->count)
		qsort(list->names, list->count, sizeof(*list->names), compare_names);
	return err;
}

void instance_list_free(struct instance_names *list)
{
	while (list->count)
		free(list->names[--list->count]);
	free(list->names);
	list->names = NULL;
}
