// SPDX-License-Identifier: MIT-0
// Disks, past the page cache: in sequence by 1 MiB, at random by 4 KiB, one at a time and 32
// at once, and flushes. They have names, since machine monitors differ in their order.
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/fs.h>

#include "bench.h"

#define RAW "/dev/disk/raw"
#define QCOW2 "/dev/disk/qcow2"
#define DIRECT "/dev/disk/direct" // raw, too; the host goes past its own page cache
#define BIG (1 << 20)
#define SMALL 4096
#define DEPTH 32

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int open_disk(const char *disk, u64 *bytes)
{
	int fd = open(disk, O_RDWR | O_DIRECT);

	if (fd < 0 || ioctl(fd, BLKGETSIZE64, bytes))
		die(disk);
	return fd;
}

static void transfer(int fd, int write_it, u8 *buf, size_t len, u64 offset)
{
	ssize_t n = write_it ? pwrite(fd, buf, len, (off_t)offset) :
			       pread(fd, buf, len, (off_t)offset);

	if (n != (ssize_t)len)
		die(write_it ? "write" : "read");
}

// Memory whose pages are apart: those that happen to be neighbours would make fewer
// segments of a request, on one machine and not on the next.
static u8 *map_scattered(size_t len)
{
	size_t pages = len / SMALL;
	u8 *buf = xmap(len);

	for (size_t i = 0; i < pages; i++)
		buf[i * 97 % pages * SMALL] = 1;
	return buf;
}

static void sequential(struct res *r, const char *disk, int write_it)
{
	u64 bytes;
	int fd = open_disk(disk, &bytes);
	u64 n = sc(bytes / BIG);
	u8 *buf = map_scattered(BIG);
	double t;

	memset(buf, 0x5a, BIG);
	t = now();
	for (u64 i = 0; i < n; i++)
		transfer(fd, write_it, buf, BIG, i * BIG);
	r->t = now() - t;
	close(fd);
	r->work = n * BIG;
	r->unit = "bytes";
}

static void one_by_one(int fd, int write_it, u64 n, u64 blocks)
{
	u8 *buf = xmap(SMALL);

	while (n--)
		transfer(fd, write_it, buf, SMALL, rng() % blocks * SMALL);
}

// As many at once as the queue is deep: each that is done makes way for another.
static void many_at_once(int fd, int write_it, u64 n, u64 blocks)
{
	u8 *buf = xmap((size_t)DEPTH * SMALL);
	struct iocb requests[DEPTH], *next[DEPTH];
	struct io_event done[DEPTH];
	u64 submitted = 0, completed = 0;
	aio_context_t context = 0;
	long ready = DEPTH;

	if (syscall(SYS_io_setup, DEPTH, &context))
		die("io_setup");
	for (int i = 0; i < DEPTH; i++) {
		requests[i] = (struct iocb){
			.aio_fildes = (u32)fd,
			.aio_lio_opcode = write_it ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD,
			.aio_buf = (u64)(uintptr_t)(buf + (size_t)i * SMALL),
			.aio_nbytes = SMALL,
			.aio_data = (u64)i,
		};
		done[i].data = (u64)i;
	}
	while (completed < n) {
		long count = 0;

		for (long i = 0; i < ready && submitted < n; i++, submitted++) {
			next[count] = &requests[done[i].data];
			next[count++]->aio_offset = (long long)(rng() % blocks * SMALL);
		}
		if (count && syscall(SYS_io_submit, context, count, next) != count)
			die("io_submit");
		ready = syscall(SYS_io_getevents, context, 1L, (long)DEPTH, done, NULL);
		if (ready < 1)
			die("io_getevents");
		for (long i = 0; i < ready; i++)
			if (done[i].res != SMALL)
				die("a request");
		completed += (u64)ready;
	}
	syscall(SYS_io_destroy, context);
}

static void at_random(struct res *r, const char *disk, int write_it, int depth)
{
	u64 bytes;
	int fd = open_disk(disk, &bytes);
	u64 n = sc(4000);
	double t;

	rng_seed(4711);
	t = now();
	if (depth == 1)
		one_by_one(fd, write_it, n, bytes / SMALL);
	else
		many_at_once(fd, write_it, n, bytes / SMALL);
	r->t = now() - t;
	close(fd);
	r->work = n;
	r->unit = "requests";
}

// A write with each, since a kernel need not pass on a flush with nothing to flush.
void bench_blk_flush(struct res *r)
{
	u64 bytes;
	int fd = open_disk(RAW, &bytes);
	u64 n = sc(100);
	u8 *buf = xmap(SMALL);
	double t = now();

	for (u64 i = 0; i < n; i++) {
		transfer(fd, 1, buf, SMALL, i * SMALL);
		if (fsync(fd))
			die("fsync");
	}
	r->t = now() - t;
	close(fd);
	r->work = n;
	r->unit = "flushes";
}

#define BENCH(name, call)                \
	void bench_##name(struct res *r) \
	{                                \
		call;                    \
	}

BENCH(blk_seq_write, sequential(r, RAW, 1))
BENCH(blk_seq_read, sequential(r, RAW, 0))
BENCH(blk_rand_write, at_random(r, RAW, 1, 1))
BENCH(blk_rand_read, at_random(r, RAW, 0, 1))
BENCH(blk_rand_write_32, at_random(r, RAW, 1, DEPTH))
BENCH(blk_rand_read_32, at_random(r, RAW, 0, DEPTH))
BENCH(qcow2_seq_write, sequential(r, QCOW2, 1))
BENCH(qcow2_seq_read, sequential(r, QCOW2, 0))
BENCH(qcow2_rand_write, at_random(r, QCOW2, 1, 1))
BENCH(qcow2_rand_read, at_random(r, QCOW2, 0, 1))
BENCH(qcow2_rand_write_32, at_random(r, QCOW2, 1, DEPTH))
BENCH(qcow2_rand_read_32, at_random(r, QCOW2, 0, DEPTH))
// Not every host has a file system that can do that: then there is no such disk.
#define DIRECT_BENCH(name, call) BENCH(name, access(DIRECT, F_OK) ? (void)0 : call)

DIRECT_BENCH(direct_seq_write, sequential(r, DIRECT, 1))
DIRECT_BENCH(direct_seq_read, sequential(r, DIRECT, 0))
DIRECT_BENCH(direct_rand_write, at_random(r, DIRECT, 1, 1))
DIRECT_BENCH(direct_rand_read, at_random(r, DIRECT, 0, 1))
DIRECT_BENCH(direct_rand_write_32, at_random(r, DIRECT, 1, DEPTH))
DIRECT_BENCH(direct_rand_read_32, at_random(r, DIRECT, 0, DEPTH))
