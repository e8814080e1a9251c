// SPDX-License-Identifier: GPL-2.0-or-later
// The cache of decoded code pages.
//
// Theory of operation
//
// A code page has one slot for each halfword of a guest RAM page, empty until the
// instruction there is first executed. It is found by physical page, so all harts,
// address spaces and modes share it; it holds only what follows from the page's own
// bytes (a 32-bit instruction across its end is decoded each time).
//
// Writes. RISC-V lets a hart run stale code until it executes FENCE.I, so a write
// to a page with code only has to be *noticed*, and FENCE.I empties the pages
// noticed. Each RAM page has two flags:
//   FLAG_CODE      it has a code page;
//   FLAG_WRITABLE  some hart may hold it in a write TLB, so writes go unseen.
// Whoever sets one of them looks at the other afterwards, so of two harts that race
// at least one sees both. Setting FLAG_WRITABLE on a page with code marks the code
// stale. Making (or emptying) a code page of a page with FLAG_WRITABLE takes it out
// of the write TLBs: of the hart's own at once; of other harts by a fence that is
// not awaited, and the page counts as stale until every hart has done its fences: each
// FENCE.I till then empties it once more. Nothing is decoded from a page before all
// this is set up (page->lock). Devices report their writes by code_memory_written().
//
// Emptying zeroes the slots in place, under the page's lock, which decoding holds
// too: a hart that executes there finds an empty slot and decodes again. Hence a
// remote FENCE.I needs no interrupt to the other harts.
//
// Eviction. When all pages are taken, the oldest quarter is given up: unmapped and
// emptied, so that a hart there finds no instruction and looks the page up again;
// then every other hart is made to forget its fetch TLB, and only then are they used
// again.
//
// Locks: cache->lock is taken only by a parked hart (hart_park()), since its holder
// waits for others; page->lock is a leaf.
#include "code.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "decode.h"
#include "log.h"
#include "memory.h"
#include "metrics.h"
#include "mmu.h"

#define DEFAULT_CACHE_BYTES (20 * MIB)
#define DECODE_AHEAD 16 // instructions

#define FLAG_CODE 1
#define FLAG_WRITABLE 2

struct code_cache {
	struct soft_vm *vm;
	struct code_page *pages;
	unsigned page_count;
	unsigned next;       // the page to use or evict next
	unsigned free_count; // pages from next on that are free
	pthread_mutex_t lock;
	// By RAM page, from base_gpa on.
	uint64_t base_gpa;
	uint64_t ram_pages;
	_Atomic(struct code_page *) *by_ram_page;
	_Atomic uint8_t *flags;
	// A bit for each code page; stale_any is set after the bit.
	_Atomic uint64_t *stale;
	atomic_bool stale_any;
	pthread_mutex_t emptying_lock; // one FENCE.I at a time; its holder waits for nobody
	atomic_bool emptying;
	// For code_metrics(). Guarded, in this order, by lock and emptying_lock against other
	// writers.
	_Atomic uint64_t pages_made;
	_Atomic uint64_t pages_evicted;
	_Atomic uint64_t pages_emptied;
};

static void *map_zeroed(uint64_t size_bytes)
{
	void *p = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	// Sparse by design: a huge page would make all of it resident.
	madvise(p, size_bytes, MADV_NOHUGEPAGE);
	return p;
}

static void ram_span(const struct memory *mem, uint64_t *base, uint64_t *end)
{
	*base = UINT64_MAX;
	*end = 0;
	for (unsigned i = 0; i < mem->bank_count; i++) {
		const struct memory_bank *bank = &mem->banks[i];

		*base = MIN(*base, bank->base_gpa);
		*end = MAX(*end, bank->base_gpa + bank->size_bytes);
	}
}

static size_t stale_words(const struct code_cache *cache)
{
	return (cache->page_count + 63) / 64;
}

