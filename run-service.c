// SPDX-License-Identifier: GPL-2.0-or-later
// What kvik run is for those who do not sit in front of it.
//
// --detach forks at once, while there is one thread. The first process waits at a pipe: a
// byte says that the VM runs, its end without one that the second process has ended, whose
// status is then its own. Until the VM runs messages go to the standard error of whoever
// started it; from then on to the log.
#include "run-service.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "instance.h"
#include "log.h"

// -- the log --

static int cannot_open_log(const char *path)
{
	if (errno == ENXIO)
		return fail_msg(ENXIO, "--log %s: is a pipe that nobody reads; start its reader",
				path);
	return fail(errno, "--log %s: open", path);
}

// *@made: there was none.
static int open_log(const char *path, bool *made)
{
	// Without O_NONBLOCK a pipe's reader would be waited for, after SIGHUP by the whole VM.
	int flags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	int fd = open(path, flags | O_CREAT | O_EXCL, 0600);

	*made = fd >= 0;
	if (fd < 0 && errno == EEXIST) // or a symbolic link to one that is to be made
		fd = open(path, flags | O_CREAT, 0600);
	if (fd < 0)
		return cannot_open_log(path);
	// Some files open, and take nothing: /dev/full, and those of /proc.
	if (write(fd, "", 0) < 0) {
		int err = fail(errno, "--log %s: write", path);

		close(fd);
		return err;
	}
	fcntl(fd, F_SETFL, O_APPEND);
	return fd;
}

// Unless something was written to it, or put in its place.
static void drop_empty_log(const struct run_service *service)
{
	struct stat ours, there;

	if (fstat(service->log_fd, &ours) || ours.st_size || lstat(service->log_path, &there))
		return;
	if (there.st_dev == ours.st_dev && there.st_ino == ours.st_ino)
		unlink(service->log_path);
}

static int open_null(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	return fd < 0 ? fail(errno, "open /dev/null") : fd;
}

// Without --log, what runs in the background has a file for its messages in the directory
// of the VM's name.
static void switch_messages(struct run_service *service, bool fresh)
{
	int fd = service->log_fd;

	if (fd < 0)
		fd = instance_open_log(service->vm_name, fresh);
	if (fd < 0)
		fd = open_null();
	if (fd < 0)
		return;
	dup2(fd, STDERR_FILENO);
	if (fd != service->log_fd)
		close(fd);
}

static int reopen_log(void *opaque)
{
	struct run_service *service = opaque;
	bool made;
	int fd;

	if (!service->log_path) {
		switch_messages(service, false);
		return -1;
	}
	fd = open_log(service->log_path, &made);
	if (fd < 0)
		return -1;
	dup3(fd, service->log_fd, O_CLOEXEC); // the number that struct vm_parts has
	close(fd);
	switch_messages(service, false);
	return service->log_fd;
}

// -- detaching --

// Whoever waits is killed with his terminal, or by a timeout: the VM must not outlive that.
static void end_with_waiter(pid_t waiter)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != waiter)
		raise(SIGTERM);
}

static int take_background(pid_t waiter)
{
	int null_fd = open_null();

	if (null_fd < 0)
		return null_fd;
	end_with_waiter(waiter);
	setsid();
	dup2(null_fd, STDIN_FILENO);
	dup2(null_fd, STDOUT_FILENO); // which a shell's $(...) waits for
	close(null_fd);
	return 0;
}

// The process's end before it was ready.
static int status_of(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return VM_STATUS_USAGE;
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	err("it was killed by signal %d (%s) before the VM ran", WTERMSIG(status),
	    strsignal(WTERMSIG(status)));
	return 128 + WTERMSIG(status);
}

// Whoever gets a status that says it failed must not be left with a VM, nor one who was
// not told its name.
static int tell_name(const struct run_service *service, pid_t pid)
{
	signal(SIGPIPE, SIG_IGN); // a reader that is gone is an error as others are
	if (dprintf(STDOUT_FILENO, "%s\n", service->vm_name) >= 0)
		return 0;
	fail(errno, "--detach: write the VM's name; it is ended");
	kill(pid, SIGTERM);
	status_of(pid);
	return VM_STATUS_USAGE;
}

