// SPDX-License-Identifier: GPL-2.0-or-later
// The memory balloon (virtio 1.2 5.5): memory that the guest does not need goes back to
// the host.
//
// It goes in two ways. The *balloon* takes what the host asks for: the driver names the
// pages that it gave up (inflate) or wants back (deflate). *Reporting* takes what is free
// anyhow: the driver names free ranges, which it does not touch until they were returned.
// Either way the host's pages are dropped, and a later access finds zeroes.
//
// The driver keeps one buffer with statistics in the device's hands; handing it back asks
// for new ones (5.5.6.3).

#include "balloon.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "iov.h"
#include "log.h"
#include "memory.h"
#include "metrics.h"
#include "virtio.h"

#define QUEUE_SIZE 128
#define PAGE_BYTES (4 * KIB) // the protocol's, whatever the guest's own is (5.5.6)
#define PFNS_AT_ONCE 256
// Drivers name 256 or 1024. Any of them may cost a call of the kernel's, and the main loop
// waits for all: a chain of descriptors that name all of RAM would hold it for hours.
#define PFNS_MAX 4096

// 5.5.2. A driver numbers the queues that it uses, and the one for hints is not offered:
// so that for reports is the fourth or the fifth.
enum { QUEUE_INFLATE, QUEUE_DEFLATE, QUEUE_STATS, QUEUE_REPORT, QUEUE_REPORT_TOO, QUEUE_COUNT };

// Feature bits (5.5.3).
#define BALLOON_F_STATS_VQ (1ULL << 1)
#define BALLOON_F_DEFLATE_ON_OOM (1ULL << 2)
#define BALLOON_F_PAGE_POISON (1ULL << 4)
#define BALLOON_F_PAGE_REPORTING (1ULL << 5)

// 5.5.4
struct balloon_config {
	uint32_t num_pages;
	uint32_t actual;
	uint32_t free_page_hint_cmd_id;
	uint32_t poison_val;
};

// 5.5.6.3; Linux knows more than the specification's first ten.
static const struct stat_kind {
	const char *name;
	enum metric_type type;
	enum metric_unit unit;
} stat_kinds[] = {
	{ "swap_in", METRIC_CUMULATIVE, METRIC_BYTES },
	{ "swap_out", METRIC_CUMULATIVE, METRIC_BYTES },
	{ "major_faults", METRIC_CUMULATIVE, METRIC_NONE },
	{ "minor_faults", METRIC_CUMULATIVE, METRIC_NONE },
	{ "free_memory", METRIC_INSTANT, METRIC_BYTES },
	{ "total_memory", METRIC_INSTANT, METRIC_BYTES },
	{ "available_memory", METRIC_INSTANT, METRIC_BYTES },
	{ "disk_caches", METRIC_INSTANT, METRIC_BYTES },
	{ "hugetlb_allocations", METRIC_CUMULATIVE, METRIC_NONE },
	{ "hugetlb_failures", METRIC_CUMULATIVE, METRIC_NONE },
};

struct stat_entry {
	uint16_t tag;
	uint64_t value;
} __attribute__((packed));

struct virtio_balloon {
	struct virtio_device vdev;
	struct balloon_events events;
	// Register side writes, both read.
	atomic_uint target_pages;
	atomic_uint actual_pages;
	atomic_uint poison;
	struct loop_post changed;
	// Queue side, which is the main thread's.
	bool active;
	uint64_t returned_bytes;
	bool has_stats_buffer;
	uint16_t stats_head;
	uint64_t stats[ARRAY_SIZE(stat_kinds)];
	uint32_t stats_known; // bit n: the driver told number n
};

static struct virtio_balloon *to_balloon(struct virtio_device *vdev)
{
	return container_of(vdev, struct virtio_balloon, vdev);
}

// -- pages that go --

// A range of neighbouring pages, dropped together.
struct page_run {
	uint64_t gpa;
	uint64_t bytes;
};

static void drop_run(struct virtio_balloon *balloon, struct page_run *run)
{
	if (run->bytes)
		balloon->returned_bytes +=
			memory_discard(balloon->vdev.memory, run->gpa, run->bytes);
	run->bytes = 0;
}

// The driver names pages upwards or downwards. False: it is not RAM.
static bool add_page(struct virtio_balloon *balloon, struct page_run *run, uint32_t pfn)
{
	uint64_t gpa = pfn * PAGE_BYTES;

	if (!memory_ptr(balloon->vdev.memory, gpa, PAGE_BYTES))
		return false;
	if (run->bytes && gpa == run->gpa + run->bytes) {
		run->bytes += PAGE_BYTES;
	} else if (run->bytes && gpa + PAGE_BYTES == run->gpa) {
		run->gpa = gpa;
		run->bytes += PAGE_BYTES;
	} else {
		drop_run(balloon, run);
		*run = (struct page_run){ .gpa = gpa, .bytes = PAGE_BYTES };
	}
	return true;
}

