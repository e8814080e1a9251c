// SPDX-License-Identifier: GPL-2.0-or-later
// Gives up what a network stack does not need, before it meets the guest's first packet.
//
// What a guest that took the process over could still do: talk to the network as the user,
// which is what the program is for, and read what all may read in /etc.

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"
#include "ring.h"
#include "slirp-helper.h"
#include "tcp.h"

#define NOBODY 65534
#define RESOLV_CONF "/etc/resolv.conf"

// -- user and capabilities --

// Root may read what others may not. Where there is no nobody (a user namespace), root
// there is no one outside.
static void become_nobody(void)
{
	if (geteuid() != 0)
		return;
	(void)!setgroups(0, NULL);
	(void)!setresgid(NOBODY, NOBODY, NOBODY);
	(void)!setresuid(NOBODY, NOBODY, NOBODY);
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { { .effective = 0 } };

	if (syscall(SYS_capset, &header, none) < 0)
		return fail(errno, "drop all capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return fail(errno, "renounce new privileges");
	return 0;
}

// -- limits --

// Descriptors come first: without one libslirp refuses a connection, without memory it ends
// the process.
#define FILES_MAX 1024U
// Two buffers of 128 KiB, their bookkeeping, and a packet of 64 KiB or two that wait.
#define LIBSLIRP_CONNECTION_BYTES (512 * KIB)
#define FLOW_BYTES (2ULL * RING_BYTES)
// Packets that come in fragments, or not in their order: what a guest can make large.
#define PACKETS_BYTES (256 * MIB)
#define MEMORY_MAX \
	(FILES_MAX * LIBSLIRP_CONNECTION_BYTES + TCP_FLOWS_MAX * FLOW_BYTES + PACKETS_BYTES)

static void limit(int resource, uint64_t max)
{
	struct rlimit now;

	if (getrlimit((__rlimit_resource_t)resource, &now))
		return;
	now.rlim_max = MIN(now.rlim_max, (rlim_t)max);
	now.rlim_cur = MIN(now.rlim_cur, now.rlim_max);
	setrlimit((__rlimit_resource_t)resource, &now);
}

// Libraries and buffers; a sanitizer's shadow.
static uint64_t mapped_bytes(void)
{
	FILE *statm = fopen("/proc/self/statm", "re");
	unsigned long long pages = 0;

	if (statm && fscanf(statm, "%llu", &pages) != 1)
		pages = 0;
	if (statm)
		fclose(statm);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void set_limits(void)
{
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_FSIZE, 0);
	limit(RLIMIT_NOFILE, FILES_MAX);
	limit(RLIMIT_AS, mapped_bytes() + MEMORY_MAX);
}

// -- Landlock: files --

// As the kernel's, which grows: older headers lack fields.
struct ruleset {
	uint64_t files;
	uint64_t net;
	uint64_t scoped; // ABI 6: abstract Unix sockets, signals
};

// All that the kernel's version @abi can forbid.
static struct ruleset everything(long abi)
{
	const unsigned rights = abi >= 5 ? 16 : abi >= 3 ? 15 : abi == 2 ? 14 : 13;

	return (struct ruleset){ .files = (1ULL << rights) - 1, .scoped = abi >= 6 ? 3 : 0 };
}

static size_t ruleset_bytes(long abi)
{
	if (abi >= 6)
		return sizeof(struct ruleset);
	return abi >= 4 ? offsetof(struct ruleset, scoped) : offsetof(struct ruleset, net);
}

// Files below @directory may be read.
static void allow_reading(int ruleset, const char *directory)
{
	struct landlock_path_beneath_attr rule = {
		.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE,
		.parent_fd = open(directory, O_PATH | O_CLOEXEC),
	};

	if (rule.parent_fd < 0)
		return;
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
		err("Landlock, %s: %m", directory);
	close(rule.parent_fd);
}

// Name servers change while the guest runs, and then the file is another one: so it is the
// directory that is named. It may lie in /run, behind a link.
static void allow_resolv_conf(int ruleset)
{
	char path[PATH_MAX];

	allow_reading(ruleset, "/etc");
	if (realpath(RESOLV_CONF, path))
		allow_reading(ruleset, dirname(path));
}

static int restrict_files(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct ruleset attributes = everything(abi);
	int ruleset, err = 0;

	if (abi < 1)
		return 0; // not in this kernel, or switched off
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes, ruleset_bytes(abi), 0);
	if (ruleset < 0)
		return fail(errno, "Landlock");
	allow_resolv_conf(ruleset);
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		err = fail(errno, "Landlock");
	close(ruleset);
	return err;
}

