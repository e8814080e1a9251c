// SPDX-License-Identifier: GPL-2.0-or-later
// qcow2 disks: what is written is read, whatever the layout; bad images are refused, and
// a lie in one costs no more than its guest's data.

#include "disk-fixture.h"

#include <endian.h>
#include <sys/resource.h>

#include "disk-image.h"

#define IMAGE_BYTES (1 * MIB)
#define CLUSTER (64 * KIB)

// Where a new image of 64 KiB clusters has its tables.
enum { AT_REFCOUNT_TABLE = 0x10000, AT_REFCOUNT_BLOCK = 0x20000, AT_L1 = 0x30000 };

static void make_image(struct fixture *f, struct disk_image_options options)
{
	options.path = f->path;
	options.format = DISK_FORMAT_QCOW2;
	options.replace = true;
	if (!options.size_bytes)
		options.size_bytes = IMAGE_BYTES;
	assert_int_equal(disk_image_create(&options), 0);
}

// As it is made each time, but that costs time.
static void make_plain_image(struct fixture *f)
{
	static uint8_t plain[4 * CLUSTER];

	if (plain[0]) {
		write_file(f->path, plain, sizeof(plain), sizeof(plain));
		return;
	}
	make_image(f, (struct disk_image_options){ 0 });
	assert_int_equal(file_size(f), sizeof(plain));
	read_file(f->path, 0, plain, sizeof(plain));
}

static void poke(struct fixture *f, off_t offset, unsigned width, uint64_t value)
{
	uint64_t bytes = htobe64(value << (64 - 8 * width));
	int fd = open(f->path, O_RDWR);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, &bytes, width, offset), width);
	close(fd);
}

static uint64_t peek64(struct fixture *f, off_t offset)
{
	uint64_t value;

	read_file(f->path, offset, &value, sizeof(value));
	return be64toh(value);
}

static void assert_clean(struct fixture *f)
{
	struct disk_image_report report;

	assert_int_equal(disk_image_check(f->path, DISK_IMAGE_CHECK_ONLY, &report), 0);
	assert_int_equal(report.errors, 0);
	assert_int_equal(report.leaks, 0);
}

// -- bad images --

