// SPDX-License-Identifier: GPL-2.0-or-later
// Raw disks: what is opened and refused, and that every request ends as it should.
//
// Host faults are made without root: RLIMIT_FSIZE cuts writes short, a file made
// shorter under the disk's feet ends reads, and a seccomp filter in a child process
// lets one system call fail.

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
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

struct fixture {
	char dir[512];
	char path[600];
	struct loop loop;
	struct disk *disk;
	unsigned batches;
	char message[4096]; // what was logged by the last expect_refusal()
};

struct result {
	struct disk_request request;
	int error;
	unsigned done; // how often
};

// -- helpers --

static void write_file(const char *path, const void *data, size_t len, off_t size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	assert_int_equal(ftruncate(fd, size), 0);
	close(fd);
}

static void read_file(const char *path, off_t offset, void *data, size_t len)
{
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, data, len, offset), len);
	close(fd);
}

// Beside this program: /tmp may be a tmpfs, which knows less than a disk.
static void make_dir(struct fixture *f)
{
	char program[400];
	ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);

	assert_in_range(n, 1, sizeof(program) - 2);
	program[n] = '\0';
	snprintf(f->dir, sizeof(f->dir), "%s-XXXXXX", program);
	assert_non_null(mkdtemp(f->dir));
}

static int setup(void **state)
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

static void close_disk(struct fixture *f)
{
	if (f->disk) {
		disk_detach(f->disk);
		disk_close(f->disk);
		f->disk = NULL;
	}
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	close_disk(f);
	loop_exit(&f->loop);
	unlink(f->path);
	assert_int_equal(rmdir(f->dir), 0);
	return 0;
}

static void count_batch(void *opaque)
{
	struct fixture *f = opaque;

	f->batches++;
}

static void open_config(struct fixture *f, struct disk_config config)
{
	struct disk_events events = { .batch_done = count_batch, .opaque = f };

	assert_int_equal(disk_open(&f->disk, &config), 0);
	assert_int_equal(disk_attach(f->disk, &f->loop, events), 0);
}

static void open_disk(struct fixture *f)
{
	open_config(f, (struct disk_config){ .path = f->path });
}

static int try_open(const char *path, bool read_only)
{
	struct disk_config config = { .path = path, .read_only = read_only };
	struct disk *disk;
	int ret = disk_open(&disk, &config);

	if (!ret)
		disk_close(disk);
	return ret;
}

// Runs @call with its messages caught in f->message.
static int with_messages(struct fixture *f, int (*call)(struct fixture *f))
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

static int open_writable(struct fixture *f)
{
	return try_open(f->path, false);
}

static int open_read_only(struct fixture *f)
{
	return try_open(f->path, true);
}

// Both ways of opening f->path are refused, with a message that has path and reason.
static void expect_refusal(struct fixture *f, const char *reason)
{
	assert_true(with_messages(f, open_writable) < 0);
	if (!strstr(f->message, f->path) || !strstr(f->message, reason))
		fail_msg("\"%s\" does not name %s and \"%s\"", f->message, f->path, reason);
	assert_true(with_messages(f, open_read_only) < 0);
	assert_non_null(strstr(f->message, reason));
}

static void on_done(struct disk_request *request, int error)
{
	struct result *result = container_of(request, struct result, request);

	result->error = error;
	result->done++;
}

static void submit(struct fixture *f, struct result *result, enum disk_op op, uint64_t offset,
		   uint64_t len, const struct iovec *iov, unsigned count)
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
	disk_submit(f->disk, &result->request);
}

static int finish(struct fixture *f, struct result *result)
{
	disk_drain(f->disk);
	assert_int_equal(result->done, 1);
	return result->error;
}

static int transfer(struct fixture *f, enum disk_op op, uint64_t offset, void *data, size_t len)
{
	struct iovec iov = { .iov_base = data, .iov_len = len };
	struct result result;

	submit(f, &result, op, offset, len, &iov, 1);
	return finish(f, &result);
}

