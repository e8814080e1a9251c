// SPDX-License-Identifier: GPL-2.0-or-later
// Address translation: the walk of Sv39, Sv48 and Sv57 page tables, and the slow
// paths of loads, stores and fetches (privileged ISA 12.3 to 12.6).
#include "mmu.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "code.h"
#include "log.h"
#include "memory.h"
#include "tlb.h"

#define PTE_V (1ULL << 0)
#define PTE_R (1ULL << 1)
#define PTE_W (1ULL << 2)
#define PTE_X (1ULL << 3)
#define PTE_U (1ULL << 4)
#define PTE_G (1ULL << 5)
#define PTE_A (1ULL << 6)
#define PTE_D (1ULL << 7)
#define PTE_PPN_SHIFT 10
#define PTE_PPN_MASK ((1ULL << 44) - 1)
#define PTE_RESERVED (0x7fULL << 54)
#define PTE_PBMT_SHIFT 61
#define PTE_N (1ULL << 63)
#define PTE_LEAF (PTE_R | PTE_W | PTE_X)

#define SATP_PPN_MASK ((1ULL << 44) - 1)
#define NAPOT_64K_BITS 4 // the one size that Svnapot defines (ch. 14)

// What a walk found.
struct translation {
	uint64_t gpa;
	bool user;
	bool global;
	unsigned level; // of the leaf: 0 if it maps this page alone; a napot range counts as 1
};

static int page_fault(enum mmu_access access)
{
	static const int cause[] = { CAUSE_LOAD_PAGE_FAULT, CAUSE_STORE_PAGE_FAULT,
				     CAUSE_FETCH_PAGE_FAULT };
	return cause[access];
}

static int access_fault(enum mmu_access access)
{
	static const int cause[] = { CAUSE_LOAD_ACCESS, CAUSE_STORE_ACCESS, CAUSE_FETCH_ACCESS };

	return cause[access];
}

static unsigned satp_levels(const struct hart *h)
{
	switch (h->satp >> 60) {
	case RISCV_SATP_SV39:
		return 3;
	case RISCV_SATP_SV48:
		return 4;
	case RISCV_SATP_SV57:
		return 5;
	default:
		return 0;
	}
}

static bool is_canonical(uint64_t va, unsigned levels)
{
	unsigned unused = 64 - (PAGE_SHIFT + 9 * levels);

	return (uint64_t)((int64_t)(va << unused) >> unused) == va;
}

// Permission of a leaf for this access in the hart's mode.
static bool leaf_allows(const struct hart *h, uint64_t pte, enum mmu_access access)
{
	bool user = pte & PTE_U;

	if (h->priv == PRIV_U && !user)
		return false;
	if (h->priv == PRIV_S && user && (access == MMU_FETCH || !(h->sstatus & SSTATUS_SUM)))
		return false;
	switch (access) {
	case MMU_READ:
		return pte & PTE_R || (pte & PTE_X && h->sstatus & SSTATUS_MXR);
	case MMU_WRITE:
		return pte & PTE_W;
	default:
		return pte & PTE_X;
	}
}

// Checks a leaf at @level beyond its permissions: reserved encodings, alignment of
// superpages, the napot range.
static bool leaf_is_sound(uint64_t pte, unsigned level)
{
	uint64_t ppn = pte >> PTE_PPN_SHIFT & PTE_PPN_MASK;

	if (pte & PTE_RESERVED || (pte >> PTE_PBMT_SHIFT & 3) == 3)
		return false;
	if ((pte & (PTE_R | PTE_W)) == PTE_W)
		return false;
	if (level > 0)
		return !(pte & PTE_N) && !(ppn & ((1ULL << 9 * level) - 1));
	return !(pte & PTE_N) || (ppn & 0xf) == 1 << (NAPOT_64K_BITS - 1);
}

static uint64_t leaf_gpa(uint64_t pte, unsigned level, uint64_t va)
{
	unsigned napot_bits = pte & PTE_N ? NAPOT_64K_BITS : 0;
	uint64_t span = 1ULL << (PAGE_SHIFT + 9 * level + napot_bits);
	uint64_t base = (pte >> PTE_PPN_SHIFT & PTE_PPN_MASK) << PAGE_SHIFT;

	return align_down(base, span) | (va & (span - 1));
}

enum leaf_result { LEAF_FAULT, LEAF_RETRY, LEAF_OK };

// Sets A (and D) in the PTE that the walk read, or has the walk done again if it
// changed meanwhile.
static enum leaf_result leaf_update(_Atomic uint64_t *slot, uint64_t pte, enum mmu_access access)
{
	uint64_t want = pte | PTE_A | (access == MMU_WRITE ? PTE_D : 0);

	if (want == pte || atomic_compare_exchange_strong(slot, &pte, want))
		return LEAF_OK;
	return LEAF_RETRY;
}