int code_create(struct soft_vm *vm, uint64_t cache_bytes)
{
	struct code_cache *cache = calloc(1, sizeof(*cache));
	uint64_t end;

	if (!cache)
		return -ENOMEM;
	vm->code = cache;
	cache->vm = vm;
	pthread_mutex_init(&cache->lock, NULL);
	pthread_mutex_init(&cache->emptying_lock, NULL);
	cache->page_count =
		MAX((cache_bytes ? cache_bytes : DEFAULT_CACHE_BYTES) / sizeof(struct code_page),
		    vm->hart_count + 3ULL);
	cache->free_count = cache->page_count;
	ram_span(vm->memory, &cache->base_gpa, &end);
	cache->ram_pages = (end - cache->base_gpa) >> PAGE_SHIFT;
	cache->pages = map_zeroed(cache->page_count * sizeof(struct code_page));
	cache->by_ram_page = map_zeroed(cache->ram_pages * sizeof(*cache->by_ram_page));
	cache->flags = map_zeroed(cache->ram_pages);
	cache->stale = calloc(stale_words(cache), sizeof(*cache->stale));
	if (!cache->pages || !cache->by_ram_page || !cache->flags || !cache->stale) {
		code_free(vm);
		return fail(ENOMEM, "software engine: %llu MiB for decoded code",
			    (unsigned long long)(cache_bytes / MIB));
	}
	vm->memory->written_opaque = vm;
	vm->memory->written = code_memory_written;
	return 0;
}

static void unmap(void *p, uint64_t size_bytes)
{
	if (p)
		munmap(p, size_bytes);
}

void code_free(struct soft_vm *vm)
{
	struct code_cache *cache = vm->code;

	if (!cache)
		return;
	vm->memory->written = NULL;
	unmap(cache->pages, cache->page_count * sizeof(struct code_page));
	unmap((void *)cache->by_ram_page, cache->ram_pages * sizeof(*cache->by_ram_page));
	unmap((void *)cache->flags, cache->ram_pages);
	free((void *)cache->stale);
	pthread_mutex_destroy(&cache->lock);
	pthread_mutex_destroy(&cache->emptying_lock);
	free(cache);
	vm->code = NULL;
}

static void mark_stale(struct code_cache *cache, struct code_page *page)
{
	size_t i = (size_t)(page - cache->pages);

	atomic_fetch_or(&cache->stale[i / 64], 1ULL << (i % 64));
	atomic_store(&cache->stale_any, true);
}

static void note_write(struct code_cache *cache, uint64_t ram_page)
{
	struct code_page *page = atomic_load(&cache->by_ram_page[ram_page]);

	if (page)
		mark_stale(cache, page);
}

void code_page_writable(struct soft_vm *vm, uint64_t gpa)
{
	struct code_cache *cache = vm->code;
	uint64_t ram_page = (gpa - cache->base_gpa) >> PAGE_SHIFT;
	uint8_t flags = atomic_load_explicit(&cache->flags[ram_page], memory_order_relaxed);

	if (!(flags & FLAG_WRITABLE))
		flags = atomic_fetch_or(&cache->flags[ram_page], FLAG_WRITABLE);
	if (flags & FLAG_CODE)
		note_write(cache, ram_page);
}

void code_memory_written(void *opaque, uint64_t gpa, uint64_t len)
{
	struct soft_vm *vm = opaque;
	struct code_cache *cache = vm->code;
	uint64_t first = (gpa - cache->base_gpa) >> PAGE_SHIFT;
	uint64_t last = (gpa + (len ? len - 1 : 0) - cache->base_gpa) >> PAGE_SHIFT;

	for (uint64_t i = first; i <= last && i < cache->ram_pages; i++)
		if (atomic_load(&cache->flags[i]) & FLAG_CODE)
			note_write(cache, i);
}

// Has no write TLB hold the page unnoticed from now on; see "Writes" above.
static void forbid_writes(struct hart *h, struct code_page *page)
{
	struct code_cache *cache = h->vm->code;
	struct fence fence = { .kind = FENCE_DROP_WRITES, .start = (uintptr_t)page->host };

	if (!(atomic_fetch_and(&cache->flags[page->page_index], (uint8_t)~FLAG_WRITABLE) &
	      FLAG_WRITABLE))
		return;
	mmu_drop_writes(h, page->host);
	if (h->vm->hart_count == 1)
		return;
	mark_stale(cache, page);
	for (unsigned i = 0; i < h->vm->hart_count; i++)
		if (h->vm->harts[i] != h)
			hart_post_fence(h->vm->harts[i], &fence);
}

static void clear_slots(struct code_page *page)
{
	for (unsigned i = page->low; i < page->high; i++)
		__atomic_store_n(&page->slots[i], 0, __ATOMIC_RELAXED);
	page->low = SLOTS_PER_PAGE;
	page->high = 0;
}