static void test_bad_headers(void **state)
{
	static const struct {
		unsigned offset, width;
		uint64_t value;
		const char *reason;
	} bad[] = {
		{ 4, 4, 1, "version 1 is unknown" },
		{ 4, 4, 4, "version 4 is unknown" },
		{ 8, 8, 1ULL << 62, "backing file's name" },
		{ 8, 8, 100, "backing file's name" },
		{ 20, 4, 0, "clusters of 2^0 bytes" },
		{ 20, 4, 8, "clusters of 2^8 bytes" },
		{ 20, 4, 22, "clusters of 2^22 bytes" },
		{ 20, 4, 200, "clusters of 2^200 bytes" },
		{ 24, 8, 0, "is empty" },
		{ 24, 8, 1ULL << 40, "its L1 table has 1 entries" },
		{ 24, 8, 1ULL << 63, "is impossible" },
		{ 24, 8, UINT64_MAX, "is impossible" },
		{ 32, 4, 1, "is encrypted (method 1)" },
		{ 32, 4, 2, "is encrypted (method 2)" },
		{ 36, 4, 0, "its L1 table has 0 entries" },
		{ 36, 4, 1U << 31, "an L1 table of 2147483648 entries" },
		{ 36, 4, 1 << 20, "not within the file" },
		{ 40, 8, 0, "L1 table at 0 is not within the file" },
		{ 40, 8, AT_L1 + 1, "not within the file" },
		{ 40, 8, 1ULL << 62, "not within the file" },
		{ 40, 8, UINT64_MAX << 16, "not within the file" },
		{ 40, 8, AT_REFCOUNT_TABLE, "overlaps other metadata" },
		{ 48, 8, 0, "refcount table at 0 is not within the file" },
		{ 48, 8, 1ULL << 62, "not within the file" },
		{ 48, 8, AT_L1, "overlaps other metadata" },
		{ 56, 4, 0, "a refcount table of 0 clusters" },
		{ 56, 4, 1U << 31, "a refcount table of 2147483648 clusters" },
		{ 60, 4, 1U << 31, "2147483648 snapshots" },
		{ 72, 8, 1 << 2, "external data file" },
		{ 72, 8, 1 << 3, "compression type 0 is unknown" },
		{ 72, 8, 1 << 4, "subclusters" },
		{ 72, 8, 1 << 5, "unknown incompatible feature 5" },
		{ 72, 8, 1ULL << 63, "unknown incompatible feature 63" },
		{ 96, 4, 7, "reference counts of 2^7 bits" },
		{ 96, 4, UINT32_MAX, "reference counts of 2^4294967295 bits" },
		{ 100, 4, 96, "its header has 96 bytes" },
		{ 100, 4, 105, "its header has 105 bytes" },
		{ 100, 4, UINT32_MAX & ~7U, "its header has 4294967288 bytes" },
		{ 104, 1, 1, "compression type 1, not flagged," },
		{ 112, 8, 0x12345678ffffffffULL, "header extension 0x12345678" },
		{ AT_REFCOUNT_TABLE, 8, 0x200, "refcount block at 512" },
		{ AT_REFCOUNT_TABLE, 8, 1ULL << 50, "refcount block at" },
		{ AT_REFCOUNT_TABLE, 8, AT_L1, "overlaps other metadata" },
		{ AT_REFCOUNT_TABLE + 8, 8, AT_REFCOUNT_BLOCK, "overlaps other metadata" },
		{ AT_L1, 8, 1ULL << 63 | 0x200, "L2 table at 512" },
		{ AT_L1, 8, 1ULL << 63 | 1ULL << 50, "L2 table at" },
		{ AT_L1, 8, 1ULL << 63 | AT_L1, "overlaps other metadata" },
	};
	struct fixture *f = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		make_plain_image(f);
		poke(f, bad[i].offset, bad[i].width, bad[i].value);
		expect_refusal(f, bad[i].reason);
	}
}

static void test_named_feature(void **state)
{
	struct fixture *f = *state;

	make_plain_image(f);
	poke(f, 72, 8, 1 << 6);
	poke(f, 112, 8, 0x6803f857ULL << 32 | 48);
	poke(f, 120, 8, 0x0006ULL << 48 | 0x7761727000ULL << 8); // type 0, bit 6, "warp"
	expect_refusal(f, "unknown incompatible feature 6 (warp)");
}

// None of the beginnings of an image does harm, and what is missing is not made up.
static void test_truncated(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = pattern(CLUSTER, 1), *back = malloc(IMAGE_BYTES);
	off_t size;

	make_image(f, (struct disk_image_options){ .cluster_bytes = 512 });
	open_disk(f);
	assert_int_equal(transfer(f, DISK_WRITE, 0, data, CLUSTER), 0);
	close_disk(f);
	size = file_size(f);
	while (size > 0) {
		size -= size > 4096 ? 1499 : 1;
		size = MAX(size, 0);
		assert_int_equal(truncate(f->path, size), 0);
		if (with_messages(f, open_read_only))
			continue;
		open_config(f, (struct disk_config){ .path = f->path,
						     .format = DISK_FORMAT_QCOW2,
						     .read_only = true });
		if (!transfer(f, DISK_READ, 0, back, IMAGE_BYTES))
			assert_true(!memcmp(data, back, 512) || all_zero(back, 512));
		close_disk(f);
	}
	free(data);
	free(back);
}

static void write_one_cluster(struct fixture *f, uint64_t cluster)
{
	uint8_t *data = pattern(CLUSTER, 1);

	open_disk(f);
	assert_int_equal(transfer(f, DISK_WRITE, cluster * CLUSTER, data, CLUSTER), 0);
	close_disk(f);
	free(data);
}