static enum leaf_result use_leaf(struct hart *h, _Atomic uint64_t *slot, uint64_t pte,
				 unsigned level, enum mmu_access access)
{
	if (!leaf_is_sound(pte, level) || !leaf_allows(h, pte, access))
		return LEAF_FAULT;
	return leaf_update(slot, pte, access);
}

static int walk(struct hart *h, uint64_t va, enum mmu_access access, struct translation *tr)
{
	unsigned levels = satp_levels(h);
	uint64_t table, pte;
	bool global;

	if (!is_canonical(va, levels))
		return page_fault(access);
restart:
	global = false;
	table = (h->satp & SATP_PPN_MASK) << PAGE_SHIFT;
	for (unsigned level = levels; level-- > 0;) {
		unsigned index = va >> (PAGE_SHIFT + 9 * level) & 0x1ff;
		_Atomic uint64_t *slot = memory_ptr(h->vm->memory, table + index * 8ULL, 8);

		if (!slot)
			return access_fault(access);
		pte = atomic_load_explicit(slot, memory_order_acquire);
		if (!(pte & PTE_V))
			return page_fault(access);
		global |= !!(pte & PTE_G);
		if (pte & PTE_LEAF) {
			switch (use_leaf(h, slot, pte, level, access)) {
			case LEAF_FAULT:
				return page_fault(access);
			case LEAF_RETRY:
				goto restart;
			case LEAF_OK:
				tr->gpa = leaf_gpa(pte, level, va);
				tr->user = pte & PTE_U;
				tr->global = global;
				tr->level = pte & PTE_N ? 1 : level;
				return CAUSE_NONE;
			}
		}
		// A, D, U, N and PBMT are reserved in pointers to the next level.
		if (pte & (PTE_A | PTE_D | PTE_U | PTE_RESERVED | PTE_N | 3ULL << PTE_PBMT_SHIFT))
			return page_fault(access);
		table = (pte >> PTE_PPN_SHIFT & PTE_PPN_MASK) << PAGE_SHIFT;
	}
	return page_fault(access);
}

static_assert(SOFT_WRITE_MISSES - SOFT_READ_MISSES == (int)MMU_WRITE &&
		      SOFT_FETCH_MISSES - SOFT_READ_MISSES == (int)MMU_FETCH,
	      "a counter for each kind of access");

static int translate(struct hart *h, uint64_t va, enum mmu_access access, struct translation *tr)
{
	int cause;

	hart_count(h, SOFT_READ_MISSES + access);
	if (!satp_levels(h)) {
		*tr = (struct translation){ .gpa = va, .global = true };
		return CAUSE_NONE;
	}
	cause = walk(h, va, access, tr);
	if (cause != CAUSE_NONE)
		h->trap_tval = va;
	return cause;
}

// Translates one page's worth and enters it into the TLB. *@host is NULL when it
// is not RAM; *@gpa always holds the address.
static int translate_data(struct hart *h, uint64_t va, enum mmu_access access, void **host,
			  uint64_t *gpa)
{
	struct translation tr;
	int cause = translate(h, va, access, &tr);
	uint8_t *page;

	if (cause != CAUSE_NONE)
		return cause;
	*gpa = tr.gpa;
	page = memory_ptr(h->vm->memory, tr.gpa & PAGE_MASK, PAGE_BYTES);
	*host = page ? page + (tr.gpa & PAGE_OFFSET_MASK) : NULL;
	if (!page)
		return CAUSE_NONE;
	if (access == MMU_WRITE) {
		code_page_writable(h->vm, tr.gpa & PAGE_MASK);
		tlb_fill(h, MMU_WRITE, va, page, tr.global, tr.level);
	}
	tlb_fill(h, MMU_READ, va, page, tr.global, tr.level);
	return CAUSE_NONE;
}

static int device_access(struct hart *h, uint64_t va, uint64_t gpa, void *data, unsigned size,
			 enum mmu_access access)
{
	hart_count(h, SOFT_MMIO);
	// A device takes naturally aligned accesses only (PMA, privileged ISA 3.6).
	if (gpa & (size - 1) || size > 8 ||
	    vcpu_mmio(h->vcpu, gpa, data, size, access == MMU_WRITE)) {
		h->trap_tval = va;
		return access_fault(access);
	}
	return CAUSE_NONE;
}

// Aligned accesses are one access of the host: other harts never see half of one.
// The rest, and what straddles pages, goes byte by byte.
#define COPY_WHOLE(type)                                                 \
	do {                                                             \
		type *guest = host, *own = data;                         \
		if (access == MMU_WRITE)                                 \
			__atomic_store_n(guest, *own, __ATOMIC_RELAXED); \
		else                                                     \
			*own = __atomic_load_n(guest, __ATOMIC_RELAXED); \
	} while (0)

