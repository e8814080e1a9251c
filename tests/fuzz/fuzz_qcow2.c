// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzzes qcow2 images: any bytes are opened, read, written, checked and repaired.
//
// The first byte says how many requests there are, of 6 bytes each; behind them is the
// image. Its file is synchronous: asynchronous I/O is not what is tested, and slow to set
// up.

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../../disk/qcow2-open.h"
#include "../../disk/qcow2.h"
#include "fuzz-quiet.h"
#include "loop.h"

#define FILE_BYTES_MAX (32 * MIB) // nothing grows behind that
#define REQUEST_BYTES 6
#define REQUESTS_MAX 24
#define DATA_BYTES (64 * KIB)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static struct loop loop;
static uint8_t buffer[DATA_BYTES];
static unsigned pending;

// -- a file whose requests are done at once --

static int sync_attach(struct disk *disk, struct loop *on, struct disk_queue **queue)
{
	*queue = calloc(1, sizeof(**queue));
	return *queue ? 0 : -ENOMEM;
}

static void sync_detach(struct disk_queue *queue)
{
	free(queue);
}

static int do_request(int fd, const struct disk_request *request)
{
	int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	ssize_t n;

	switch (request->op) {
	case DISK_READ:
		n = preadv(fd, request->iov, request->iov_count, request->offset_bytes);
		break;
	case DISK_WRITE:
		n = pwritev(fd, request->iov, request->iov_count, request->offset_bytes);
		break;
	case DISK_WRITE_ZEROES:
		return fallocate(fd, mode, request->offset_bytes, request->len_bytes) ? -errno : 0;
	default:
		return 0;
	}
	if (n < 0)
		return -errno;
	return (uint64_t)n == request->len_bytes ? 0 : -EIO;
}

static void sync_submit(struct disk_queue *queue, struct disk_request *request)
{
	disk_complete(queue, request, do_request(raw_fd(queue->disk), request));
}

static void sync_kick(struct disk_queue *queue)
{
	disk_announce(queue);
}

static void sync_close(struct disk *disk)
{
}

static const struct disk_ops sync_ops = {
	.name = "raw",
	.attach = sync_attach,
	.detach = sync_detach,
	.submit = sync_submit,
	.kick = sync_kick,
	.drain = sync_kick,
	.close = sync_close,
};

// -- requests --

static void on_done(struct disk_request *request, int error)
{
	pending--;
}

static void submit(struct disk_queue *queue, const uint8_t *words, struct disk_request *request,
		   struct iovec *iov)
{
	uint64_t size_bytes = disk_info(queue->disk)->size_bytes;
	uint64_t sector = words[1] | words[2] << 8 | words[3] << 16;
	uint64_t sectors = 1 + (words[4] | (words[5] & 3) << 8);

	*iov = (struct iovec){ buffer, MIN(sectors * 512, DATA_BYTES) };
	*request = (struct disk_request){
		.op = words[0] % DISK_OP_COUNT,
		.offset_bytes = words[5] & 4 ? size_bytes - MIN(size_bytes, sector * 512) :
					       sector * 512,
		.len_bytes = iov->iov_len,
		.unmap = words[5] & 8,
		.done = on_done,
	};
	if (request->op <= DISK_WRITE) {
		request->iov = iov;
		request->iov_count = 1;
	}
	pending++;
	disk_submit(queue, request);
	if (words[5] & 16)
		disk_kick(queue);
}

static void use(struct disk *disk, const uint8_t *words, unsigned count)
{
	struct disk_request requests[REQUESTS_MAX];
	struct iovec iovs[REQUESTS_MAX];
	struct disk_queue *queue;

	if (disk_attach(disk, &loop, (struct disk_events){ 0 }, &queue))
		abort();
	for (unsigned i = 0; i < count; i++)
		submit(queue, words + (size_t)i * REQUEST_BYTES, &requests[i], &iovs[i]);
	disk_detach(queue);
	if (pending)
		abort(); // each request ends
}

// -- images --

static struct disk *file;

static void write_image(const uint8_t *data, size_t size)
{
	if (ftruncate(raw_fd(file), 0) || pwrite(raw_fd(file), data, size, 0) != (ssize_t)size)
		abort();
	file->info.size_bytes = size;
}

static void check(void)
{
	struct qcow2_open_flags flags = { .examine = true };
	struct qcow2_report report, again;
	struct qcow2_image image;

	if (qcow2_image_open(&image, file, flags))
		return;
	if (!qcow2_check(&image, QCOW2_REPAIR_ALL, true, 16 * MIB, &report) &&
	    !qcow2_check(&image, QCOW2_REPAIR_NONE, true, 16 * MIB, &again) &&
	    report.errors <= report.errors_fixed && again.errors)
		abort(); // it was not repaired
	if (qcow2_image_close(&image))
		return;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct disk_config config = { .path = "image" };
	unsigned count = size ? data[0] % (REQUESTS_MAX + 1) : 0;
	size_t skip = 1 + (size_t)count * REQUEST_BYTES;
	struct disk *disk;

	if (size < skip)
		return 0;
	write_image(data + skip, size - skip);
	config.read_only = data[0] & 0x80;
	if (!qcow2_open(&disk, file, &config)) {
		use(disk, data + 1, count);
		disk_close(disk);
	}
	check();
	return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char path[32];
	struct disk_config config = { .path = path };
	struct rlimit limit;
	int fd = memfd_create("image", MFD_CLOEXEC);

	silence(argc, argv);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fd < 0 || loop_init(&loop) || raw_open(&file, &config))
		abort();
	file->ops = &sync_ops;
	file->path = "image";
	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = FILE_BYTES_MAX;
	setrlimit(RLIMIT_FSIZE, &limit);
	signal(SIGXFSZ, SIG_IGN);
	return 0;
}