// Entries that point where no data can be.
static void test_bad_entries(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = pattern(CLUSTER, 3);
	uint64_t l2;

	make_plain_image(f);
	write_one_cluster(f, 0);
	l2 = peek64(f, AT_L1) & ~(1ULL << 63);
	for (unsigned i = 0; i < 7; i++) {
		const uint64_t bad[] = { l2,     AT_L1,      AT_REFCOUNT_BLOCK, AT_REFCOUNT_TABLE,
					 0x1000, 1ULL << 50, (1ULL << 56) - 512 };

		poke(f, l2, 8, 1ULL << 63 | bad[i]);
		open_disk(f);
		assert_int_equal(transfer(f, DISK_READ, 0, data, 512), -EIO);
		assert_int_equal(transfer(f, DISK_WRITE, 0, data, 512), -EIO);
		assert_int_equal(transfer(f, DISK_READ, CLUSTER, data, 512), 0);
		close_disk(f);
		assert_int_equal(peek64(f, l2), 1ULL << 63 | bad[i]);
	}
	free(data);
}

// Refcounts that call metadata free.
static void test_refcount_lies(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = pattern(CLUSTER, 4);

	make_plain_image(f);
	write_one_cluster(f, 0);
	poke(f, AT_REFCOUNT_BLOCK, 8, 0);
	open_disk(f);
	assert_int_equal(transfer(f, DISK_WRITE, CLUSTER, data, CLUSTER), -EIO);
	assert_int_equal(transfer(f, DISK_READ, 0, data, CLUSTER), 0);
	close_disk(f);
	assert_int_equal(peek64(f, AT_REFCOUNT_TABLE), AT_REFCOUNT_BLOCK);
	make_plain_image(f);
	write_one_cluster(f, 0);
	poke(f, AT_REFCOUNT_BLOCK + 2 * 4, 2, 0); // the data: to be given up once more
	open_disk(f);
	assert_int_equal(range(f, DISK_DISCARD, 0, CLUSTER, true), -EIO);
	close_disk(f);
	free(data);
}

// Compressed data that are none, or more than a cluster.
static void test_bad_compression(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = pattern(CLUSTER, 5);
	uint64_t l2;

	for (unsigned zstd = 0; zstd < 2; zstd++) {
		make_image(f, (struct disk_image_options){ .zstd = zstd });
		write_one_cluster(f, 0);
		l2 = peek64(f, AT_L1) & ~(1ULL << 63);
		for (unsigned i = 0; i < 4; i++) {
			const uint64_t bad[] = { 5 * CLUSTER, 5 * CLUSTER | 0xffULL << 54,
						 (1ULL << 54) - 1, 0xffULL << 54 };

			poke(f, l2, 8, 1ULL << 62 | bad[i]);
			open_disk(f);
			assert_int_equal(transfer(f, DISK_READ, 0, data, 512), -EIO);
			assert_int_equal(transfer(f, DISK_WRITE, 0, data, 512), -EIO);
			close_disk(f);
		}
	}
	free(data);
}

// -- what is written is read --

struct model {
	struct fixture *f;
	uint8_t *content;
	uint8_t *data;
	uint32_t random;
	uint64_t cluster_bytes;
};

static uint32_t next_random(struct model *model)
{
	model->random = model->random * 1664525 + 1013904223;
	return model->random >> 8;
}

static void do_one(struct model *model)
{
	enum disk_op op = next_random(model) % DISK_OP_COUNT;
	uint64_t offset = next_random(model) % (IMAGE_BYTES / 512) * 512;
	uint64_t sectors = 1 + next_random(model) % (next_random(model) % 4 ? 16 : 300);
	uint64_t len = MIN(sectors * 512, IMAGE_BYTES - offset);

	if (op == DISK_DISCARD) { // whole clusters, which are zeroes then
		offset = align_down(offset, model->cluster_bytes);
		len = MIN(align_up(len, model->cluster_bytes), IMAGE_BYTES - offset);
	}
	memset(model->data, next_random(model), len);
	if (op == DISK_READ || op == DISK_WRITE)
		assert_int_equal(transfer(model->f, op, offset, model->data, len), 0);
	else
		assert_int_equal(range(model->f, op, offset, len, len & 1024), 0);
	if (op == DISK_READ)
		assert_memory_equal(model->data, model->content + offset, len);
	if (op == DISK_WRITE)
		memcpy(model->content + offset, model->data, len);
	if (op == DISK_WRITE_ZEROES || op == DISK_DISCARD)
		memset(model->content + offset, 0, len);
}