static int range(struct fixture *f, enum disk_op op, uint64_t offset, uint64_t len, bool unmap)
{
	struct result result;

	submit(f, &result, op, offset, len, NULL, 0);
	result.request.unmap = unmap;
	return finish(f, &result);
}

static uint8_t *pattern(size_t len, unsigned seed)
{
	uint8_t *data = aligned_alloc(BLOCK, align_up(len, BLOCK));

	assert_non_null(data);
	for (size_t i = 0; i < len; i++)
		data[i] = seed + i / 512 + i;
	return data;
}

static void assert_content(struct fixture *f, uint64_t offset, const uint8_t *data, size_t len)
{
	uint8_t *content = malloc(len);

	read_file(f->path, offset, content, len);
	assert_memory_equal(content, data, len);
	free(content);
}

static bool all_zero(const uint8_t *data, size_t len)
{
	while (len--)
		if (*data++)
			return false;
	return true;
}

static bool zero_on_disk(struct fixture *f, uint64_t offset, size_t len)
{
	uint8_t *content = malloc(len);
	bool zero;

	read_file(f->path, offset, content, len);
	zero = all_zero(content, len);
	free(content);
	return zero;
}

static off_t file_size(struct fixture *f)
{
	struct stat st;

	assert_int_equal(stat(f->path, &st), 0);
	return st.st_size;
}

// -- opening --

static void test_info(void **state)
{
	struct fixture *f = *state;
	const struct disk_info *info;
	char id[sizeof(info->id)];

	open_disk(f);
	info = disk_info(f->disk);
	assert_int_equal(info->size_bytes, DISK_BYTES);
	assert_int_equal(info->block_bytes, 512);
	assert_true(info->physical_block_bytes >= 512);
	assert_false(info->read_only);
	assert_int_equal(strlen(info->id), 20);
	strcpy(id, info->id);
	close_disk(f);
	open_config(f, (struct disk_config){ .path = f->path, .read_only = true });
	assert_true(disk_info(f->disk)->read_only);
	assert_false(disk_info(f->disk)->can_discard);
	assert_string_equal(disk_info(f->disk)->id, id);
}

static void test_partial_sector_is_left_out(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(truncate(f->path, DISK_BYTES + 511), 0);
	open_disk(f);
	assert_int_equal(disk_info(f->disk)->size_bytes, DISK_BYTES);
	close_disk(f);
	assert_int_equal(file_size(f), DISK_BYTES + 511);
}

static void test_missing_file(void **state)
{
	struct fixture *f = *state;

	unlink(f->path);
	expect_refusal(f, "No such file");
}

static void test_empty_file(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(truncate(f->path, 0), 0);
	expect_refusal(f, "is empty");
	assert_int_equal(truncate(f->path, 511), 0);
	expect_refusal(f, "is empty");
}

static void test_directory(void **state)
{
	struct fixture *f = *state;

	unlink(f->path);
	assert_int_equal(mkdir(f->path, 0700), 0);
	expect_refusal(f, "is a directory");
	rmdir(f->path);
}

// Must not wait for a writer, either.
static void test_fifo(void **state)
{
	struct fixture *f = *state;

	unlink(f->path);
	assert_int_equal(mkfifo(f->path, 0600), 0);
	expect_refusal(f, "is a FIFO");
}

static void test_character_device(void **state)
{
	struct fixture *f = *state;

	unlink(f->path);
	assert_int_equal(symlink("/dev/zero", f->path), 0);
	expect_refusal(f, "is a character device");
}

static void test_qcow2(void **state)
{
	struct fixture *f = *state;

	write_file(f->path, "QFI\xfb\0\0\0\3", 8, DISK_BYTES);
	expect_refusal(f, "is a qcow2 image");
	write_file(f->path, "QFI", 3, DISK_BYTES);
	open_disk(f);
}