static bool all_fences_are_done(const struct soft_vm *vm)
{
	for (unsigned i = 0; i < vm->hart_count; i++)
		if (hart_has_fences(vm->harts[i]))
			return false;
	return true;
}

static void empty_page(struct hart *h, struct code_page *page)
{
	pthread_mutex_lock(&page->lock);
	if (page->in_use) {
		// A hart that has yet to drop the page may write after this.
		if (!all_fences_are_done(h->vm))
			mark_stale(h->vm->code, page);
		clear_slots(page);
		forbid_writes(h, page);
		soft_add(&h->vm->code->pages_emptied, 1);
	}
	pthread_mutex_unlock(&page->lock);
}

static void empty_stale_pages(struct hart *h)
{
	struct code_cache *cache = h->vm->code;

	for (size_t i = 0; i < stale_words(cache); i++) {
		uint64_t word = atomic_exchange(&cache->stale[i], 0);

		for (; word; word &= word - 1)
			empty_page(h, &cache->pages[i * 64 + (size_t)__builtin_ctzll(word)]);
	}
}

void code_fence_i(struct hart *h)
{
	struct code_cache *cache = h->vm->code;

	hart_count(h, SOFT_FENCE_I);
	// Looked at in this order, so that none slips past another one's unfinished work.
	if (!atomic_load(&cache->stale_any) && !atomic_load(&cache->emptying))
		return;
	pthread_mutex_lock(&cache->emptying_lock);
	atomic_store(&cache->emptying, true);
	if (atomic_exchange(&cache->stale_any, false))
		empty_stale_pages(h);
	atomic_store(&cache->emptying, false);
	pthread_mutex_unlock(&cache->emptying_lock);
}

// -- making and evicting pages: the caller is parked and holds cache->lock --

static void release_page(struct code_cache *cache, struct code_page *page)
{
	pthread_mutex_lock(&page->lock);
	if (page->in_use) {
		clear_slots(page);
		atomic_store(&cache->by_ram_page[page->page_index], NULL);
		atomic_fetch_and(&cache->flags[page->page_index], (uint8_t)~FLAG_CODE);
		page->in_use = false;
	}
	pthread_mutex_unlock(&page->lock);
}

static void evict(struct hart *h)
{
	struct code_cache *cache = h->vm->code;
	struct fence fence = { .kind = FENCE_FETCH };
	unsigned count = MAX(cache->page_count / 4, 1u);

	for (unsigned i = 0; i < count; i++)
		release_page(cache, &cache->pages[(cache->next + i) % cache->page_count]);
	mmu_flush_fetch(h);
	for (unsigned i = 0; i < h->vm->hart_count; i++) {
		struct hart *other = h->vm->harts[i];

		if (other != h)
			hart_await_fence(other, hart_post_fence(other, &fence));
	}
	cache->free_count = count;
	soft_add(&cache->pages_evicted, count);
}

static struct code_page *take_page(struct hart *h)
{
	struct code_cache *cache = h->vm->code;
	struct code_page *page;

	if (!cache->free_count)
		evict(h);
	page = &cache->pages[cache->next];
	cache->next = (cache->next + 1) % cache->page_count;
	cache->free_count--;
	return page;
}

static void init_page(struct code_page *page, const uint8_t *host, uint64_t ram_page)
{
	page->host = host;
	page->page_index = ram_page;
	clear_slots(page);
	page->slots[SLOTS_PER_PAGE] = slot_make(OP_next_page, 0, 0, 0);
	page->slots[SLOTS_PER_PAGE + 1] = slot_make(OP_next_page, 0, 0, 0);
	page->in_use = true;
}

static void make_page(struct hart *h, const uint8_t *host, uint64_t ram_page)
{
	struct code_cache *cache = h->vm->code;
	struct code_page *page;

	if (atomic_load(&cache->by_ram_page[ram_page])) // another hart was quicker
		return;
	page = take_page(h);
	if (!page->host)
		pthread_mutex_init(&page->lock, NULL);
	// Others find the page at once, but decode nothing until writes are noticed.
	pthread_mutex_lock(&page->lock);
	init_page(page, host, ram_page);
	soft_add(&cache->pages_made, 1);
	atomic_store(&cache->by_ram_page[ram_page], page);
	atomic_fetch_or(&cache->flags[ram_page], FLAG_CODE);
	forbid_writes(h, page);
	pthread_mutex_unlock(&page->lock);
}

