// SPDX-License-Identifier: GPL-2.0-or-later
// The cache of decoded code pages, shared by all harts.
//
// Theory of operation stands at the head of code.c.
#ifndef KVIK_SOFT_CODE_H
#define KVIK_SOFT_CODE_H

#include <stdbool.h>
#include <stdint.h>

#include "hart.h"

#define SLOTS_PER_PAGE 2048
#define CODE_PAGE_SLOTS (SLOTS_PER_PAGE + 2) // and two that lead to the next page

struct code_page {
	pthread_mutex_t lock; // decoding against dropping
	const uint8_t *host;  // the guest's page
	uint64_t page_index;  // of guest RAM
	bool in_use;
	uint16_t low, high; // decoded slots lie in [low, high)
	slot_t slots[CODE_PAGE_SLOTS] __attribute__((aligned(64)));
};

int code_create(struct soft_vm *vm, uint64_t cache_bytes);
void code_free(struct soft_vm *vm);

// The decoded page of the RAM page at @gpa. -EFAULT when that is not RAM; -EAGAIN
// after it had to be made: the hart was parked meanwhile and has done fences, so
// what it knew of translations is void. Own thread.
int code_page_get(struct hart *h, uint64_t gpa, struct code_page **page);
// Decodes the instruction at slot @s (and some that follow) of the page that @h
// executes. False: that page has been evicted, look it up again.
bool code_decode(struct hart *h, const slot_t *s);
// FENCE.I: forgets what was decoded from pages written since. For all harts.
void code_fence_i(struct hart *h);
// What the cache counts. Any thread.
void code_metrics(const struct soft_vm *vm, struct metric_sink *sink);
// Forgets everything. vCPUs stopped.
void code_reset(struct soft_vm *vm);

// Before a writable mapping of the RAM page at @gpa enters a TLB.
void code_page_writable(struct soft_vm *vm, uint64_t gpa);
// memory.written: the host wrote to RAM. Any thread.
void code_memory_written(void *opaque, uint64_t gpa, uint64_t len);

#endif
