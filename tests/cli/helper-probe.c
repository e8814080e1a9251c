// SPDX-License-Identifier: GPL-2.0-or-later
// Preloaded into kvik-slirp: at its first poll() writes what it can still do to the pipe
// $PROBE_OUT; the rest is as before. With PROBE_EXEC it then tries to start a program.
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static int out; // a pipe: no file may grow

static void say(const char *what, long result)
{
	char line[160];
	int len = snprintf(line, sizeof(line), "%s: %s\n", what,
			   result < 0 ? strerror(errno) : "works");

	if (write(out, line, (size_t)len) < 0)
		_exit(3);
}

__attribute__((constructor)) static void begin(void)
{
	out = open(getenv("PROBE_OUT"), O_RDWR);
	say("Landlock", syscall(SYS_landlock_create_ruleset, NULL, 0, 1 /* its version */));
}

static void try_files(void)
{
	char own[64];

	snprintf(own, sizeof(own), "%s", getenv("PROBE_FILE"));
	say("read /etc/resolv.conf", open("/etc/resolv.conf", O_RDONLY));
	say("read /etc/shadow", open("/etc/shadow", O_RDONLY));
	say("read a file", open(own, O_RDONLY));
	say("write a file", open(own, O_WRONLY));
	say("make a file", open("/tmp/kvik-probe", O_WRONLY | O_CREAT, 0600));
	say("remove a file", unlink(own));
	say("list /etc", open("/etc", O_RDONLY | O_DIRECTORY));
	say("read memory", open("/proc/self/mem", O_RDONLY));
}

static void try_sockets(void)
{
	say("socket AF_INET", socket(AF_INET, SOCK_STREAM, 0));
	say("socket AF_INET6", socket(AF_INET6, SOCK_DGRAM, 0));
	say("socket AF_UNIX", socket(AF_UNIX, SOCK_STREAM, 0));
	say("socket AF_NETLINK", socket(AF_NETLINK, SOCK_RAW, 0));
	say("socket AF_PACKET", socket(AF_PACKET, SOCK_RAW, 0));
}

static int try_mapping(size_t bytes)
{
	void *data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return data == MAP_FAILED ? -1 : munmap(data, bytes);
}

static void try_limits(void)
{
	say("map 512 MiB", try_mapping(512UL << 20));
	say("map 2 GiB", try_mapping(2UL << 30));
	say("have 2000 files", fcntl(0, F_DUPFD, 2000));
}

static void try_calls(void)
{
	void *data = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	say("map data", data == MAP_FAILED ? -1 : 0);
	say("map code", code == MAP_FAILED ? -1 : 0);
	say("data into code", mprotect(data, 4096, PROT_READ | PROT_EXEC));
	say("fork", syscall(SYS_clone, 17 /* SIGCHLD */, 0, 0, 0, 0));
	say("kill", syscall(SYS_kill, getppid(), 0));
	// A process that there is not: who may signal is told so.
	say("signal a thread", syscall(SYS_tgkill, 0x3fffffff, 0x3fffffff, 0));
	say("have the kernel signal", fcntl(0, F_SETOWN, 0x3fffffff));
	say("become root", syscall(SYS_setuid, 0));
	say("chroot", syscall(SYS_chroot, "/"));
}

// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): libc's are reserved
int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	int (*real)(struct pollfd *, nfds_t, int) =
		(int (*)(struct pollfd *, nfds_t, int))dlsym(RTLD_NEXT, "poll");
	static int done;

	if (!done++) {
		try_files();
		try_sockets();
		try_limits();
		try_calls();
		close(out);
		if (getenv("PROBE_EXEC"))
			syscall(SYS_execve, "/bin/true", NULL, NULL);
	}
	return real(fds, count, timeout_ms);
}
