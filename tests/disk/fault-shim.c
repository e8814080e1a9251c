// SPDX-License-Identifier: GPL-2.0-or-later
// A host that fails: preloaded into kvik, lets system calls on one file fail or end short.
//
// FAULT_FILE   the file; a directory: all files of its file system
// FAULTS       which calls, and how: CALL[WHEN]=RESULT[,...], for instance
//              write:3=EIO           the third write
//              write:3-9=ENOSPC      the third to the ninth
//              write:*7=EIO          each seventh
//              read@4096-8192=EIO    those that begin within these bytes
//              read=short            all
//              CALL is read, write, sync, allocate, truncate or submit (libaio's); RESULT
//              the name of an error, or short: only a part is transferred.
// FAULT_WHILE  a path: only while that exists
// FAULT_LOG    a file: gets a line for each fault
//
// A write of libaio's that "fails" has reached the file: nobody may rely on either.

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <libaio.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define RULES_MAX 16
#define IOV_COUNT_MAX 1024
#define SECTOR_BYTES 512
#define SHORT (-1) // beside the errnos

enum call { CALL_READ, CALL_WRITE, CALL_SYNC, CALL_ALLOCATE, CALL_TRUNCATE, CALL_SUBMIT, CALLS };

static const char *const call_names[CALLS] = {
	"read", "write", "sync", "allocate", "truncate", "submit",
};

static const struct {
	const char *name;
	int result;
} results[] = {
	{ "EIO", EIO },       { "ENOSPC", ENOSPC }, { "EINTR", EINTR },
	{ "EAGAIN", EAGAIN }, { "short", SHORT },
};

struct rule {
	enum call call;
	unsigned long first, last, every; // by number, from 1
	unsigned long from, to;           // by place
	int result;
	atomic_ulong seen;
};

static struct rule rules[RULES_MAX];
static unsigned rule_count;
static const char *file, *switch_path, *log_path;
static pthread_once_t once = PTHREAD_ONCE_INIT;

#define REAL(function) ((__typeof__(&(function)))dlsym(RTLD_NEXT, #function))

// -- what is to fail --

static void __attribute__((noreturn)) give_up(const char *word)
{
	fprintf(stderr, "FAULTS: what is %s?\n", word);
	_exit(124);
}

static void parse_when(struct rule *rule, char *text)
{
	char *end = text;

	if (*text == ':' && text[1] == '*') {
		rule->every = strtoul(text + 2, &end, 0);
	} else if (*text == ':') {
		rule->first = rule->last = strtoul(text + 1, &end, 0);
		if (*end == '-')
			rule->last = strtoul(end + 1, &end, 0) ?: ~0UL; // "3-": and all after
	} else if (*text == '@') {
		rule->from = strtoul(text + 1, &end, 0);
		if (*end == '-')
			rule->to = strtoul(end + 1, &end, 0) ?: ~0UL;
	}
	if (*end || !rule->every)
		give_up(text);
}

static void parse_rule(struct rule *rule, char *text)
{
	char *result = strchr(text, '=');
	size_t name_len = strcspn(text, ":@=");

	*rule = (struct rule){ .call = CALLS, .last = ~0UL, .every = 1, .to = ~0UL };
	for (unsigned i = 0; i < CALLS; i++)
		if (!strncmp(text, call_names[i], name_len) && !call_names[i][name_len])
			rule->call = i;
	if (!result || rule->call == CALLS)
		give_up(text);
	*result++ = '\0';
	for (unsigned i = 0; i < sizeof(results) / sizeof(results[0]); i++)
		if (!strcmp(result, results[i].name))
			rule->result = results[i].result;
	if (!rule->result)
		give_up(result);
	parse_when(rule, text + name_len);
}

static void init(void)
{
	const char *faults = getenv("FAULTS");
	char *text = strdup(faults ? faults : ""), *rest = text, *word;

	file = getenv("FAULT_FILE");
	switch_path = getenv("FAULT_WHILE");
	log_path = getenv("FAULT_LOG");
	while ((word = strsep(&rest, ",")))
		if (*word && rule_count < RULES_MAX)
			parse_rule(&rules[rule_count++], word);
	free(text);
}

static bool is_file(int fd)
{
	struct stat st, wanted;

	return file && !fstat(fd, &st) && !stat(file, &wanted) && st.st_dev == wanted.st_dev &&
	       (st.st_ino == wanted.st_ino || S_ISDIR(wanted.st_mode)) &&
	       (!switch_path || !access(switch_path, F_OK));
}

static bool applies(struct rule *rule, enum call call, off_t offset)
{
	unsigned long number;

	if (rule->call != call || (unsigned long)offset < rule->from ||
	    (unsigned long)offset >= rule->to)
		return false;
	number = atomic_fetch_add(&rule->seen, 1) + 1;
	return number >= rule->first && number <= rule->last && number % rule->every == 0;
}