// What a guest's harts do to memory that a device has, or the other way round, is the
// guest's race.
#define GUESTS_RACE __attribute__((no_sanitize("thread")))

GUESTS_RACE static void copy_bytes(uint8_t *data, uint8_t *host, unsigned size,
				   enum mmu_access access)
{
	for (unsigned i = 0; i < size; i++) {
		if (access == MMU_WRITE)
			__atomic_store_n(&host[i], data[i], __ATOMIC_RELAXED);
		else
			data[i] = __atomic_load_n(&host[i], __ATOMIC_RELAXED);
	}
}

// @data is aligned for @size: it is a register's copy.
GUESTS_RACE static void copy(void *data, void *host, unsigned size, enum mmu_access access)
{
	if ((uintptr_t)host & (size - 1))
		copy_bytes(data, host, size, access);
	else if (size == 8)
		COPY_WHOLE(uint64_t);
	else if (size == 4)
		COPY_WHOLE(uint32_t);
	else if (size == 2)
		COPY_WHOLE(uint16_t);
	else
		copy_bytes(data, host, size, access);
}

// An access across a page end: both pages are checked before either is touched.
static int split_access(struct hart *h, uint64_t va, uint8_t *data, unsigned size,
			enum mmu_access access)
{
	unsigned first = (unsigned)(PAGE_BYTES - (va & PAGE_OFFSET_MASK));
	void *host[2];
	uint64_t gpa[2];
	int cause = translate_data(h, va, access, &host[0], &gpa[0]);

	if (cause == CAUSE_NONE)
		cause = translate_data(h, va + first, access, &host[1], &gpa[1]);
	if (cause != CAUSE_NONE)
		return cause;
	if (!host[0] || !host[1]) {
		h->trap_tval = host[0] ? va + first : va;
		return access_fault(access);
	}
	copy_bytes(data, host[0], first, access);
	copy_bytes(data + first, host[1], size - first, access);
	return CAUSE_NONE;
}

static int data_access(struct hart *h, uint64_t va, void *data, unsigned size,
		       enum mmu_access access)
{
	void *host;
	uint64_t gpa;
	int cause;

	if ((va & PAGE_OFFSET_MASK) + size > PAGE_BYTES)
		return split_access(h, va, data, size, access);
	cause = translate_data(h, va, access, &host, &gpa);
	if (cause != CAUSE_NONE)
		return cause;
	if (!host)
		return device_access(h, va, gpa, data, size, access);
	copy(data, host, size, access);
	return CAUSE_NONE;
}

int mmu_load(struct hart *h, uint64_t va, void *data, unsigned size)
{
	return data_access(h, va, data, size, MMU_READ);
}

int mmu_store(struct hart *h, uint64_t va, const void *data, unsigned size)
{
	return data_access(h, va, (void *)(uintptr_t)data, size, MMU_WRITE);
}

int mmu_load_pointer(struct hart *h, uint64_t va, void **host)
{
	uint64_t gpa;
	int cause = translate_data(h, va, MMU_READ, host, &gpa);

	if (cause == CAUSE_NONE && !*host) {
		h->trap_tval = va;
		cause = CAUSE_LOAD_ACCESS;
	}
	return cause;
}

int mmu_store_pointer(struct hart *h, uint64_t va, unsigned size, void **host)
{
	uint64_t gpa;
	int cause = translate_data(h, va, MMU_WRITE, host, &gpa);

	if (cause == CAUSE_NONE && !*host) {
		h->trap_tval = va;
		cause = CAUSE_STORE_ACCESS;
	}
	return cause;
}

int mmu_fetch_page(struct hart *h, uint64_t va, const slot_t **slots)
{
	struct translation tr;
	struct code_page *page;
	int cause, ret;

	do {
		cause = translate(h, va, MMU_FETCH, &tr);
		if (cause != CAUSE_NONE)
			return cause;
		ret = code_page_get(h, tr.gpa, &page);
	} while (ret == -EAGAIN);
	if (ret) {
		h->trap_tval = va;
		return CAUSE_FETCH_ACCESS;
	}
	tlb_fill(h, MMU_FETCH, va, page->slots, tr.global, tr.level);
	*slots = page->slots;
	return CAUSE_NONE;
}

int mmu_fetch_halfword(struct hart *h, uint64_t va, uint16_t *halfword)
{
	struct translation tr;
	int cause = translate(h, va, MMU_FETCH, &tr);

	if (cause != CAUSE_NONE)
		return cause;
	if (memory_read(h->vm->memory, tr.gpa, halfword, sizeof(*halfword))) {
		h->trap_tval = va;
		return CAUSE_FETCH_ACCESS;
	}
	return CAUSE_NONE;
}
