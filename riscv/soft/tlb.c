// SPDX-License-Identifier: GPL-2.0-or-later
// Software TLBs, banked by address space and mode.
//
// Theory of operation
//
// Generated and interpreted code looks only at three arrays: the read, write and
// fetch TLB of the present mode, each entry a page's tag and what to add to reach
// it. A change of mode, of sstatus.SUM or of satp therefore flushes nothing: it
// points the hart at other arrays (mmu_select). A user page never enters the array
// of S mode without SUM, so privilege needs no check on the fast path.
//
//            U mode                S, SUM = 1           S, SUM = 0
//   ASID a   spaces[i].user_*      spaces[i].sum_*      super_* (shared)
//   Bare     bare.user_*           bare.sum_*           bare.sum_*
//
// S mode's fetch TLB is super_fetch whatever SUM says. Up to TLB_SPACES ASIDs have
// arrays at a time; the least recently used ones are given up.
//
// In front of these stands the near TLB of each mode (struct near_tlb): copies of
// entries, by the base register of the access. All of it goes with every flush.
//
// Flushing an array costs what was filled since the last flush: up to
// TLB_FILL_LIST indices are remembered, beyond that the array is cleared whole. A
// flush by address drops one entry, unless the array holds entries that come from a
// superpage in that GiB (or from one larger than a GiB, anywhere): one leaf PTE is
// behind many entries then, and all go.
#include "tlb.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "log.h"

static void tlb_flush(struct tlb *tlb)
{
	if (tlb->fill_count <= TLB_FILL_LIST) {
		for (unsigned i = 0; i < tlb->fill_count; i++)
			tlb->entries[tlb->filled[i]].tag = TLB_INVALID;
	} else {
		for (unsigned i = 0; i < TLB_ENTRIES; i++)
			tlb->entries[i].tag = TLB_INVALID;
	}
	tlb->fill_count = 0;
	tlb->superpages = 0;
}

static void near_flush(struct hart *h)
{
	for (unsigned mode = 0; mode < ARRAY_SIZE(h->near); mode++)
		for (unsigned i = 0; i < 32; i++)
			h->near[mode].read[i].tag = h->near[mode].write[i].tag = TLB_INVALID;
}

static uint64_t superpage_bit(uint64_t va)
{
	return 1ULL << (va >> 30 & 63);
}

// The GiBs that a leaf of @level reaches into, of which @va is in one.
static uint64_t superpage_bits(uint64_t va, unsigned level)
{
	if (level == 0)
		return 0;
	return level <= 2 ? superpage_bit(va) : UINT64_MAX;
}

static void tlb_flush_page(struct tlb *tlb, uint64_t va)
{
	struct tlb_entry *entry = &tlb->entries[tlb_index(va)];

	if (tlb->superpages & superpage_bit(va))
		tlb_flush(tlb);
	else if (entry->tag == (va & PAGE_MASK))
		entry->tag = TLB_INVALID;
}

static void tlb_init(struct tlb *tlb)
{
	tlb->fill_count = TLB_FILL_LIST + 1;
	tlb_flush(tlb);
}

static void space_init(struct tlb_space *space)
{
	tlb_init(&space->user_read);
	tlb_init(&space->user_write);
	tlb_init(&space->user_fetch);
	tlb_init(&space->sum_read);
	tlb_init(&space->sum_write);
}

static void space_flush(struct tlb_space *space)
{
	tlb_flush(&space->user_read);
	tlb_flush(&space->user_write);
	tlb_flush(&space->user_fetch);
	tlb_flush(&space->sum_read);
	tlb_flush(&space->sum_write);
}

static void space_flush_page(struct tlb_space *space, uint64_t va)
{
	tlb_flush_page(&space->user_read, va);
	tlb_flush_page(&space->user_write, va);
	tlb_flush_page(&space->user_fetch, va);
	tlb_flush_page(&space->sum_read, va);
	tlb_flush_page(&space->sum_write, va);
}

