// SPDX-License-Identifier: GPL-2.0-or-later
// What the tests of raw disks share: an image, its disk on a loop that the test drives,
// and host faults that need no root.
#ifndef KVIK_DISK_FIXTURE_H
#define KVIK_DISK_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disk.h"
#include "iov.h"
#include "loop.h"
#include "vm-config.h"

#include <cmocka.h>

#define BLOCK 4096
#define DISK_BYTES (64 * BLOCK)
#define DISK_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

struct fixture {
	char dir[512];
	char path[600];
	struct loop loop;
	struct disk *disk;
	struct disk_queue *queue;
	enum disk_aio aio; // by which open_disk() works
	unsigned batches;
	char message[4096]; // what was logged by the last expect_refusal()
};

struct result {
	struct disk_request request;
	int error;
	unsigned done; // how often
};

// -- helpers --

static inline void write_file(const char *path, const void *data, size_t len, off_t size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	assert_int_equal(ftruncate(fd, size), 0);
	close(fd);
}

static inline void read_file(const char *path, off_t offset, void *data, size_t len)
{
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, data, len, offset), len);
	close(fd);
}

// Beside this program: /tmp may be a tmpfs, which knows less than a disk.
static inline void make_dir(struct fixture *f)
{
	char program[400];
	ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);

	assert_in_range(n, 1, sizeof(program) - 2);
	program[n] = '\0';
	snprintf(f->dir, sizeof(f->dir), "%s-XXXXXX", program);
	assert_non_null(mkdtemp(f->dir));
}

static inline int setup(void **state)
{
	static struct fixture f;

	f = (struct fixture){ 0 };
	make_dir(&f);
	snprintf(f.path, sizeof(f.path), "%s/disk.img", f.dir);
	write_file(f.path, "start", 5, DISK_BYTES);
	assert_int_equal(loop_init(&f.loop), 0);
	*state = &f;
	return 0;
}

static inline void close_disk(struct fixture *f)
{
	if (f->disk) {
		disk_detach(f->queue);
		disk_close(f->disk);
		f->disk = NULL;
	}
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	close_disk(f);
	loop_exit(&f->loop);
	unlink(f->path);
	assert_int_equal(rmdir(f->dir), 0);
	return 0;
}

static inline void count_batch(void *opaque)
{
	struct fixture *f = opaque;

	f->batches++;
}

static inline void open_config(struct fixture *f, struct disk_config config)
{
	struct disk_events events = { .batch_done = count_batch, .opaque = f };

	assert_int_equal(disk_open(&f->disk, &config), 0);
	assert_int_equal(disk_attach(f->disk, &f->loop, events, &f->queue), 0);
}

static inline void open_disk(struct fixture *f)
{
	open_config(f, (struct disk_config){ .path = f->path, .aio = f->aio });
}

static inline int try_open(const char *path, bool read_only)
{
	struct disk_config config = { .path = path, .read_only = read_only };
	struct disk *disk;
	int ret = disk_open(&disk, &config);

	if (!ret)
		disk_close(disk);
	return ret;
}

// Runs @call with its messages caught in f->message.
static inline int with_messages(struct fixture *f, int (*call)(struct fixture *f))
{
	int saved = dup(STDERR_FILENO), pipes[2], ret;
	ssize_t n;

	assert_int_equal(pipe2(pipes, O_NONBLOCK), 0);
	dup2(pipes[1], STDERR_FILENO);
	ret = call(f);
	dup2(saved, STDERR_FILENO);
	n = read(pipes[0], f->message, sizeof(f->message) - 1);
	f->message[MAX(n, 0)] = '\0';
	close(saved);
	close(pipes[0]);
	close(pipes[1]);
	return ret;
}

static inline int open_writable(struct fixture *f)
{
	return try_open(f->path, false);
}

static inline int open_read_only(struct fixture *f)
{
	return try_open(f->path, true);
}

