// SPDX-License-Identifier: GPL-2.0-or-later
// KVM's binary statistics: read from a file that looks like KVM's, and from bad ones.

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kvm-host.h"
#include "metrics.h"
#include "vcpu.h"

#include <cmocka.h>

#define NAME_BYTES 48
#define DESC_BYTES (sizeof(struct kvm_stats_desc) + NAME_BYTES)
#define DESCS_AT 0x40
#define DATA_AT 0x200

// What KVM would have written: two numbers and a histogram, with a hole between them.
struct file {
	struct kvm_stats_header header;
	uint64_t descs[3][DESC_BYTES / sizeof(uint64_t)]; // with their names
	uint64_t data[8];
};

static struct kvm_stats_desc *desc_of(struct file *file, unsigned index)
{
	return (struct kvm_stats_desc *)file->descs[index];
}

static void describe(struct file *file, unsigned index, struct kvm_stats_desc desc,
		     const char *name)
{
	memcpy(file->descs[index], &desc, sizeof(desc));
	memcpy(desc_of(file, index)->name, name, strlen(name));
}

static struct file plain_file(void)
{
	struct file file = {
		.header = {
			.name_size = NAME_BYTES,
			.num_desc = 3,
			.desc_offset = DESCS_AT,
			.data_offset = DATA_AT,
		},
		.data = { 7, 0, 8, 9, 10, 11 },
	};

	describe(&file, 0, (struct kvm_stats_desc){ .size = 1, .offset = 0 }, "exits");
	describe(&file, 1,
		 (struct kvm_stats_desc){
			 .flags = KVM_STATS_TYPE_INSTANT | KVM_STATS_UNIT_SECONDS |
				  KVM_STATS_BASE_POW10,
			 .exponent = -9,
			 .size = 1,
			 .offset = 16,
		 },
		 "ns");
	describe(&file, 2,
		 (struct kvm_stats_desc){
			 .flags = KVM_STATS_TYPE_LINEAR_HIST,
			 .size = 3,
			 .offset = 24,
			 .bucket_size = 4,
		 },
		 "hist");
	return file;
}

struct collector {
	struct metric_sink sink;
	unsigned count;
	char names[8][NAME_BYTES + 1];
	struct metric metrics[8];
	uint64_t sums[8];
};

static void collect(struct metric_sink *sink, const struct metric *metric)
{
	struct collector *collector = container_of(sink, struct collector, sink);
	unsigned index = collector->count++;

	assert_true(index < ARRAY_SIZE(collector->metrics));
	assert_string_equal(metric->source, "vcpu0");
	collector->metrics[index] = *metric;
	snprintf(collector->names[index], sizeof(collector->names[0]), "%s", metric->name);
	for (unsigned i = 0; i < metric->count; i++)
		collector->sums[index] += metric->values[i];
}

static int write_file(const struct file *file)
{
	int fd = memfd_create("stats", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, &file->header, sizeof(file->header), 0), sizeof(file->header));
	assert_int_equal(pwrite(fd, file->descs, sizeof(file->descs), DESCS_AT),
			 sizeof(file->descs));
	assert_int_equal(pwrite(fd, file->data, sizeof(file->data), DATA_AT), sizeof(file->data));
	return fd;
}

// Of a VM whose own statistics cannot be had, and its one vCPU.
static struct collector read_file(const struct file *file)
{
	struct kvm_vm kvm_vm = { .fd = -1 };
	struct kvm_vcpu kvm_vcpu = { .stats_fd = write_file(file) };
	struct vcpu vcpu = { .priv = &kvm_vcpu };
	struct vcpu_set vcpus = { .vcpus = &vcpu, .count = 1 };
	struct accel accel = { .priv = &kvm_vm, .vcpus = &vcpus };
	struct collector collector = { .sink.put = collect };

	kvm_metrics(&accel, &collector.sink);
	close(kvm_vcpu.stats_fd);
	return collector;
}

static void test_each_number(void **state)
{
	struct file file = plain_file();
	struct collector seen = read_file(&file);

	assert_int_equal(seen.count, 3);
	assert_string_equal(seen.names[0], "exits");
	assert_int_equal(seen.metrics[0].type, METRIC_CUMULATIVE);
	assert_int_equal(seen.sums[0], 7);
	assert_string_equal(seen.names[1], "ns");
	assert_int_equal(seen.metrics[1].unit, METRIC_SECONDS);
	assert_int_equal(seen.metrics[1].exponent, -9);
	assert_int_equal(seen.sums[1], 8);
	assert_string_equal(seen.names[2], "hist");
	assert_int_equal(seen.metrics[2].count, 3);
	assert_int_equal(seen.metrics[2].bucket_size, 4);
	assert_int_equal(seen.sums[2], 9 + 10 + 11);
}

static void test_types_of_a_newer_kernel(void **state)
{
	struct file file = plain_file();

	desc_of(&file, 0)->flags = 0xf << KVM_STATS_TYPE_SHIFT;
	desc_of(&file, 1)->flags = 0xf << KVM_STATS_UNIT_SHIFT;
	assert_int_equal(read_file(&file).count, 1);
	desc_of(&file, 2)->size = 0;
	assert_int_equal(read_file(&file).count, 0);
}

static void test_a_name_without_an_end(void **state)
{
	struct file file = plain_file();
	struct collector seen;

	memset(desc_of(&file, 0)->name, 'a', NAME_BYTES);
	seen = read_file(&file);
	assert_int_equal(strlen(seen.names[0]), NAME_BYTES - 1);
}

// Nothing is told of a file that cannot be KVM's.
static void test_nonsense(void **state)
{
	struct file file = plain_file();

	desc_of(&file, 2)->offset = UINT32_MAX;
	assert_int_equal(read_file(&file).count, 0);
	file = plain_file();
	desc_of(&file, 2)->offset = sizeof(file.data);
	assert_int_equal(read_file(&file).count, 0);
	file = plain_file();
	file.header.num_desc = UINT32_MAX;
	assert_int_equal(read_file(&file).count, 0);
	file = plain_file();
	file.header.num_desc = 0;
	assert_int_equal(read_file(&file).count, 0);
	file = plain_file();
	file.header.name_size = 0;
	assert_int_equal(read_file(&file).count, 0);
	file = plain_file();
	file.header.name_size = NAME_BYTES + 1;
	assert_int_equal(read_file(&file).count, 0);
	file = plain_file();
	file.header.desc_offset = UINT32_MAX;
	assert_int_equal(read_file(&file).count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_number),
		cmocka_unit_test(test_types_of_a_newer_kernel),
		cmocka_unit_test(test_a_name_without_an_end),
		cmocka_unit_test(test_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