static void super_flush(struct tlbs *tlbs)
{
	tlb_flush(&tlbs->super_read);
	tlb_flush(&tlbs->super_write);
	tlb_flush(&tlbs->super_fetch);
	tlbs->super_local = false;
}

static void super_flush_page(struct tlbs *tlbs, uint64_t va)
{
	tlb_flush_page(&tlbs->super_read, va);
	tlb_flush_page(&tlbs->super_write, va);
	tlb_flush_page(&tlbs->super_fetch, va);
}

int mmu_create(struct hart *h)
{
	struct tlbs *tlbs = mmap(NULL, sizeof(*tlbs), PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (tlbs == MAP_FAILED)
		return fail(errno, "software engine: memory for the TLBs of hart %u", h->index);
	// Address spaces are initialised when first used: most harts need few.
	madvise(tlbs, sizeof(*tlbs), MADV_NOHUGEPAGE);
	space_init(&tlbs->bare);
	tlb_init(&tlbs->super_read);
	tlb_init(&tlbs->super_write);
	tlb_init(&tlbs->super_fetch);
	h->tlbs = tlbs;
	return 0;
}

void mmu_free(struct hart *h)
{
	if (h->tlbs)
		munmap(h->tlbs, sizeof(*h->tlbs));
	h->tlbs = NULL;
}

static struct tlb_space *claim_space(struct tlbs *tlbs, uint16_t asid)
{
	struct tlb_space *oldest = &tlbs->spaces[0];

	for (unsigned i = 0; i < TLB_SPACES; i++) {
		struct tlb_space *space = &tlbs->spaces[i];

		if (space->used && space->asid == asid)
			return space;
		if (space->last_use < oldest->last_use)
			oldest = space;
	}
	if (oldest->last_use)
		space_flush(oldest);
	else
		space_init(oldest);
	oldest->used = true;
	oldest->asid = asid;
	return oldest;
}

static bool is_bare(const struct hart *h)
{
	return h->satp >> 60 == 0;
}

static uint16_t satp_asid(const struct hart *h)
{
	return (uint16_t)(h->satp >> 44);
}

static struct tlb_space *current_space(struct hart *h)
{
	return is_bare(h) ? &h->tlbs->bare : h->space;
}

// The arrays of the hart's present mode, sstatus and satp, by enum mmu_access.
struct tlb_set {
	struct tlb *by_access[3];
};

static struct tlb_set current_tlbs(struct hart *h)
{
	struct tlbs *tlbs = h->tlbs;
	struct tlb_space *space = current_space(h);

	if (h->priv == PRIV_U)
		return (struct tlb_set){ { &space->user_read, &space->user_write,
					   &space->user_fetch } };
	if (is_bare(h))
		return (struct tlb_set){ { &space->sum_read, &space->sum_write,
					   &space->user_fetch } };
	if (h->sstatus & SSTATUS_SUM)
		return (struct tlb_set){ { &space->sum_read, &space->sum_write,
					   &tlbs->super_fetch } };
	return (struct tlb_set){ { &tlbs->super_read, &tlbs->super_write, &tlbs->super_fetch } };
}

void mmu_select(struct hart *h)
{
	struct tlb_set set = current_tlbs(h);
	struct near_tlb *near = &h->near[h->priv == PRIV_U ? 0 : h->sstatus & SSTATUS_SUM ? 2 : 1];

	h->near_read = near->read;
	h->near_write = near->write;
	h->read_tlb = set.by_access[MMU_READ]->entries;
	h->write_tlb = set.by_access[MMU_WRITE]->entries;
	h->fetch_tlb = set.by_access[MMU_FETCH]->entries;
}

void mmu_set_satp(struct hart *h, uint64_t satp)
{
	bool new_space = (satp ^ h->satp) >> 44;

	h->satp = satp;
	h->resv_va = RESERVATION_NONE; // it was for an address of the old space
	near_flush(h);
	if (!is_bare(h)) {
		if (new_space && h->tlbs->super_local)
			super_flush(h->tlbs);
		h->space = claim_space(h->tlbs, satp_asid(h));
		h->space->last_use = ++h->tlbs->clock;
	}
	mmu_select(h);
}

void tlb_fill(struct hart *h, enum mmu_access access, uint64_t va, const void *target, bool global,
	      unsigned level)
{
	struct tlb *tlb = current_tlbs(h).by_access[access];
	unsigned index = tlb_index(va);
	uint64_t page_va = va & PAGE_MASK;

	if (h->vm->tlb_limit && tlb->fill_count >= h->vm->tlb_limit) {
		tlb_flush(tlb);
		near_flush(h);
	}
	tlb->superpages |= superpage_bits(va, level);
	if (!global && tlb == &h->tlbs->super_read)
		h->tlbs->super_local = true;
	if (!global && (tlb == &h->tlbs->super_write || tlb == &h->tlbs->super_fetch))
		h->tlbs->super_local = true;
	if (tlb->fill_count < TLB_FILL_LIST)
		tlb->filled[tlb->fill_count] = (uint16_t)index;
	if (tlb->fill_count <= TLB_FILL_LIST)
		tlb->fill_count++;
	tlb->entries[index].tag = page_va;
	tlb->entries[index].addend = (uintptr_t)target - (access == MMU_FETCH ? 0 : page_va);
}

static void flush_spaces(struct hart *h, const struct fence *fence)
{
	for (unsigned i = 0; i < TLB_SPACES; i++) {
		struct tlb_space *space = &h->tlbs->spaces[i];

		if (!space->used || (!fence->all_asids && space->asid != fence->asid))
			continue;
		if (fence->all_addresses)
			space_flush(space);
		else
			for (uint64_t at = 0; at < fence->size_bytes; at += PAGE_BYTES)
				space_flush_page(space, fence->start + at);
	}
}

void mmu_flush(struct hart *h, const struct fence *fence)
{
	hart_count(h, SOFT_TLB_FLUSHES);
	near_flush(h);
	flush_spaces(h, fence);
	// By ASID only: entries of global pages may stay, and most are.
	if (!fence->all_asids && !h->tlbs->super_local)
		return;
	if (fence->all_addresses)
		super_flush(h->tlbs);
	else
		for (uint64_t at = 0; at < fence->size_bytes; at += PAGE_BYTES)
			super_flush_page(h->tlbs, fence->start + at);
}

void mmu_flush_all(struct hart *h)
{
	struct fence fence = { .all_addresses = true, .all_asids = true };

	mmu_flush(h, &fence);
	space_flush(&h->tlbs->bare);
}

static void drop_target(struct tlb *tlb, uint64_t host_page)
{
	if (tlb->fill_count <= TLB_FILL_LIST) {
		for (unsigned i = 0; i < tlb->fill_count; i++) {
			struct tlb_entry *entry = &tlb->entries[tlb->filled[i]];

			if (entry->tag + entry->addend == host_page)
				entry->tag = TLB_INVALID;
		}
		return;
	}
	for (unsigned i = 0; i < TLB_ENTRIES; i++)
		if (tlb->entries[i].tag + tlb->entries[i].addend == host_page)
			tlb->entries[i].tag = TLB_INVALID;
}

void mmu_drop_writes(struct hart *h, const void *host_page)
{
	uint64_t target = (uintptr_t)host_page;

	near_flush(h);
	for (unsigned i = 0; i < TLB_SPACES; i++) {
		if (!h->tlbs->spaces[i].used)
			continue;
		drop_target(&h->tlbs->spaces[i].user_write, target);
		drop_target(&h->tlbs->spaces[i].sum_write, target);
	}
	drop_target(&h->tlbs->bare.user_write, target);
	drop_target(&h->tlbs->bare.sum_write, target);
	drop_target(&h->tlbs->super_write, target);
}

void mmu_flush_fetch(struct hart *h)
{
	for (unsigned i = 0; i < TLB_SPACES; i++)
		if (h->tlbs->spaces[i].used)
			tlb_flush(&h->tlbs->spaces[i].user_fetch);
	tlb_flush(&h->tlbs->bare.user_fetch);
	tlb_flush(&h->tlbs->super_fetch);
}