static void test_lock(void **state)
{
	struct fixture *f = *state;

	open_disk(f);
	expect_refusal(f, "is in use by another VM");
	close_disk(f);
	open_config(f, (struct disk_config){ .path = f->path, .read_only = true });
	assert_int_equal(try_open(f->path, true), 0);
	assert_true(with_messages(f, open_writable) < 0);
	assert_non_null(strstr(f->message, "is in use by another VM"));
	close_disk(f);
	assert_int_equal(try_open(f->path, false), 0);
}

// -- transfers --

static void test_read_and_write(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = pattern(DISK_BYTES, 1), *back = pattern(DISK_BYTES, 9);

	open_disk(f);
	assert_int_equal(transfer(f, DISK_WRITE, 0, data, DISK_BYTES), 0);
	assert_content(f, 0, data, DISK_BYTES);
	assert_int_equal(transfer(f, DISK_READ, 0, back, DISK_BYTES), 0);
	assert_memory_equal(back, data, DISK_BYTES);
	assert_int_equal(transfer(f, DISK_WRITE, DISK_BYTES - 512, data, 512), 0);
	assert_content(f, DISK_BYTES - 512, data, 512);
	assert_int_equal(transfer(f, DISK_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(file_size(f), DISK_BYTES);
	free(data);
	free(back);
}

static void test_scattered(void **state)
{
	struct fixture *f = *state;
	struct iovec iov[100];
	uint8_t *data = pattern(100 * 512, 3), *back = calloc(100, 512);
	struct result result;

	open_disk(f);
	for (unsigned i = 0; i < 100; i++)
		iov[i] = (struct iovec){ data + 512 * i, 512 };
	submit(f, &result, DISK_WRITE, 1024, 100 * 512, iov, 100);
	assert_int_equal(finish(f, &result), 0);
	for (unsigned i = 0; i < 100; i++)
		iov[i] = (struct iovec){ back + 512 * i, 512 };
	submit(f, &result, DISK_READ, 1024, 100 * 512, iov, 100);
	assert_int_equal(finish(f, &result), 0);
	assert_memory_equal(back, data, 100 * 512);
	free(data);
	free(back);
}

// More than there are operations, in one kick.
static void test_many_at_once(void **state)
{
	struct fixture *f = *state;
	enum { COUNT = 1000 };
	struct result *results = calloc(COUNT, sizeof(*results));
	struct iovec *iov = calloc(COUNT, sizeof(*iov));
	uint8_t *data = pattern(COUNT * 512, 5);

	assert_int_equal(truncate(f->path, COUNT * 512), 0);
	open_disk(f);
	for (unsigned i = 0; i < COUNT; i++) {
		iov[i] = (struct iovec){ data + 512 * i, 512 };
		submit(f, &results[i], i % 7 ? DISK_WRITE : DISK_FLUSH, 512 * i, 512, &iov[i], 1);
	}
	disk_kick(f->disk);
	disk_drain(f->disk);
	for (unsigned i = 0; i < COUNT; i++) {
		assert_int_equal(results[i].done, 1);
		assert_int_equal(results[i].error, 0);
		if (i % 7)
			assert_content(f, 512 * i, data + 512 * i, 512);
	}
	free(results);
	free(iov);
	free(data);
}

// Nothing starts before the kick, and one batch is announced once.
static void test_batch(void **state)
{
	struct fixture *f = *state;
	struct result results[3];
	char data[512];
	struct iovec iov = { data, sizeof(data) };

	open_disk(f);
	for (unsigned i = 0; i < 3; i++)
		submit(f, &results[i], DISK_READ, 0, 512, &iov, 1);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(results[i].done, 0);
	assert_int_equal(f->batches, 0);
	disk_drain(f->disk);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(results[i].done, 1);
	assert_int_equal(f->batches, 1);
}

struct stopper {
	struct result result;
	struct loop *loop;
};

static void stop_loop(struct disk_request *request, int error)
{
	struct stopper *stopper = container_of(request, struct stopper, result.request);

	on_done(request, error);
	loop_stop(stopper->loop);
}

// The eventfd finds its way through the loop: a flush is always asynchronous.
static void test_completion_by_the_loop(void **state)
{
	struct fixture *f = *state;
	struct stopper stopper = { .loop = &f->loop };

	open_disk(f);
	for (unsigned i = 1; i <= 20; i++) {
		stopper.result.request =
			(struct disk_request){ .op = DISK_FLUSH, .done = stop_loop };
		disk_submit(f->disk, &stopper.result.request);
		disk_kick(f->disk);
		loop_run(&f->loop);
		assert_int_equal(stopper.result.done, i);
		assert_int_equal(stopper.result.error, 0);
	}
}

struct chained {
	struct disk_request request;
	struct fixture *f;
	unsigned left;
};

static void submit_next(struct disk_request *request, int error)
{
	struct chained *chained = container_of(request, struct chained, request);

	assert_int_equal(error, 0);
	if (chained->left--)
		disk_submit(chained->f->disk, request);
}

static void test_submit_from_done(void **state)
{
	struct fixture *f = *state;
	struct chained chained = {
		.request = { .op = DISK_FLUSH, .done = submit_next },
		.f = f,
		.left = 10,
	};

	open_disk(f);
	disk_submit(f->disk, &chained.request);
	disk_drain(f->disk);
	assert_int_equal(chained.left, UINT32_MAX);
}

// -- limits --

static void test_ranges_beyond_the_end(void **state)
{
	struct fixture *f = *state;
	static const struct {
		uint64_t offset, len;
	} bad[] = {
		{ DISK_BYTES, 512 },        { DISK_BYTES - 512, 1024 },
		{ 0, DISK_BYTES + 512 },    { UINT64_MAX - 511, 512 },
		{ UINT64_MAX - 511, 1024 }, { 1ULL << 63, 512 },
		{ 512, UINT64_MAX - 511 },  { 0, 0 },
	};
	static const enum disk_op ops[] = { DISK_READ, DISK_WRITE, DISK_DISCARD,
					    DISK_WRITE_ZEROES };
	char data[512] = { 0 };
	struct iovec iov = { data, sizeof(data) };

	open_disk(f);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		for (unsigned op = 0; op < ARRAY_SIZE(ops); op++) {
			struct result result;

			submit(f, &result, ops[op], bad[i].offset, bad[i].len, &iov, 1);
			assert_int_equal(finish(f, &result), -EINVAL);
		}
	}
	assert_int_equal(file_size(f), DISK_BYTES);
	assert_content(f, 0, (const uint8_t *)"start", 5);
}

static void test_read_only(void **state)
{
	struct fixture *f = *state;
	char data[512] = { 0 };

	open_config(f, (struct disk_config){ .path = f->path, .read_only = true });
	assert_int_equal(transfer(f, DISK_READ, 0, data, 512), 0);
	assert_memory_equal(data, "start", 5);
	assert_int_equal(transfer(f, DISK_WRITE, 0, data, 512), -EROFS);
	assert_int_equal(range(f, DISK_DISCARD, 0, 512, false), -EROFS);
	assert_int_equal(range(f, DISK_WRITE_ZEROES, 0, 512, true), -EROFS);
	assert_int_equal(transfer(f, DISK_FLUSH, 0, NULL, 0), 0);
}

// -- faults --

static void limit_file_size(rlim_t bytes)
{
	struct rlimit limit = { .rlim_cur = bytes, .rlim_max = RLIM_INFINITY };

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

// The host writes a part, then no more: never a success.
static void test_short_write_that_fails(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = pattern(8 * BLOCK, 1);
	int error;

	open_disk(f);
	limit_file_size(3 * BLOCK);
	error = transfer(f, DISK_WRITE, 0, data, 8 * BLOCK);
	limit_file_size(RLIM_INFINITY);
	assert_int_equal(error, -EFBIG);
	assert_content(f, 0, data, 3 * BLOCK);
	assert_true(zero_on_disk(f, 3 * BLOCK, BLOCK));
	free(data);
}

static void lift_limit(struct disk_request *request, int error)
{
	limit_file_size(RLIM_INFINITY);
	on_done(request, error);
}

// A write whose first part ends short, and whose rest then goes through: the second
// request fails at the limit and lifts it before the rest is submitted.
static void test_short_write_is_continued(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = pattern(40 * BLOCK, 1);
	struct iovec iov[40], last = { data, BLOCK };
	struct result result, lifter;

	for (unsigned i = 0; i < 40; i++)
		iov[i] = (struct iovec){ data + i * BLOCK, BLOCK };
	open_disk(f);
	limit_file_size(BLOCK + 700); // in the middle of a buffer
	submit(f, &result, DISK_WRITE, 0, 40 * BLOCK, iov, 40);
	submit(f, &lifter, DISK_WRITE, 50 * BLOCK, BLOCK, &last, 1);
	lifter.request.done = lift_limit;
	assert_int_equal(finish(f, &result), 0);
	assert_int_equal(lifter.error, -EFBIG);
	assert_content(f, 0, data, 40 * BLOCK);
	free(data);
}

static void test_read_behind_a_new_end(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = pattern(4 * BLOCK, 7);

	open_disk(f);
	assert_int_equal(truncate(f->path, BLOCK), 0);
	assert_int_equal(transfer(f, DISK_READ, 0, data, BLOCK), 0);
	assert_int_equal(transfer(f, DISK_READ, 0, data, 4 * BLOCK), -EIO);
	assert_int_equal(transfer(f, DISK_READ, 2 * BLOCK, data, BLOCK), -EIO);
	free(data);
}

// Lets system call @number fail with @errnum from now on. For a child process.
static void deny(unsigned number, int errnum)
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
static int in_child(struct fixture *f, int (*body)(struct fixture *f))
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

static int attach_without_aio(struct fixture *f)
{
	struct disk_config config = { .path = f->path };

	deny(SYS_io_setup, EAGAIN);
	return disk_open(&f->disk, &config) ||
	       disk_attach(f->disk, &f->loop, (struct disk_events){ 0 }) != -EAGAIN;
}

static int attach_without_aio_in_child(struct fixture *f)
{
	return in_child(f, attach_without_aio);
}

static void test_no_aio_contexts_left(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(with_messages(f, attach_without_aio_in_child), 0);
	assert_non_null(strstr(f->message, f->path));
	assert_non_null(strstr(f->message, "fs.aio-max-nr"));
}

static int submit_fails(struct fixture *f)
{
	char data[512];

	open_disk(f);
	deny(SYS_io_submit, EIO);
	return transfer(f, DISK_READ, 0, data, 512) != -EIO ||
	       transfer(f, DISK_FLUSH, 0, NULL, 0) != -EIO;
}

static void test_submit_fails(void **state)
{
	assert_int_equal(in_child(*state, submit_fails), 0);
}

static int submit_again(struct fixture *f)
{
	char data[512];

	open_disk(f);
	deny(SYS_io_submit, EAGAIN);
	return transfer(f, DISK_READ, 0, data, 512) != -EAGAIN;
}

// With nothing in flight there is nothing to wait for.
static void test_submit_is_out_of_resources(void **state)
{
	assert_int_equal(in_child(*state, submit_again), 0);
}

// As on a file system whose flush is not asynchronous.
static int flush_falls_back(struct fixture *f)
{
	open_disk(f);
	deny(SYS_io_submit, EINVAL);
	if (transfer(f, DISK_FLUSH, 0, NULL, 0) != 0)
		return 1;
	deny(SYS_fdatasync, EIO);
	return transfer(f, DISK_FLUSH, 0, NULL, 0) != -EIO;
}

static void test_flush_falls_back_to_fdatasync(void **state)
{
	assert_int_equal(in_child(*state, flush_falls_back), 0);
}

static int allocate_fails(struct fixture *f)
{
	open_disk(f);
	deny(SYS_fallocate, EIO);
	return range(f, DISK_DISCARD, 0, BLOCK, false) != -EIO ||
	       range(f, DISK_WRITE_ZEROES, 0, BLOCK, false) != -EIO;
}

static void test_allocate_fails(void **state)
{
	assert_int_equal(in_child(*state, allocate_fails), 0);
}

// -- discard and zeroes --

static void test_discard(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = pattern(DISK_BYTES, 1);
	struct stat before, after;

	open_disk(f);
	if (!disk_info(f->disk)->can_discard)
		skip();
	assert_int_equal(transfer(f, DISK_WRITE, 0, data, DISK_BYTES), 0);
	assert_int_equal(transfer(f, DISK_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(stat(f->path, &before), 0);
	assert_int_equal(range(f, DISK_DISCARD, 8 * BLOCK, 32 * BLOCK, false), 0);
	assert_int_equal(stat(f->path, &after), 0);
	assert_true(after.st_blocks < before.st_blocks);
	assert_int_equal(after.st_size, before.st_size);
	assert_true(zero_on_disk(f, 8 * BLOCK, 32 * BLOCK));
	assert_content(f, 40 * BLOCK, data + 40 * BLOCK, BLOCK);
	free(data);
}

static void zero_both_ways(struct fixture *f)
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

static void test_write_zeroes(void **state)
{
	struct fixture *f = *state;

	open_disk(f);
	zero_both_ways(f);
	assert_int_equal(file_size(f), DISK_BYTES);
}

static int zero_without_fallocate(struct fixture *f)
{
	deny(SYS_fallocate, EOPNOTSUPP);
	open_disk(f);
	if (disk_info(f->disk)->can_discard || range(f, DISK_DISCARD, 0, 512, false) != -EOPNOTSUPP)
		return 1;
	zero_both_ways(f);
	return 0;
}

// As a device does for a range that is not made of its blocks.
static int zero_with_invalid_fallocate(struct fixture *f)
{
	deny(SYS_fallocate, EINVAL);
	open_disk(f);
	zero_both_ways(f);
	return 0;
}

static void test_write_zeroes_without_the_hosts_help(void **state)
{
	assert_int_equal(in_child(*state, zero_without_fallocate), 0);
	assert_int_equal(in_child(*state, zero_with_invalid_fallocate), 0);
}

static blkcnt_t blocks(struct fixture *f)
{
	struct stat st;

	assert_int_equal(transfer(f, DISK_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(stat(f->path, &st), 0);
	return st.st_blocks;
}

static void test_write_zeroes_deallocates_only_on_request(void **state)
{
	struct fixture *f = *state;
	int fd = open(f->path, O_RDWR), ret;
	uint8_t *data = pattern(DISK_BYTES, 1);
	blkcnt_t full;

	ret = fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 0, BLOCK);
	close(fd);
	if (ret)
		skip();
	open_disk(f);
	assert_int_equal(transfer(f, DISK_WRITE, 0, data, DISK_BYTES), 0);
	full = blocks(f);
	assert_int_equal(range(f, DISK_WRITE_ZEROES, 0, 32 * BLOCK, false), 0);
	assert_int_equal(blocks(f), full);
	assert_int_equal(range(f, DISK_WRITE_ZEROES, 0, 32 * BLOCK, true), 0);
	assert_true(blocks(f) < full);
	free(data);
}

// More than one window of zeroes, on a file system that has only holes.
static void test_long_zeroes_on_tmpfs(void **state)
{
	struct fixture *f = *state;
	int fd = memfd_create("disk", 0);
	uint8_t *data = pattern(4 * MIB, 1);

	assert_int_equal(write(fd, data, 4 * MIB), 4 * MIB);
	snprintf(f->path, sizeof(f->path), "/proc/self/fd/%d", fd);
	open_disk(f);
	assert_int_equal(range(f, DISK_WRITE_ZEROES, 512, 3 * MIB, false), 0);
	assert_int_equal(pread(fd, data, 4 * MIB, 0), 4 * MIB);
	assert_true(all_zero(data + 512, 3 * MIB));
	assert_false(all_zero(data + 3 * MIB, 1024));
	close_disk(f);
	close(fd);
	free(data);
	snprintf(f->path, sizeof(f->path), "%s/disk.img", f->dir);
}

// -- direct I/O --

// Skips the test where the file system has none.
static void open_direct(struct fixture *f)
{
	int fd = open(f->path, O_RDWR | O_DIRECT);

	if (fd < 0)
		skip();
	close(fd);
	open_config(f, (struct disk_config){ .path = f->path, .direct = true });
}

static void test_direct(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = pattern(DISK_BYTES, 1), *back = pattern(DISK_BYTES, 2);

	open_direct(f);
	assert_int_equal(transfer(f, DISK_WRITE, 0, data, DISK_BYTES), 0);
	assert_content(f, 0, data, DISK_BYTES);
	assert_int_equal(transfer(f, DISK_READ, 0, back, DISK_BYTES), 0);
	assert_memory_equal(back, data, DISK_BYTES);
	zero_both_ways(f);
	free(data);
	free(back);
}

// Sectors, odd addresses and odd lengths, which the host would refuse.
static void test_direct_unaligned(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = pattern(DISK_BYTES, 1), *more = pattern(DISK_BYTES + 64, 2);
	uint8_t *back = malloc(DISK_BYTES + 64);
	struct iovec iov[3];
	struct result result;

	open_direct(f);
	assert_int_equal(transfer(f, DISK_WRITE, 0, data, DISK_BYTES), 0);
	assert_int_equal(transfer(f, DISK_WRITE, 3 * 512, more + 1, 9 * 512), 0);
	assert_int_equal(transfer(f, DISK_READ, 2 * 512, back + 3, 11 * 512), 0);
	assert_memory_equal(back + 3, data + 2 * 512, 512);
	assert_memory_equal(back + 3 + 512, more + 1, 9 * 512);
	assert_memory_equal(back + 3 + 10 * 512, data + 12 * 512, 512);
	iov[0] = (struct iovec){ more + 5, 100 };
	iov[1] = (struct iovec){ more + 777, 3 };
	iov[2] = (struct iovec){ more + 1000, 409 };
	submit(f, &result, DISK_WRITE, DISK_BYTES - 512, 512, iov, 3);
	assert_int_equal(finish(f, &result), 0);
	assert_content(f, DISK_BYTES - 512, more + 5, 100);
	assert_content(f, DISK_BYTES - 512 + 103, more + 1000, 409);
	assert_content(f, DISK_BYTES - 1024, data + DISK_BYTES - 1024, 512);
	assert_int_equal(file_size(f), DISK_BYTES);
	free(data);
	free(more);
	free(back);
}

// Larger than the buffer it goes through.
static void test_direct_unaligned_large(void **state)
{
	struct fixture *f = *state;
	size_t len = MIB + 512;
	uint8_t *data = pattern(len + 8, 1), *back = malloc(len + 8);

	assert_int_equal(truncate(f->path, 2 * MIB), 0);
	open_direct(f);
	assert_int_equal(transfer(f, DISK_WRITE, 512, data + 1, len), 0);
	assert_content(f, 512, data + 1, len);
	assert_int_equal(transfer(f, DISK_READ, 512, back + 5, len), 0);
	assert_memory_equal(back + 5, data + 1, len);
	assert_int_equal(file_size(f), 2 * MIB);
	free(data);
	free(back);
}

// Two halves of a block at once: neither may undo the other.
static void test_direct_neighbours(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = pattern(8 * 512 + 8, 1);
	struct iovec iov[8];
	struct result results[8];

	open_direct(f);
	for (unsigned i = 0; i < 8; i++) {
		iov[i] = (struct iovec){ data + 1 + i * 512, 512 };
		submit(f, &results[i], DISK_WRITE, i * 512, 512, &iov[i], 1);
	}
	disk_drain(f->disk);
	assert_content(f, 0, data + 1, 8 * 512);
	free(data);
}

// A part of a block is written after what was submitted before it, not around it.
static void test_direct_keeps_the_order(void **state)
{
	struct fixture *f = *state;
	uint8_t *whole = pattern(BLOCK, 1), *part = pattern(1024, 77);
	struct iovec iov[2] = { { whole, BLOCK }, { part + 1, 512 } };
	struct result results[2];

	open_direct(f);
	submit(f, &results[0], DISK_WRITE, 0, BLOCK, &iov[0], 1);
	submit(f, &results[1], DISK_WRITE, 512, 512, &iov[1], 1);
	disk_drain(f->disk);
	assert_content(f, 0, whole, 512);
	assert_content(f, 512, part + 1, 512);
	assert_content(f, 1024, whole + 1024, BLOCK - 1024);
	free(whole);
	free(part);
}

static int zero_direct_without_fallocate(struct fixture *f)
{
	deny(SYS_fallocate, EOPNOTSUPP);
	open_config(f, (struct disk_config){ .path = f->path, .direct = true });
	zero_both_ways(f);
	return 0;
}

static void test_direct_zeroes_without_the_hosts_help(void **state)
{
	struct fixture *f = *state;
	int fd = open(f->path, O_RDWR | O_DIRECT);

	if (fd < 0)
		skip();
	close(fd);
	assert_int_equal(in_child(f, zero_direct_without_fallocate), 0);
}

static int open_direct_odd_size(struct fixture *f)
{
	struct disk_config config = { .path = f->path, .direct = true };
	int ret = disk_open(&f->disk, &config);

	if (!ret) {
		disk_close(f->disk); // a host whose blocks are sectors
		f->disk = NULL;
	}
	return ret;
}

static void test_direct_size(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(truncate(f->path, DISK_BYTES + 512), 0);
	if (with_messages(f, open_direct_odd_size))
		assert_non_null(strstr(f->message, "leave out ,direct"));
}

#define DISK_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DISK_TEST(test_info),
		DISK_TEST(test_partial_sector_is_left_out),
		DISK_TEST(test_missing_file),
		DISK_TEST(test_empty_file),
		DISK_TEST(test_directory),
		DISK_TEST(test_fifo),
		DISK_TEST(test_character_device),
		DISK_TEST(test_qcow2),
		DISK_TEST(test_lock),
		DISK_TEST(test_read_and_write),
		DISK_TEST(test_scattered),
		DISK_TEST(test_many_at_once),
		DISK_TEST(test_batch),
		DISK_TEST(test_completion_by_the_loop),
		DISK_TEST(test_submit_from_done),
		DISK_TEST(test_ranges_beyond_the_end),
		DISK_TEST(test_read_only),
		DISK_TEST(test_short_write_that_fails),
		DISK_TEST(test_short_write_is_continued),
		DISK_TEST(test_read_behind_a_new_end),
		DISK_TEST(test_no_aio_contexts_left),
		DISK_TEST(test_submit_fails),
		DISK_TEST(test_submit_is_out_of_resources),
		DISK_TEST(test_flush_falls_back_to_fdatasync),
		DISK_TEST(test_allocate_fails),
		DISK_TEST(test_discard),
		DISK_TEST(test_write_zeroes),
		DISK_TEST(test_write_zeroes_without_the_hosts_help),
		DISK_TEST(test_write_zeroes_deallocates_only_on_request),
		DISK_TEST(test_long_zeroes_on_tmpfs),
		DISK_TEST(test_direct),
		DISK_TEST(test_direct_unaligned),
		DISK_TEST(test_direct_unaligned_large),
		DISK_TEST(test_direct_neighbours),
		DISK_TEST(test_direct_keeps_the_order),
		DISK_TEST(test_direct_zeroes_without_the_hosts_help),
		DISK_TEST(test_direct_size),
	};

	alarm(60); // a hang is a failure
	return cmocka_run_group_tests(tests, NULL, NULL);
}
