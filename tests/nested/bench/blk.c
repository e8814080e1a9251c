// SPDX-License-Identifier: GPL-2.0-or-later
// Runs in the guest: measures a block device, past the page cache.
//
// usage: blk DEVICE OPERATIONS MIB
//
// Prints lines "@NAME VALUE" for ../bench/gauge: 4 KiB operations a second, alone and by
// eight threads at once, and MiB a second in blocks of 1 MiB.
#include <err.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK_BYTES = 4096, MIB = 1 << 20, THREADS = 8 };

struct job {
	int fd;
	uint64_t device_bytes;
	long operations;
	uint64_t seed;
};

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *aligned_buffer(size_t bytes)
{
	void *buffer;

	if (posix_memalign(&buffer, BLOCK_BYTES, bytes))
		errx(1, "no memory");
	return buffer;
}

// The same places in every run: Marsaglia's xorshift.
static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static void *read_at_random(void *data)
{
	struct job *job = data;
	void *buffer = aligned_buffer(BLOCK_BYTES);

	for (long i = 0; i < job->operations; i++) {
		uint64_t block = next_random(&job->seed) % (job->device_bytes / BLOCK_BYTES);

		if (pread(job->fd, buffer, BLOCK_BYTES, (off_t)(block * BLOCK_BYTES)) !=
		    BLOCK_BYTES)
			err(1, "read");
	}
	free(buffer);
	return NULL;
}

static void measure_random(const char *name, struct job job, int threads)
{
	pthread_t thread[THREADS];
	struct job jobs[THREADS];
	double begin_s = now_s();

	for (int i = 0; i < threads; i++) {
		jobs[i] = job;
		jobs[i].seed += (uint64_t)i;
		if (pthread_create(&thread[i], NULL, read_at_random, &jobs[i]))
			errx(1, "no thread");
	}
	for (int i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	printf("@%s %.0f\n", name, (double)(threads * job.operations) / (now_s() - begin_s));
}

static void measure_flush(const struct job *job)
{
	void *buffer = aligned_buffer(BLOCK_BYTES);
	double begin_s = now_s();

	for (long i = 0; i < job->operations; i++)
		if (pwrite(job->fd, buffer, BLOCK_BYTES, 0) != BLOCK_BYTES || fdatasync(job->fd))
			err(1, "write and flush");
	printf("@blk_write_flush_per_s %.0f\n", (double)job->operations / (now_s() - begin_s));
	free(buffer);
}

typedef ssize_t transfer(int fd, void *buffer, off_t offset);

static ssize_t read_mib(int fd, void *buffer, off_t offset)
{
	return pread(fd, buffer, MIB, offset);
}

static ssize_t write_mib(int fd, void *buffer, off_t offset)
{
	return pwrite(fd, buffer, MIB, offset);
}

static void measure_stream(const char *name, const struct job *job, transfer *transfer, long mib)
{
	void *buffer = aligned_buffer(MIB);
	double begin_s;

	transfer(job->fd, buffer, 0);
	begin_s = now_s();
	for (long i = 0; i < mib; i++)
		if (transfer(job->fd, buffer, (off_t)(i % (long)(job->device_bytes / MIB)) * MIB) !=
		    MIB)
			err(1, "%s", name);
	printf("@%s %.1f\n", name, (double)mib / (now_s() - begin_s));
	free(buffer);
}

int main(int argc, char **argv)
{
	struct job job = { .seed = 88172645463325252 };
	long mib;

	if (argc != 4)
		errx(2, "usage: blk DEVICE OPERATIONS MIB");
	job.fd = open(argv[1], O_RDWR | O_DIRECT);
	if (job.fd < 0 || ioctl(job.fd, BLKGETSIZE64, &job.device_bytes))
		err(1, "%s", argv[1]);
	job.operations = strtol(argv[2], NULL, 10);
	mib = strtol(argv[3], NULL, 10);
	measure_random("blk_read_per_s", job, 1);
	job.operations /= 4;
	measure_random("blk_read_8_threads_per_s", job, THREADS);
	measure_flush(&job);
	measure_stream("blk_read_mib_per_s", &job, read_mib, mib);
	measure_stream("blk_write_mib_per_s", &job, write_mib, mib);
	return 0;
}
