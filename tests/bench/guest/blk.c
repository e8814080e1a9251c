// SPDX-License-Identifier: MIT-0
// A disk, /dev/vda, by O_DIRECT: in sequence by 1 MiB, at random by 4 KiB, and flushes.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/fs.h>

#include "bench.h"

#define DISK "/dev/vda"
#define BIG (1 << 20)
#define SMALL 4096

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int open_disk(u64 *bytes)
{
	int fd = open(DISK, O_RDWR | O_DIRECT);

	if (fd < 0 || ioctl(fd, BLKGETSIZE64, bytes))
		die(DISK);
	return fd;
}

static void transfer(int fd, int write_it, u8 *buf, size_t len, u64 offset)
{
	ssize_t n = write_it ? pwrite(fd, buf, len, (off_t)offset) :
			       pread(fd, buf, len, (off_t)offset);

	if (n != (ssize_t)len)
		die(write_it ? "write" : "read");
}

static void sequential(struct res *r, int write_it)
{
	u64 bytes;
	int fd = open_disk(&bytes);
	u64 n = sc(bytes / BIG);
	u8 *buf = xmap(BIG);
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

static void at_random(struct res *r, int write_it)
{
	u64 bytes;
	int fd = open_disk(&bytes);
	u64 n = sc(4000);
	u8 *buf = xmap(SMALL);
	double t;

	rng_seed(4711);
	t = now();
	for (u64 i = 0; i < n; i++)
		transfer(fd, write_it, buf, SMALL, rng() % (bytes / SMALL) * SMALL);
	r->t = now() - t;
	close(fd);
	r->work = n;
	r->unit = "requests";
}

void bench_blk_seq_write(struct res *r)
{
	sequential(r, 1);
}

void bench_blk_seq_read(struct res *r)
{
	sequential(r, 0);
}

void bench_blk_rand_write(struct res *r)
{
	at_random(r, 1);
}

void bench_blk_rand_read(struct res *r)
{
	at_random(r, 0);
}

// A write with each, since a kernel need not pass on a flush with nothing to flush.
void bench_blk_flush(struct res *r)
{
	u64 bytes;
	int fd = open_disk(&bytes);
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