// Returns what is wrong with the list of pages, or NULL.
static const char *inflate(struct virtio_balloon *balloon, const struct virtqueue_chain *chain)
{
	struct page_run run = { 0 };
	uint32_t pfns[PFNS_AT_ONCE];
	uint64_t offset = 0;
	bool ok = chain->out_bytes % sizeof(pfns[0]) == 0;
	size_t got;

	if (chain->out_bytes > PFNS_MAX * sizeof(pfns[0]))
		return "it was given more than 4096 pages at once";

	while (ok && (got = iov_to_buf(chain->out, chain->out_count, offset, pfns, sizeof(pfns)))) {
		for (size_t i = 0; ok && i < got / sizeof(pfns[0]); i++)
			ok = add_page(balloon, &run, pfns[i]);
		offset += got;
	}
	drop_run(balloon, &run);
	return ok ? NULL : "it was given pages that are not the guest's memory";
}

// A range has the poison's pattern, not zeroes, when the driver takes it up again
// (5.5.6.6.2): then it stays as it is.
static bool may_drop_reports(struct virtio_balloon *balloon)
{
	return !virtio_has_feature(&balloon->vdev, BALLOON_F_PAGE_POISON) ||
	       !atomic_load(&balloon->poison);
}

static void drop_reported(struct virtio_balloon *balloon, const struct virtqueue_chain *chain)
{
	for (unsigned i = 0; may_drop_reports(balloon) && i < chain->in_count; i++) {
		struct page_run run = { chain->in_gpa[i], chain->in[i].iov_len };

		drop_run(balloon, &run);
	}
}

// -- statistics --

static void read_stats(struct virtio_balloon *balloon, const struct virtqueue_chain *chain)
{
	struct stat_entry entry;

	balloon->stats_known = 0;
	for (uint64_t offset = 0; offset + sizeof(entry) <= chain->out_bytes;
	     offset += sizeof(entry)) {
		// A driver has no use for more than it could tell of.
		if (offset >= 64 * sizeof(entry))
			break;
		iov_to_buf(chain->out, chain->out_count, offset, &entry, sizeof(entry));
		if (entry.tag >= ARRAY_SIZE(stat_kinds))
			continue;
		balloon->stats[entry.tag] = entry.value;
		balloon->stats_known |= 1u << entry.tag;
	}
}

// The buffer stays here until somebody wants new statistics.
static bool take_stats(struct virtio_balloon *balloon, const struct virtqueue_chain *chain)
{
	if (balloon->has_stats_buffer)
		return false;
	read_stats(balloon, chain);
	balloon->has_stats_buffer = true;
	balloon->stats_head = chain->head;
	if (balloon->events.told)
		balloon->events.told(balloon->events.opaque);
	return true;
}

bool balloon_refresh(struct virtio_device *vdev)
{
	struct virtio_balloon *balloon = to_balloon(vdev);
	struct virtqueue *vq = &vdev->queues[QUEUE_STATS];

	if (!balloon->has_stats_buffer || !virtio_may_use_queues(vdev))
		return false;
	balloon->has_stats_buffer = false;
	virtqueue_push(vq, balloon->stats_head, 0);
	virtio_signal(vdev, vq);
	return true;
}

// -- queue side --

static bool take_chain(struct virtio_device *vdev, unsigned queue, struct virtqueue_chain *chain)
{
	struct virtio_balloon *balloon = to_balloon(vdev);
	const char *why;

	if (queue == QUEUE_STATS) {
		if (take_stats(balloon, chain))
			return true;
		virtio_fail(vdev, "it was given statistics that it had not asked for");
		return false;
	}
	why = queue == QUEUE_INFLATE ? inflate(balloon, chain) : NULL;
	if (why) {
		virtio_fail(vdev, why);
		return false;
	}
	if (queue >= QUEUE_REPORT)
		drop_reported(balloon, chain);
	virtqueue_push(&vdev->queues[queue], chain->head, 0);
	return true;
}

static void balloon_notify(struct virtio_device *vdev, unsigned queue)
{
	virtio_take_chains(vdev, queue, take_chain);
	virtio_signal(vdev, &vdev->queues[queue]);
}

static void tell_changed(struct loop_post *post)
{
	struct virtio_balloon *balloon = container_of(post, struct virtio_balloon, changed);

	if (balloon->events.changed)
		balloon->events.changed(balloon->events.opaque);
}

static int balloon_activate(struct virtio_device *vdev)
{
	to_balloon(vdev)->active = true;
	loop_post(vdev->loop, &to_balloon(vdev)->changed);
	return 0;
}