static int wait_until_ready(const struct run_service *service, int fd, pid_t pid)
{
	ssize_t got;
	char byte;

	do
		got = read(fd, &byte, 1);
	while (got < 0 && errno == EINTR);
	close(fd);
	if (got != 1)
		return status_of(pid);
	return tell_name(service, pid);
}

static int detach(struct run_service *service, int *status)
{
	pid_t waiter = getpid(), pid;
	int ready[2];

	if (pipe2(ready, O_CLOEXEC))
		return fail(errno, "--detach: make a pipe");
	fflush(NULL); // else both would write what waits in stdio's buffers
	pid = fork();
	if (pid < 0) {
		close(ready[0]);
		close(ready[1]);
		return fail(errno, "--detach: start a process");
	}
	if (pid) {
		close(ready[1]);
		*status = wait_until_ready(service, ready[0], pid);
		return 1;
	}
	close(ready[0]);
	service->ready_fd = ready[1];
	return take_background(waiter);
}

// -- what the VM tells --

static void tell_waiter(struct run_service *service)
{
	if (service->ready_fd < 0)
		return;
	prctl(PR_SET_PDEATHSIG, 0);
	// SIGPIPE is ignored while the console is open.
	if (write(service->ready_fd, "", 1) != 1)
		raise(SIGTERM); // he is gone, and thinks that it failed
	close(service->ready_fd);
	service->ready_fd = -1;
}

static void started(void *opaque)
{
	struct run_service *service = opaque;

	service->made_log = false;
	if (service->detach || service->log_fd >= 0)
		switch_messages(service, true);
	notify_send(&service->notify, "READY=1\nMAINPID=%d\nSTATUS=The VM %s is running", getpid(),
		    service->vm_name);
	tell_waiter(service);
}

static void changed(void *opaque, const char *state)
{
	struct run_service *service = opaque;

	notify_send(&service->notify, "STATUS=The VM %s is %s", service->vm_name, state);
}

// While the name is still ours. The log of one that died stays, to be read.
static void remove_log(const struct run_service *service, int status)
{
	if (service->detach && !service->log_path && status != VM_STATUS_DIED)
		instance_remove_log(service->vm_name);
}

static void stopping(void *opaque, const char *reason, int status)
{
	struct run_service *service = opaque;

	remove_log(service, status);
	notify_send(&service->notify, "STOPPING=1\nSTATUS=The VM %s ends: %s", service->vm_name,
		    reason);
}

void run_service_adapt(struct run_service *service, struct vm_parts *parts)
{
	parts->watcher = (struct vm_watcher){
		.started = started,
		.changed = changed,
		.stopping = stopping,
		.reopen = service->detach || service->log_path ? reopen_log : NULL,
		.opaque = service,
	};
	if (service->log_fd >= 0)
		parts->console_out_fd = service->log_fd;
	else if (service->detach)
		parts->console_out_fd = -1;
	if (service->detach)
		parts->console_in_fd = -1;
	parts->needs_control = service->detach; // else nothing but kill(1) would reach it
}

// -- life --

int run_service_begin(struct run_service *service, const char *vm_name, int *status)
{
	int err = 0;

	service->vm_name = vm_name;
	service->ready_fd = service->log_fd = -1;
	service->made_log = false;
	service->pidfile.path = NULL;
	notify_init(&service->notify);
	if (service->log_path)
		service->log_fd = open_log(service->log_path, &service->made_log);
	if (service->log_fd < 0 && service->log_path)
		return service->log_fd;
	if (service->detach)
		err = detach(service, status);
	if (!err && service->pidfile_path)
		err = pidfile_claim(&service->pidfile, service->pidfile_path);
	return err;
}

void run_service_end(struct run_service *service)
{
	pidfile_release(&service->pidfile);
	if (service->made_log)
		drop_empty_log(service);
	if (service->log_fd >= 0)
		close(service->log_fd);
}
