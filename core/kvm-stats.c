// SPDX-License-Identifier: GPL-2.0-or-later
// KVM's binary statistics as metrics (Linux's Documentation/virt/kvm/api.rst, 4.133).
//
// KVM describes its numbers itself: a header, a descriptor for each with its name, and the
// values. So nothing of them is known here but the types and units.

#include <assert.h>
#include <errno.h>
#include <linux/kvm.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kvm-host.h"
#include "metrics.h"
#include "vcpu.h"

// What no sane kernel exceeds.
#define DESCRIPTORS_MAX 1024
#define NAME_BYTES_MAX 256
#define VALUES_MAX 256
#define DATA_BYTES_MAX (1 * MIB)

struct stats_file {
	int fd;
	const char *source;
	struct kvm_stats_header header;
	size_t desc_bytes; // name included
	uint8_t *descs;
	uint8_t *data;
	size_t data_bytes;
};

static_assert((KVM_STATS_TYPE_LOG_HIST >> KVM_STATS_TYPE_SHIFT) == METRIC_LOG,
	      "the types are KVM's");
static_assert((KVM_STATS_UNIT_SECONDS >> KVM_STATS_UNIT_SHIFT) == METRIC_SECONDS,
	      "the units are KVM's");

static bool read_at(int fd, void *data, size_t len, off_t offset)
{
	return pread(fd, data, len, offset) == (ssize_t)len;
}

static const struct kvm_stats_desc *desc_at(const struct stats_file *file, unsigned index)
{
	return (const void *)(file->descs + index * file->desc_bytes);
}

static size_t end_of_values(const struct kvm_stats_desc *desc)
{
	return desc->offset + desc->size * sizeof(uint64_t);
}

// Of a newer kernel's types and units nothing can be said.
static bool is_known(const struct metric *metric)
{
	return metric->type < METRIC_TYPE_COUNT && metric->unit < METRIC_UNIT_COUNT &&
	       metric->count && metric->count <= VALUES_MAX;
}

static void put_values(struct metric_sink *sink, const struct stats_file *file,
		       const struct kvm_stats_desc *desc)
{
	uint64_t values[VALUES_MAX];
	struct metric metric = {
		.source = file->source,
		.name = desc->name,
		.type = (desc->flags & KVM_STATS_TYPE_MASK) >> KVM_STATS_TYPE_SHIFT,
		.unit = (desc->flags & KVM_STATS_UNIT_MASK) >> KVM_STATS_UNIT_SHIFT,
		.exponent = desc->exponent,
		.binary = (desc->flags & KVM_STATS_BASE_MASK) == KVM_STATS_BASE_POW2,
		.bucket_size = desc->bucket_size,
		.values = values,
		.count = desc->size,
	};

	if (!is_known(&metric) || end_of_values(desc) > file->data_bytes)
		return;
	memcpy(values, file->data + desc->offset, desc->size * sizeof(values[0]));
	sink->put(sink, &metric);
}

// All at once: a call for each number would take longer than the rest of `kvik stat`.
static bool read_descs(struct stats_file *file)
{
	size_t bytes = file->header.num_desc * file->desc_bytes;

	file->descs = malloc(bytes);
	if (!file->descs || !read_at(file->fd, file->descs, bytes, file->header.desc_offset))
		return false;
	for (unsigned i = 0; i < file->header.num_desc; i++) {
		// The last byte of a name.
		file->descs[(i + 1) * file->desc_bytes - 1] = '\0';
		file->data_bytes = MAX(file->data_bytes, end_of_values(desc_at(file, i)));
	}
	return file->data_bytes <= DATA_BYTES_MAX;
}

static bool read_data(struct stats_file *file)
{
	file->data = malloc(file->data_bytes);
	return file->data &&
	       read_at(file->fd, file->data, file->data_bytes, file->header.data_offset);
}

static void put_file(struct metric_sink *sink, int fd, const char *source)
{
	struct stats_file file = { .fd = fd, .source = source };

	if (!read_at(fd, &file.header, sizeof(file.header), 0) || !file.header.num_desc ||
	    file.header.num_desc > DESCRIPTORS_MAX || !file.header.name_size ||
	    file.header.name_size > NAME_BYTES_MAX ||
	    file.header.name_size % alignof(struct kvm_stats_desc))
		return;
	file.desc_bytes = sizeof(struct kvm_stats_desc) + file.header.name_size;
	if (read_descs(&file) && read_data(&file))
		for (unsigned i = 0; i < file.header.num_desc; i++)
			put_values(sink, &file, desc_at(&file, i));
	free(file.descs);
	free(file.data);
}

// A kernel before 5.14 has no such file.
int kvm_stats_open(int fd)
{
	return ioctl(fd, KVM_GET_STATS_FD, NULL);
}

void kvm_metrics(struct accel *accel, struct metric_sink *sink)
{
	int fd = kvm_stats_open(kvm_vm(accel)->fd);

	if (fd >= 0) {
		put_file(sink, fd, "vm");
		close(fd);
	}
	for (unsigned i = 0; i < accel->vcpus->count; i++) {
		char source[24];

		snprintf(source, sizeof(source), "vcpu%u", i);
		put_file(sink, kvm_vcpu(&accel->vcpus->vcpus[i])->stats_fd, source);
	}
}