// -- seccomp: system calls --

// What libslirp, glib and libc were seen to call, and what they may on other versions.
static const int allowed_calls[] = {
	// sockets
	SCMP_SYS(accept),
	SCMP_SYS(accept4),
	SCMP_SYS(bind),
	SCMP_SYS(connect),
	SCMP_SYS(getpeername),
	SCMP_SYS(getsockname),
	SCMP_SYS(getsockopt),
	SCMP_SYS(listen),
	SCMP_SYS(recv),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(send),
	SCMP_SYS(sendmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(setsockopt),
	SCMP_SYS(shutdown),
	// descriptors; Landlock says which files
	SCMP_SYS(close),
	SCMP_SYS(fstat),
	SCMP_SYS(fstat64),
	SCMP_SYS(lseek),
	SCMP_SYS(_llseek),
	SCMP_SYS(newfstatat),
	SCMP_SYS(fstatat64),
	SCMP_SYS(open),
	SCMP_SYS(openat),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(ppoll_time64),
	SCMP_SYS(read),
	SCMP_SYS(readv),
	SCMP_SYS(stat),
	SCMP_SYS(statx),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	// memory
	SCMP_SYS(brk),
	SCMP_SYS(madvise),
	SCMP_SYS(mremap),
	SCMP_SYS(munmap),
	// time and the rest
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_gettime64),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(futex),
	SCMP_SYS(getpid),
	SCMP_SYS(getrandom),
	SCMP_SYS(gettid),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(sigaltstack), // AddressSanitizer's, when a thread ends
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigreturn),
};

// Nothing of ours does these: who does has taken the process over.
static const int fatal_calls[] = {
	SCMP_SYS(execve),           SCMP_SYS(execveat),          SCMP_SYS(ptrace),
	SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev),
};

static int allow_calls(scmp_filter_ctx filter)
{
	int err = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(allowed_calls) && !err; i++)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed_calls[i], 0);
	for (unsigned i = 0; i < ARRAY_SIZE(fatal_calls) && !err; i++)
		err = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, fatal_calls[i], 0);
	return err;
}

static int allow_request(scmp_filter_ctx filter, unsigned long request)
{
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				SCMP_A1_32(SCMP_CMP_EQ, (uint32_t)request));
}

static int allow_family(scmp_filter_ctx filter, int family)
{
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				SCMP_A0_32(SCMP_CMP_EQ, (uint32_t)family));
}

// Flags only: F_SETOWN would have the kernel signal another process of the user's.
static int allow_flags(scmp_filter_ctx filter, int call)
{
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 1, SCMP_A1_32(SCMP_CMP_LE, F_SETFL));
}

// What abort() does.
static int allow_own_signals(scmp_filter_ctx filter)
{
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
				SCMP_A0_32(SCMP_CMP_EQ, (uint32_t)getpid()));
}

// Memory, but none that can be executed.
static int allow_data(scmp_filter_ctx filter, int call)
{
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 1,
				SCMP_A2_32(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
}

static int add_rules(scmp_filter_ctx filter)
{
	int err = allow_calls(filter);

	err = err ? err : allow_family(filter, AF_INET);
	err = err ? err : allow_family(filter, AF_INET6);
	err = err ? err : allow_request(filter, FIONBIO);
	err = err ? err : allow_request(filter, FIONREAD);
	err = err ? err : allow_flags(filter, SCMP_SYS(fcntl));
	err = err ? err : allow_flags(filter, SCMP_SYS(fcntl64));
	err = err ? err : allow_own_signals(filter);
	err = err ? err : allow_data(filter, SCMP_SYS(mmap));
	err = err ? err : allow_data(filter, SCMP_SYS(mmap2));
	return err ? err : allow_data(filter, SCMP_SYS(mprotect));
}

// What is not allowed fails: a library of another version may try something, and do without.
static int restrict_calls(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int err;

	if (!filter)
		return fail(ENOMEM, "a filter of system calls");
	// A search tree, since it runs before every call: without it, the last rule is slow.
	(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	err = add_rules(filter);
	err = err ? err : seccomp_load(filter);
	seccomp_release(filter);
	return err ? fail(-err, "filter system calls") : 0;
}

int confine(void)
{
	int err;

	set_limits();
	become_nobody();
	// The change of user cleared it.
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	err = drop_capabilities();
	err = err ? err : restrict_files();
	return err ? err : restrict_calls();
}