static void note(enum call call, off_t offset, int result)
{
	int fd = log_path ? open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;

	if (fd < 0)
		return;
	dprintf(fd, "%s at %lld: %s\n", call_names[call], (long long)offset,
		result == SHORT ? "short" : strerror(result));
	close(fd);
}

// 0, an errno or SHORT.
static int fault(enum call call, int fd, off_t offset)
{
	int result = 0;

	pthread_once(&once, init);
	if (!is_file(fd))
		return 0;
	for (unsigned i = 0; i < rule_count; i++)
		if (applies(&rules[i], call, offset) && !result)
			result = rules[i].result;
	if (result)
		note(call, offset, result);
	return result;
}

// How much of @len is transferred in place of all; never nothing.
static size_t shorten(size_t len)
{
	size_t half = len / 2 & ~(size_t)(SECTOR_BYTES - 1);

	return half ? half : len;
}

// libc's names for parameters are for libc.
// NOLINTBEGIN(readability-inconsistent-declaration-parameter-name)

// -- calls with one buffer --

static size_t fault_transfer(enum call call, int fd, off_t offset, size_t len)
{
	int result = fault(call, fd, offset);

	if (result == SHORT)
		return shorten(len);
	errno = result;
	return result ? 0 : len;
}

ssize_t pread(int fd, void *data, size_t len, off_t offset)
{
	size_t some = fault_transfer(CALL_READ, fd, offset, len);

	return some || !len ? REAL(pread)(fd, data, some, offset) : -1;
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
	size_t some = fault_transfer(CALL_WRITE, fd, offset, len);

	return some || !len ? REAL(pwrite)(fd, data, some, offset) : -1;
}

// -- calls with several --

// The first buffers of @iov, @some bytes in all.
static int cut(struct iovec *part, const struct iovec *iov, int count, size_t some)
{
	int n = 0;

	for (; n < count && some; n++) {
		part[n] = iov[n];
		if (part[n].iov_len > some)
			part[n].iov_len = some;
		some -= part[n].iov_len;
	}
	return n;
}

static size_t total(const struct iovec *iov, int count)
{
	size_t sum = 0;

	while (count-- > 0)
		sum += (iov++)->iov_len;
	return sum;
}

ssize_t preadv2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
	size_t len = total(iov, count), some = fault_transfer(CALL_READ, fd, offset, len);
	struct iovec part[IOV_COUNT_MAX];

	if (len && !some)
		return -1;
	return REAL(preadv2)(fd, part, cut(part, iov, count, some), offset, flags);
}

ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
	size_t len = total(iov, count), some = fault_transfer(CALL_WRITE, fd, offset, len);
	struct iovec part[IOV_COUNT_MAX];

	if (len && !some)
		return -1;
	return REAL(pwritev)(fd, part, cut(part, iov, count, some), offset);
}

// -- calls without data --

static bool fails(enum call call, int fd, off_t offset)
{
	int result = fault(call, fd, offset);

	errno = result;
	return result;
}

int fdatasync(int fd)
{
	return fails(CALL_SYNC, fd, 0) ? -1 : REAL(fdatasync)(fd);
}

int fallocate(int fd, int mode, off_t offset, off_t len)
{
	return fails(CALL_ALLOCATE, fd, offset) ? -1 : REAL(fallocate)(fd, mode, offset, len);
}

int ftruncate(int fd, off_t len)
{
	return fails(CALL_TRUNCATE, fd, len) ? -1 : REAL(ftruncate)(fd, len);
}

// -- libaio --

int io_submit(io_context_t context, long count, struct iocb **iocbs)
{
	int result = count > 0 ? fault(CALL_SUBMIT, iocbs[0]->aio_fildes, 0) : 0;

	if (result == SHORT && count > 1)
		return REAL(io_submit)(context, count / 2, iocbs);
	return result > 0 ? -result : REAL(io_submit)(context, count, iocbs);
}

static void spoil(struct io_event *event)
{
	const struct iocb *iocb = event->obj;
	bool reads = iocb->aio_lio_opcode == IO_CMD_PREADV;
	bool writes = iocb->aio_lio_opcode == IO_CMD_PWRITEV;
	int result = fault(reads  ? CALL_READ :
			   writes ? CALL_WRITE :
				    CALL_SYNC,
			   iocb->aio_fildes, iocb->u.c.offset);

	if (result > 0)
		event->res = -(unsigned long)result;
	else if (result == SHORT && (long)event->res > 0)
		event->res = shorten(event->res);
}

int io_getevents(io_context_t context, long least, long count, struct io_event *events,
		 struct timespec *timeout)
{
	int n = REAL(io_getevents)(context, least, count, events, timeout);

	for (int i = 0; i < n; i++)
		spoil(&events[i]);
	return n;
}

// NOLINTEND(readability-inconsistent-declaration-parameter-name)