static void run_model(struct fixture *f, struct disk_config config, uint64_t cluster_bytes,
		      uint8_t *content, unsigned seed)
{
	struct model model = {
		.f = f,
		.content = content,
		.data = aligned_alloc(BLOCK, IMAGE_BYTES),
		.random = seed,
		.cluster_bytes = cluster_bytes,
	};

	open_config(f, config);
	for (unsigned i = 0; i < 200; i++)
		do_one(&model);
	assert_int_equal(transfer(f, DISK_READ, 0, model.data, IMAGE_BYTES), 0);
	assert_memory_equal(model.data, content, IMAGE_BYTES);
	close_disk(f);
	free(model.data);
}

static void test_model(void **state)
{
	static const struct disk_image_options layouts[] = {
		{ .cluster_bytes = 512 },
		{ .cluster_bytes = 512, .refcount_bits = 1 },
		{ .cluster_bytes = 512, .refcount_bits = 64 },
		{ .cluster_bytes = 4096, .version = 2 },
		{ .cluster_bytes = CLUSTER },
		{ .cluster_bytes = 2 * MIB },
	};
	struct fixture *f = *state;
	struct disk_config config = { .path = f->path };

	for (unsigned i = 0; i < ARRAY_SIZE(layouts); i++) {
		uint8_t *content = calloc(1, IMAGE_BYTES);

		make_image(f, layouts[i]);
		run_model(f, config, layouts[i].cluster_bytes, content, i);
		assert_clean(f);
		run_model(f, config, layouts[i].cluster_bytes, content, 100 + i);
		assert_clean(f);
		free(content);
	}
}

// The overlay's base is not changed, and nothing is left of it.
static void test_snapshot(void **state)
{
	struct fixture *f = *state;
	struct disk_config config = { .path = f->path, .snapshot = true };
	uint8_t *content = pattern(IMAGE_BYTES, 6), *before = pattern(IMAGE_BYTES, 6);

	write_file(f->path, before, IMAGE_BYTES, IMAGE_BYTES);
	run_model(f, config, CLUSTER, content, 7);
	assert_content(f, 0, before, IMAGE_BYTES);
	open_config(f,
		    (struct disk_config){ .path = f->path, .read_only = true, .snapshot = true });
	assert_int_equal(transfer(f, DISK_WRITE, 0, content, 512), -EROFS);
	close_disk(f);
	free(content);
	free(before);
}

static void test_backing(void **state)
{
	struct fixture *f = *state;
	struct disk_config config = { .path = f->path, .backing = true };
	uint8_t *content = pattern(IMAGE_BYTES, 8), *before = pattern(IMAGE_BYTES, 8);
	char base[600];

	snprintf(base, sizeof(base), "%s/base", f->dir);
	write_file(base, before, IMAGE_BYTES, IMAGE_BYTES);
	make_image(f, (struct disk_image_options){ .backing_path = "base", .cluster_bytes = 4096 });
	expect_refusal(f, "backing=allow");
	run_model(f, config, 4096, content, 9);
	assert_clean(f);
	run_model(f, config, 4096, content, 10);
	read_file(base, 0, content, IMAGE_BYTES);
	assert_memory_equal(content, before, IMAGE_BYTES);
	unlink(base);
	free(content);
	free(before);
}

