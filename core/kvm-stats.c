// SPDX-License-Identifier: GPL-2.0-or-later
// KVM's binary statistics as metrics (Linux's Documentation/virt/kvm/api.rst, 4.133).
//
// KVM describes its numbers itself: a header, a descriptor for each with its name, and the
// values. So nothing of them is known here but the types and units.

#include <assert.h>
#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kvm-host.h"
#include "metrics.h"
#include "vcpu.h"

// What no sane kernel exceeds.
#define DESCRIPTORS_MAX 1024
#define NAME_BYTES_MAX 256
#define VALUES_MAX 256

struct stats_file {
	int fd;
	const char *source;
	struct kvm_stats_header header;
	size_t desc_bytes; // name included
};

static_assert((KVM_STATS_TYPE_LOG_HIST >> KVM_STATS_TYPE_SHIFT) == METRIC_LOG,
	      "the types are KVM's");
static_assert((KVM_STATS_UNIT_SECONDS >> KVM_STATS_UNIT_SHIFT) == METRIC_SECONDS,
	      "the units are KVM's");

static bool read_at(int fd, void *data, size_t len, off_t offset)
{
	return pread(fd, data, len, offset) == (ssize_t)len;
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

	// Of a newer kernel's types and units nothing can be said.
	if (metric.type >= METRIC_TYPE_COUNT || metric.unit >= METRIC_UNIT_COUNT || !desc->size ||
	    desc->size > VALUES_MAX)
		return;
	if (read_at(file->fd, values, desc->size * sizeof(values[0]),
		    file->header.data_offset + desc->offset))
		sink->put(sink, &metric);
}

static void put_all(struct metric_sink *sink, const struct stats_file *file)
{
	struct kvm_stats_desc *desc = calloc(1, file->desc_bytes + 1);

	for (unsigned i = 0; desc && i < file->header.num_desc; i++) {
		off_t offset = file->header.desc_offset + (off_t)(i * file->desc_bytes);

		if (!read_at(file->fd, desc, file->desc_bytes, offset))
			break;
		put_values(sink, file, desc);
	}
	free(desc);
}

static void put_file(struct metric_sink *sink, int fd, const char *source)
{
	struct stats_file file = { .fd = fd, .source = source };

	if (!read_at(fd, &file.header, sizeof(file.header), 0) ||
	    file.header.num_desc > DESCRIPTORS_MAX || file.header.name_size > NAME_BYTES_MAX)
		return;
	file.desc_bytes = sizeof(struct kvm_stats_desc) + file.header.name_size;
	put_all(sink, &file);
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