static void balloon_reset(struct virtio_device *vdev)
{
	struct virtio_balloon *balloon = to_balloon(vdev);

	balloon->active = false;
	balloon->has_stats_buffer = false;
	balloon->stats_known = 0;
	atomic_store(&balloon->actual_pages, 0);
	atomic_store(&balloon->poison, 0);
	loop_post(vdev->loop, &balloon->changed);
}

// -- register side --

static uint64_t balloon_features(struct virtio_device *vdev)
{
	return BALLOON_F_STATS_VQ | BALLOON_F_DEFLATE_ON_OOM | BALLOON_F_PAGE_POISON |
	       BALLOON_F_PAGE_REPORTING;
}

static struct balloon_config read_config(struct virtio_balloon *balloon)
{
	return (struct balloon_config){
		.num_pages = atomic_load(&balloon->target_pages),
		.actual = atomic_load(&balloon->actual_pages),
		.poison_val = atomic_load(&balloon->poison),
	};
}

static void balloon_config_read(struct virtio_device *vdev, uint32_t offset, void *data,
				unsigned len)
{
	struct balloon_config config = read_config(to_balloon(vdev));

	memcpy(data, (const char *)&config + offset, len);
}

// The driver's are actual and poison_val (5.5.4).
static void balloon_config_write(struct virtio_device *vdev, uint32_t offset, const void *data,
				 unsigned len)
{
	struct virtio_balloon *balloon = to_balloon(vdev);
	struct balloon_config config = read_config(balloon);

	memcpy((char *)&config + offset, data, len);
	atomic_store(&balloon->actual_pages, config.actual);
	atomic_store(&balloon->poison, config.poison_val);
	loop_post(vdev->loop, &balloon->changed);
}

// -- the VM's side --

struct balloon_state balloon_state(struct virtio_device *vdev)
{
	struct virtio_balloon *balloon = to_balloon(vdev);

	return (struct balloon_state){
		.has_driver = balloon->active,
		.target_bytes = atomic_load(&balloon->target_pages) * PAGE_BYTES,
		.size_bytes = atomic_load(&balloon->actual_pages) * PAGE_BYTES,
		.returned_bytes = balloon->returned_bytes,
	};
}

int balloon_set_target(struct virtio_device *vdev, uint64_t bytes)
{
	if (bytes > memory_total_bytes(vdev->memory) || bytes / PAGE_BYTES > UINT32_MAX)
		return -EINVAL;
	atomic_store(&to_balloon(vdev)->target_pages, (unsigned)(bytes / PAGE_BYTES));
	virtio_config_changed(vdev);
	return 0;
}

static void balloon_metrics(struct virtio_device *vdev, struct metric_sink *sink)
{
	struct virtio_balloon *balloon = to_balloon(vdev);
	struct balloon_state state = balloon_state(vdev);

	metric_put(sink, vdev->name, "target", METRIC_INSTANT, METRIC_BYTES, state.target_bytes);
	metric_put(sink, vdev->name, "size", METRIC_INSTANT, METRIC_BYTES, state.size_bytes);
	metric_put(sink, vdev->name, "returned", METRIC_CUMULATIVE, METRIC_BYTES,
		   state.returned_bytes);
	for (unsigned i = 0; i < ARRAY_SIZE(stat_kinds); i++)
		if (balloon->stats_known >> i & 1)
			metric_put(sink, "guest", stat_kinds[i].name, stat_kinds[i].type,
				   stat_kinds[i].unit, balloon->stats[i]);
}

// -- life --

static void balloon_free(struct virtio_device *vdev)
{
	virtio_exit(vdev);
	loop_cancel_post(vdev->loop, &to_balloon(vdev)->changed);
	free(to_balloon(vdev));
}

static const struct virtio_ops balloon_ops = {
	.type = VIRTIO_TYPE_BALLOON,
	.name = "balloon",
	.queue_count = QUEUE_COUNT,
	.queue_size_max = QUEUE_SIZE,
	.features = balloon_features,
	.config_read = balloon_config_read,
	.config_write = balloon_config_write,
	.config_bytes = sizeof(struct balloon_config),
	.activate = balloon_activate,
	.reset = balloon_reset,
	.notify = balloon_notify,
	.metrics = balloon_metrics,
	.free = balloon_free,
};

int virtio_balloon_create(struct virtio_device **vdev, const char *name, struct memory *mem,
			  struct loop *main_loop, struct balloon_events events)
{
	struct virtio_setup setup = { .name = name, .memory = mem, .main_loop = main_loop };
	struct virtio_balloon *balloon = calloc(1, sizeof(*balloon));
	int ret;

	if (!balloon)
		return fail(ENOMEM, "%s", name);
	balloon->events = events;
	balloon->changed.call = tell_changed;
	ret = virtio_init(&balloon->vdev, &balloon_ops, &setup);
	if (ret) {
		free(balloon);
		return ret;
	}
	*vdev = &balloon->vdev;
	return 0;
}
