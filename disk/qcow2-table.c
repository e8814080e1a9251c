// SPDX-License-Identifier: GPL-2.0-or-later
// The tables of a qcow2 image in memory: a cache that is written through, and the set of
// clusters that are metadata.

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qcow2.h"

#define WRITE_UNIT 4096 // what the host writes anyway

// -- cache --

int qcow2_cache_init(struct qcow2_cache *cache, unsigned count, const char *what)
{
	cache->what = what;
	cache->tables = calloc(count, sizeof(*cache->tables));
	cache->count = cache->tables ? count : 0;
	return cache->tables ? 0 : -ENOMEM;
}

void qcow2_cache_exit(struct qcow2_cache *cache)
{
	for (unsigned i = 0; i < cache->count; i++)
		free(cache->tables[i].data);
	free(cache->tables);
	*cache = (struct qcow2_cache){ 0 };
}

static struct qcow2_table *place_of(const struct qcow2_cache *cache, uint64_t key)
{
	return &cache->tables[key % cache->count];
}

static int take_place(struct qcow2_image *image, struct qcow2_table *table)
{
	table->offset = 0;
	if (!table->data) // aligned, as direct I/O wants it
		table->data = aligned_alloc(WRITE_UNIT, align_up(image->cluster_bytes, WRITE_UNIT));
	return table->data ? 0 : -ENOMEM;
}

int qcow2_cache_get(struct qcow2_image *image, struct qcow2_cache *cache, uint64_t key,
		    uint64_t offset, uint8_t **data)
{
	struct qcow2_table *table = place_of(cache, key);
	uint64_t available = image->cluster_bytes;
	int ret = 0;

	if (unlikely(table->offset != offset)) {
		ret = take_place(image, table);
		// An image opened read-only may end within its last table.
		if (!ret && offset < image->file_bytes)
			available = MIN(available, image->file_bytes - offset);
		if (!ret)
			ret = raw_read(image->file, table->data, available, offset);
		if (ret)
			return ret;
		memset(table->data + available, 0, image->cluster_bytes - available);
		table->offset = offset;
	}
	*data = table->data;
	return 0;
}

int qcow2_cache_look_up(struct qcow2_image *image, struct qcow2_cache *cache, uint64_t key,
			uint64_t offset, uint8_t **data)
{
	unsigned long long number = key;
	int ret;

	*data = NULL;
	if (!offset)
		return 0;
	if (!qcow2_offset_ok(image, offset, image->cluster_bytes))
		return qcow2_corrupt(image, "%s %llu at %llu is not within the file", cache->what,
				     number, (unsigned long long)offset);
	ret = qcow2_cache_get(image, cache, key, offset, data);
	return ret ? qcow2_failed(image, -ret, "read %s %llu", cache->what, number) : 0;
}

int qcow2_cache_new(struct qcow2_image *image, struct qcow2_cache *cache, uint64_t key,
		    uint64_t offset, uint8_t **data)
{
	struct qcow2_table *table = place_of(cache, key);
	int ret = take_place(image, table);

	if (ret)
		return ret;
	memset(table->data, 0, image->cluster_bytes);
	table->offset = offset;
	*data = table->data;
	return 0;
}

void qcow2_cache_drop(struct qcow2_cache *cache, uint64_t key)
{
	place_of(cache, key)->offset = 0;
}

int qcow2_cache_write(struct qcow2_image *image, struct qcow2_cache *cache, uint64_t key,
		      size_t from, size_t to)
{
	struct qcow2_table *table = place_of(cache, key);
	size_t first = align_down(from, WRITE_UNIT);
	size_t end = MIN(align_up(to, WRITE_UNIT), image->cluster_bytes);
	int ret = raw_write(image->file, table->data + first, end - first, table->offset + first);

	// What the file has now nobody knows; we go by what it says.
	if (ret)
		table->offset = 0;
	return ret;
}

// -- set --

static uint64_t slot_of(const struct qcow2_set *set, uint64_t cluster)
{
	// Fibonacci hashing: the golden ratio in 64 bits.
	uint64_t slot = (cluster * 0x9e3779b97f4a7c15ULL) >> 20;

	while (slot &= set->capacity - 1, set->slots[slot] && set->slots[slot] != cluster + 1)
		slot++;
	return slot;
}

static int grow(struct qcow2_set *set)
{
	struct qcow2_set old = *set;

	set->capacity = MAX(old.capacity * 2, 64u);
	set->slots = calloc(set->capacity, sizeof(*set->slots));
	if (!set->slots) {
		*set = old;
		return -ENOMEM;
	}
	for (uint64_t i = 0; i < old.capacity; i++)
		if (old.slots[i])
			set->slots[slot_of(set, old.slots[i] - 1)] = old.slots[i];
	free(old.slots);
	return 0;
}

int qcow2_set_add(struct qcow2_set *set, uint64_t cluster)
{
	uint64_t slot;

	if (set->count * 4 >= set->capacity * 3) {
		int ret = grow(set);

		if (ret)
			return ret;
	}
	slot = slot_of(set, cluster);
	if (set->slots[slot])
		return -EEXIST;
	set->slots[slot] = cluster + 1;
	set->count++;
	return 0;
}

bool qcow2_set_has(const struct qcow2_set *set, uint64_t cluster)
{
	return set->capacity && set->slots[slot_of(set, cluster)];
}

// Those that stand behind it move up, so that no search ends at the gap.
void qcow2_set_remove(struct qcow2_set *set, uint64_t cluster)
{
	uint64_t slot;

	if (!qcow2_set_has(set, cluster))
		return;
	slot = slot_of(set, cluster);
	set->slots[slot] = 0;
	set->count--;
	while (slot = (slot + 1) & (set->capacity - 1), set->slots[slot]) {
		uint64_t moved = set->slots[slot];

		set->slots[slot] = 0;
		set->slots[slot_of(set, moved - 1)] = moved;
	}
}

void qcow2_set_exit(struct qcow2_set *set)
{
	free(set->slots);
	*set = (struct qcow2_set){ 0 };
}

// -- errors --

int qcow2_corrupt(struct qcow2_image *image, const char *fmt, ...)
{
	char text[200];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (log_ratelimit_ok(&image->limit))
		err("disk %s: qcow2: %s; kvik disk check %s tells more", image->path, text,
		    image->path);
	image->broken = true;
	return -EIO;
}

int qcow2_failed(struct qcow2_image *image, int errnum, const char *fmt, ...)
{
	char text[80];
	va_list args;

	if (!log_ratelimit_ok(&image->limit))
		return -errnum;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return fail(errnum, "disk %s: %s", image->path, text);
}