// Requests in one new cluster wait for one another; they need no order of their own.
static void test_side_by_side(void **state)
{
	enum { COUNT = 64 };
	struct fixture *f = *state;
	struct result results[COUNT];
	struct iovec iovs[COUNT];
	uint8_t *data = pattern(COUNT * 512, 10), *back = malloc(COUNT * 512);

	make_plain_image(f);
	open_disk(f);
	for (unsigned i = 0; i < COUNT; i++) {
		unsigned at = i * 37 % COUNT * 512;

		iovs[i] = (struct iovec){ data + at, 512 };
		submit(f, &results[i], DISK_WRITE, CLUSTER - 8192 + at, 512, &iovs[i], 1);
	}
	for (unsigned i = 0; i < COUNT; i++)
		assert_int_equal(finish(f, &results[i]), 0);
	assert_int_equal(transfer(f, DISK_READ, CLUSTER - 8192, back, COUNT * 512), 0);
	assert_memory_equal(back, data, COUNT * 512);
	close_disk(f);
	assert_clean(f);
	free(data);
	free(back);
}

// -- the host --

static void test_dirty_while_open(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = pattern(512, 11);

	make_plain_image(f);
	open_disk(f);
	assert_int_equal(peek64(f, 72), 0);
	assert_int_equal(transfer(f, DISK_WRITE, 0, data, 512), 0);
	assert_int_equal(peek64(f, 72), 1);
	close_disk(f);
	assert_int_equal(peek64(f, 72), 0);
	free(data);
}

static void test_discard_shrinks(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = pattern(IMAGE_BYTES, 12);
	struct stat st;

	make_plain_image(f);
	open_disk(f);
	assert_true(disk_info(f->disk)->can_discard);
	assert_int_equal(transfer(f, DISK_WRITE, 0, data, IMAGE_BYTES), 0);
	assert_int_equal(range(f, DISK_DISCARD, 0, IMAGE_BYTES, true), 0);
	assert_int_equal(transfer(f, DISK_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(stat(f->path, &st), 0);
	assert_true((uint64_t)st.st_blocks * 512 < IMAGE_BYTES / 2);
	close_disk(f);
	assert_clean(f);
	free(data);
}

// No space: an error for the guest, and an image in order.
static int write_beyond_limit(struct fixture *f)
{
	struct rlimit limit = { .rlim_cur = 6 * CLUSTER, .rlim_max = RLIM_INFINITY };
	uint8_t *data = pattern(IMAGE_BYTES, 13), *back = malloc(IMAGE_BYTES);
	int failed = 0;

	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &limit);
	open_disk(f);
	for (unsigned i = 0; i < IMAGE_BYTES / CLUSTER; i++)
		failed += transfer(f, DISK_WRITE, i * CLUSTER, data, CLUSTER) != 0;
	assert_true(failed > 10);
	assert_int_equal(transfer(f, DISK_READ, 0, back, CLUSTER), 0);
	assert_memory_equal(back, data, CLUSTER);
	close_disk(f);
	return 0;
}

static void test_no_space(void **state)
{
	struct fixture *f = *state;

	make_plain_image(f);
	assert_int_equal(in_child(f, write_beyond_limit), 0);
	assert_clean(f);
}

// Nor more than a few messages: a guest could fill the host's log as well.
static int fail_often(struct fixture *f)
{
	struct rlimit limit = { .rlim_cur = 4 * CLUSTER, .rlim_max = RLIM_INFINITY };
	uint8_t *data = pattern(CLUSTER, 13);
	FILE *messages = tmpfile();
	int saved = dup(STDERR_FILENO);

	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &limit);
	open_disk(f);
	dup2(fileno(messages), STDERR_FILENO);
	for (unsigned i = 0; i < 500; i++)
		assert_int_not_equal(transfer(f, DISK_WRITE, 12 * CLUSTER, data, CLUSTER), 0);
	dup2(saved, STDERR_FILENO);
	assert_in_range(lseek(fileno(messages), 0, SEEK_END), 1, 5000);
	close_disk(f);
	return 0;
}