// Both ways of opening f->path are refused, with a message that has path and reason.
static inline void expect_refusal(struct fixture *f, const char *reason)
{
	assert_true(with_messages(f, open_writable) < 0);
	if (!strstr(f->message, f->path) || !strstr(f->message, reason))
		fail_msg("\"%s\" does not name %s and \"%s\"", f->message, f->path, reason);
	assert_true(with_messages(f, open_read_only) < 0);
	assert_non_null(strstr(f->message, reason));
}

static inline void on_done(struct disk_request *request, int error)
{
	struct result *result = container_of(request, struct result, request);

	result->error = error;
	result->done++;
}

static inline void submit(struct fixture *f, struct result *result, enum disk_op op,
			  uint64_t offset, uint64_t len, const struct iovec *iov, unsigned count)
{
	*result = (struct result){
		.request = {
			.op = op,
			.offset_bytes = offset,
			.len_bytes = len,
			.iov = iov,
			.iov_count = count,
			.done = on_done,
		},
	};
	disk_submit(f->queue, &result->request);
}

static inline int finish(struct fixture *f, struct result *result)
{
	disk_drain(f->queue);
	assert_int_equal(result->done, 1);
	return result->error;
}

static inline int transfer(struct fixture *f, enum disk_op op, uint64_t offset, void *data,
			   size_t len)
{
	struct iovec iov = { .iov_base = data, .iov_len = len };
	struct result result;

	submit(f, &result, op, offset, len, &iov, 1);
	return finish(f, &result);
}

static inline int range(struct fixture *f, enum disk_op op, uint64_t offset, uint64_t len,
			bool unmap)
{
	struct result result;

	submit(f, &result, op, offset, len, NULL, 0);
	result.request.unmap = unmap;
	return finish(f, &result);
}

static inline uint8_t *pattern(size_t len, unsigned seed)
{
	uint8_t *data = aligned_alloc(BLOCK, align_up(len, BLOCK));

	assert_non_null(data);
	for (size_t i = 0; i < len; i++)
		data[i] = seed + i / 512 + i;
	return data;
}

static inline void assert_content(struct fixture *f, uint64_t offset, const uint8_t *data,
				  size_t len)
{
	uint8_t *content = malloc(len);

	read_file(f->path, offset, content, len);
	assert_memory_equal(content, data, len);
	free(content);
}

static inline bool all_zero(const uint8_t *data, size_t len)
{
	while (len--)
		if (*data++)
			return false;
	return true;
}

static inline bool zero_on_disk(struct fixture *f, uint64_t offset, size_t len)
{
	uint8_t *content = malloc(len);
	bool zero;

	read_file(f->path, offset, content, len);
	zero = all_zero(content, len);
	free(content);
	return zero;
}

static inline off_t file_size(struct fixture *f)
{
	struct stat st;

	assert_int_equal(stat(f->path, &st), 0);
	return st.st_size;
}

// Lets system call @number fail with @errnum from now on. For a child process.
static inline void deny(unsigned number, int errnum)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | errnum),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = ARRAY_SIZE(code), .filter = code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		_exit(77);
}

// Runs @body in a child process, which exits with what it returns.
static inline int in_child(struct fixture *f, int (*body)(struct fixture *f))
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid)
		_exit(body(f));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip(); // this machine allows no filters
	return WEXITSTATUS(status);
}

static inline void zero_both_ways(struct fixture *f)
{
	uint8_t *data = pattern(DISK_BYTES, 1), *back = malloc(DISK_BYTES);

	for (unsigned unmap = 0; unmap < 2; unmap++) {
		assert_int_equal(transfer(f, DISK_WRITE, 0, data, DISK_BYTES), 0);
		assert_int_equal(range(f, DISK_WRITE_ZEROES, 512, 41 * BLOCK, unmap), 0);
		assert_int_equal(transfer(f, DISK_READ, 0, back, DISK_BYTES), 0);
		assert_memory_equal(back, data, 512);
		assert_true(all_zero(back + 512, 41 * BLOCK));
		assert_memory_equal(back + 512 + 41 * BLOCK, data + 512 + 41 * BLOCK,
				    DISK_BYTES - 512 - 41 * BLOCK);
	}
	free(data);
	free(back);
}

#endif