int code_page_get(struct hart *h, uint64_t gpa, struct code_page **page)
{
	struct code_cache *cache = h->vm->code;
	uint64_t ram_page = (gpa - cache->base_gpa) >> PAGE_SHIFT;
	const uint8_t *host = memory_ptr(h->vm->memory, gpa & PAGE_MASK, PAGE_BYTES);

	if (!host)
		return -EFAULT;
	*page = atomic_load_explicit(&cache->by_ram_page[ram_page], memory_order_acquire);
	if (*page)
		return 0;
	hart_park(h);
	pthread_mutex_lock(&cache->lock);
	make_page(h, host, ram_page);
	pthread_mutex_unlock(&cache->lock);
	hart_unpark(h);
	return -EAGAIN;
}

void code_reset(struct soft_vm *vm)
{
	struct code_cache *cache = vm->code;

	for (unsigned i = 0; i < cache->page_count; i++)
		if (cache->pages[i].host)
			release_page(cache, &cache->pages[i]);
	for (uint64_t i = 0; i < cache->ram_pages; i++)
		if (atomic_load_explicit(&cache->flags[i], memory_order_relaxed))
			atomic_store(&cache->flags[i], 0);
	cache->free_count = cache->page_count;
}

void code_metrics(const struct soft_vm *vm, struct metric_sink *sink)
{
	const struct code_cache *cache = vm->code;
	const struct {
		const char *name;
		uint64_t value;
	} counts[] = {
		{ "code_pages_made", atomic_load(&cache->pages_made) },
		{ "code_pages_evicted", atomic_load(&cache->pages_evicted) },
		{ "code_pages_emptied", atomic_load(&cache->pages_emptied) },
	};

	metric_put(sink, "vm", "code_cache_size", METRIC_INSTANT, METRIC_BYTES,
		   cache->page_count * sizeof(struct code_page));
	for (unsigned i = 0; i < ARRAY_SIZE(counts); i++)
		metric_put(sink, "vm", counts[i].name, METRIC_CUMULATIVE, METRIC_NONE,
			   counts[i].value);
}

// -- decoding --

static uint16_t fetch16(const uint8_t *host, unsigned offset)
{
	return __atomic_load_n((const uint16_t *)(host + offset), __ATOMIC_RELAXED);
}

// Decodes the instruction at byte @offset; returns its length.
static unsigned decode_one(struct code_page *page, unsigned offset, slot_t *slot)
{
	uint16_t low = fetch16(page->host, offset);

	if (insn_is_compressed(low)) {
		*slot = decode_insn(low, offset);
		return 2;
	}
	if (offset == PAGE_BYTES - 2)
		*slot = slot_make(OP_straddle, 0, 0, low);
	else
		*slot = decode_insn(low | (uint32_t)fetch16(page->host, offset + 2) << 16, offset);
	return 4;
}

// Returns how many instructions it decoded.
static unsigned decode_from(struct code_page *page, unsigned i)
{
	unsigned n = 0;

	page->low = MIN(page->low, (uint16_t)i);
	for (; n < DECODE_AHEAD && i < SLOTS_PER_PAGE && !page->slots[i]; n++) {
		slot_t slot;
		unsigned length = decode_one(page, i * 2, &slot);

		__atomic_store_n(&page->slots[i], slot, __ATOMIC_RELAXED);
		page->high = MAX(page->high, (uint16_t)(i + 1));
		i += length / 2;
		if (decode_is_jump(slot))
			return n + 1;
	}
	return n;
}

bool code_decode(struct hart *h, const slot_t *s)
{
	struct code_page *page =
		(struct code_page *)((uintptr_t)h->page_slots - offsetof(struct code_page, slots));
	unsigned decoded = 0;
	bool in_use;

	pthread_mutex_lock(&page->lock);
	in_use = page->in_use;
	if (in_use)
		decoded = decode_from(page, (unsigned)(s - page->slots));
	pthread_mutex_unlock(&page->lock);
	soft_add(&h->counters.counts[SOFT_DECODED], decoded);
	return in_use;
}