static void test_no_space_is_told_seldom(void **state)
{
	make_plain_image(*state);
	assert_int_equal(in_child(*state, fail_often), 0);
}

// The room in the file grows by less than a cluster at a time, so that each step of each
// write meets its end once, often halfway; then it goes on as if nothing had been.
static int write_at_moving_limit(struct fixture *f)
{
	struct rlimit limit = { .rlim_cur = 2048, .rlim_max = RLIM_INFINITY };
	uint8_t *data = pattern(IMAGE_BYTES, 17), *back = malloc(IMAGE_BYTES);
	const uint64_t len = IMAGE_BYTES / 4;

	open_disk(f);
	// The file becomes longer ahead of need: there is a place for what cannot be written.
	assert_int_equal(transfer(f, DISK_WRITE, 0, data, 512), 0);
	signal(SIGXFSZ, SIG_IGN);
	for (uint64_t at = 512; at < len; at += 512)
		for (setrlimit(RLIMIT_FSIZE, &limit); transfer(f, DISK_WRITE, at, data + at, 512);
		     setrlimit(RLIMIT_FSIZE, &limit)) {
			limit.rlim_cur += 300;
			assert_in_range(limit.rlim_cur, 0, 4 * len);
		}
	assert_int_equal(transfer(f, DISK_READ, 0, back, IMAGE_BYTES), 0);
	assert_memory_equal(back, data, len);
	for (uint64_t i = len; i < IMAGE_BYTES; i++)
		assert_int_equal(back[i], 0);
	limit.rlim_cur = RLIM_INFINITY;
	setrlimit(RLIMIT_FSIZE, &limit);
	close_disk(f);
	return 0;
}

static void test_space_comes_back(void **state)
{
	struct fixture *f = *state;

	make_image(f, (struct disk_image_options){ .cluster_bytes = 512 });
	assert_int_equal(in_child(f, write_at_moving_limit), 0);
	assert_clean(f);
}

// Not closed, and each entry of a long L1 table names the same L2 table: to look at them
// all takes for ever.
static void test_one_table_for_all(void **state)
{
	struct fixture *f = *state;
	struct disk_config config = { .path = f->path };
	const uint64_t l2 = AT_L1 + CLUSTER;

	make_image(f, (struct disk_image_options){ .size_bytes = 64 * GIB });
	for (unsigned i = 0; i < 128; i++)
		poke(f, AT_L1 + i * 8, 8, l2);
	assert_int_equal(truncate(f->path, l2 + CLUSTER), 0);
	poke(f, 72, 8, 1);
	assert_int_equal(disk_open(&f->disk, &config), -EFBIG);
	f->disk = NULL;
}

static void test_failed_create_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct disk_image_options options = {
		.path = f->path,
		.format = DISK_FORMAT_QCOW2,
		.size_bytes = 1ULL << 50,
		.cluster_bytes = 512,
		.replace = true,
	};
	uint8_t start[5];

	assert_int_equal(disk_image_create(&options), -EFBIG);
	read_file(f->path, 0, start, 5);
	assert_memory_equal(start, "start", 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DISK_TEST(test_bad_headers),
		DISK_TEST(test_named_feature),
		DISK_TEST(test_truncated),
		DISK_TEST(test_bad_entries),
		DISK_TEST(test_refcount_lies),
		DISK_TEST(test_bad_compression),
		DISK_TEST(test_model),
		DISK_TEST(test_snapshot),
		DISK_TEST(test_backing),
		DISK_TEST(test_side_by_side),
		DISK_TEST(test_dirty_while_open),
		DISK_TEST(test_discard_shrinks),
		DISK_TEST(test_no_space),
		DISK_TEST(test_no_space_is_told_seldom),
		DISK_TEST(test_space_comes_back),
		DISK_TEST(test_one_table_for_all),
		DISK_TEST(test_failed_create_leaves_nothing),
	};

	alarm(120); // a hang is a failure
	return cmocka_run_group_tests(tests, NULL, NULL);
}
