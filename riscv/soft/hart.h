// SPDX-License-Identifier: GPL-2.0-or-later
// The state of one hart of the software engine, and of the engine as a whole.
//
// A hart belongs to its vCPU thread. What other threads touch is atomic or stands
// under hart->lock, and says so.
#ifndef KVIK_SOFT_HART_H
#define KVIK_SOFT_HART_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "decode.h"
#include "riscv-accel.h"
#include "stats.h"
#include "util.h"
#include "vcpu.h"

#define PAGE_SHIFT 12
#define PAGE_BYTES (1ULL << PAGE_SHIFT)
#define PAGE_OFFSET_MASK (PAGE_BYTES - 1)
#define PAGE_MASK (~PAGE_OFFSET_MASK)

#define TIMEBASE_HZ 10000000ULL
#define NSEC_PER_TICK (NSEC_PER_SEC / TIMEBASE_HZ)

enum priv { PRIV_U = 0, PRIV_S = 1 };

// Exception codes (privileged ISA table 24, scause).
enum trap_cause {
	CAUSE_FETCH_ACCESS = 1,
	CAUSE_ILLEGAL = 2,
	CAUSE_BREAKPOINT = 3,
	CAUSE_LOAD_MISALIGNED = 4,
	CAUSE_LOAD_ACCESS = 5,
	CAUSE_STORE_MISALIGNED = 6,
	CAUSE_STORE_ACCESS = 7,
	CAUSE_ECALL_U = 8,
	CAUSE_ECALL_S = 9,
	CAUSE_FETCH_PAGE_FAULT = 12,
	CAUSE_LOAD_PAGE_FAULT = 13,
	CAUSE_STORE_PAGE_FAULT = 15,
	CAUSE_NONE = -1,
};

// sip and sie bits.
#define IP_SSIP (1u << 1)
#define IP_STIP (1u << 5)
#define IP_SEIP (1u << 9)
#define IP_ALL (IP_SSIP | IP_STIP | IP_SEIP)

// sstatus fields that are kept; FS and SD are derived from hart->fs.
#define SSTATUS_SIE (1ULL << 1)
#define SSTATUS_SPIE (1ULL << 5)
#define SSTATUS_SPP (1ULL << 8)
#define SSTATUS_FS_SHIFT 13
#define SSTATUS_SUM (1ULL << 18)
#define SSTATUS_MXR (1ULL << 19)
#define SSTATUS_UXL_64 (2ULL << 32)
#define SSTATUS_SD (1ULL << 63)

#define SENVCFG_CBZE (1ULL << 7)

#define FP_GATE_STATE 1 // FS is not Dirty
#define FP_GATE_MODE 2  // frm is not one of the host's rounding modes

enum fp_state { FS_OFF = 0, FS_INITIAL = 1, FS_CLEAN = 2, FS_DIRTY = 3 };

// Why a hart has to leave its instructions: bits of hart->pending.
#define PENDING_IRQ (1u << 0)   // sip changed
#define PENDING_FENCE (1u << 1) // hart->fences is not empty
#define PENDING_KICK (1u << 2)  // return VCPU_EXIT_KICKED

struct hart;
typedef const slot_t *handler_fn(struct hart *h, const slot_t *s, slot_t w);

// A software TLB: direct-mapped, one for each kind of access. @tag is the page's
// virtual address, or TLB_INVALID; host = va + addend.
#define TLB_BITS 10
#define TLB_ENTRIES (1u << TLB_BITS)
#define TLB_INVALID 0x800ULL // unlike any page, and any misaligned address in one
#define TLB_FILL_LIST 64

struct tlb_entry {
	uint64_t tag;
	uint64_t addend; // X: pointer to the page's first slot
};

struct tlb {
	struct tlb_entry entries[TLB_ENTRIES];
	uint16_t filled[TLB_FILL_LIST]; // indices filled since the last flush ...
	unsigned fill_count;            // ... if at most TLB_FILL_LIST
	uint64_t superpages;            // bit (va >> 30) % 64: entries that came from a superpage
};

// In front of the TLBs: for each base register, the page of the last access through
// it. Its tag is compared, but what is added does not hang on the address, so the
// host's loads need not wait for a TLB lookup.
struct near_tlb {
	struct tlb_entry read[32];
	struct tlb_entry write[32];
};

// By address space: user pages as seen from U mode, and everything as seen from
// S mode with sstatus.SUM.
struct tlb_space {
	uint16_t asid;
	bool used;
	uint64_t last_use;
	struct tlb user_read, user_write, user_fetch;
	struct tlb sum_read, sum_write;
};

#define TLB_SPACES 8

struct tlbs {
	struct tlb_space spaces[TLB_SPACES];
	struct tlb_space bare; // satp.MODE = Bare, both modes
	// S mode without SUM, shared by all address spaces: kernels map themselves
	// globally. @super_local: entries that were not global are among them.
	struct tlb super_read, super_write, super_fetch;
	bool super_local;
	uint64_t clock; // for last_use
};

// What another hart asks this one to do before it executes more guest code.
enum fence_kind { FENCE_VMA, FENCE_DROP_WRITES, FENCE_FETCH, FENCE_EVERYTHING };
struct fence {
	enum fence_kind kind;
	bool all_addresses;
	bool all_asids;
	uint16_t asid;
	uint64_t start;
	uint64_t size_bytes;
};
// exec_run()'s result when HSM changed the hart's state: not for the outside.
#define HART_EXIT_STATE VCPU_EXIT_COUNT

#define FENCE_QUEUE 16
#define HARTS_MAX 64
#define RESERVATION_NONE 1ULL // no address of a reservation is odd

// The hot part comes first: handlers address it with short displacements.
struct hart {
	uint64_t x[33]; // x[0] stays 0; x[32] takes results meant for x0
	_Atomic uint32_t pending;
	enum priv priv;
	uint64_t page_va;            // page that is being executed ...
	const slot_t *page_slots;    // ... and the slot of its first halfword
	struct tlb_entry *near_read; // of the near TLB of this mode, by base register
	struct tlb_entry *near_write;
	const struct tlb_entry *read_tlb;
	const struct tlb_entry *write_tlb;
	const struct tlb_entry *fetch_tlb;
	unsigned fp_gate; // FP_GATE_* bits: what keeps FP instructions off the fast path
	bool counting;    // instret counts: from its first read on (csr.c)
	uint64_t f[32];
	handler_fn *handlers[OP_COUNT]; // by operation: exec_handlers, or the counting ones
	uint64_t pc;                    // valid when not executing; else see pc_of()
	uint64_t resv_va;               // LR's reservation; odd: none
	uint64_t resv_value;

	// Supervisor CSRs.
	uint64_t sstatus; // SIE, SPIE, SPP, SUM, MXR
	enum fp_state fs;
	unsigned frm;
	unsigned fflags; // while the hart does not run; else in the host's FP environment
	uint64_t stvec, sscratch, sepc, scause, stval, satp, stimecmp, senvcfg;
	uint32_t scounteren;
	uint32_t sie;
	_Atomic uint32_t sip; // any thread

	uint64_t instret; // valid while counting

	// A trap on its way from a helper to raise_trap().
	int trap_cause;
	uint64_t trap_tval;
	enum vcpu_exit exit; // why the handlers returned

	uint64_t scratch; // for handlers, which must not take a local's address
	void *scratch_host;

	// A 32-bit instruction across a page end, decoded afresh each time.
	slot_t straddle[4];

	struct tlbs *tlbs;
	struct near_tlb near[3]; // U mode, S mode, S mode with SUM
	struct tlb_space *space; // that of satp's ASID; none while Bare
	struct soft_vm *vm;
	struct vcpu *vcpu;
	unsigned index;
	unsigned pause_count;

	// Any thread, under lock.
	pthread_mutex_t lock;
	_Atomic bool waiting;      // on wake
	pthread_cond_t wake;       // pending set, or state changed
	pthread_cond_t fence_done; // done_seq moved or parked: other harts wait
	bool parked;               // executes nothing and does its fences before it goes on
	struct fence fences[FENCE_QUEUE];
	unsigned fence_count;
	uint64_t posted_seq;
	uint64_t done_seq;
	enum riscv_hart_state state;
	uint64_t start_pc, start_opaque;
	bool suspend_retentive;

	_Atomic uint64_t deadline_ns; // when the timer thread raises STIP; ~0: never

	struct soft_counters counters;
};

struct soft_vm {
	struct accel *accel;
	struct memory *memory;
	unsigned hart_count;
	struct hart **harts;
	unsigned max_satp_mode;
	unsigned tlb_limit; // a test's wish: entries in a TLB, at most TLB_FILL_LIST; 0: all
	uint64_t (*clock_ns)(void); // CLOCK_MONOTONIC, or a test's
	uint64_t epoch_ns;          // by that clock, when time was 0; changes while on hold
	uint64_t held_since_ns;     // main thread
	struct code_cache *code;
	struct timer *timer;
};

// Since time was 0, but for what the clock stood still. vCPU threads, and others while
// it does not.
static inline uint64_t soft_elapsed_ns(const struct soft_vm *vm)
{
	return vm->clock_ns() - vm->epoch_ns;
}

static inline uint64_t pc_of(const struct hart *h, const slot_t *s)
{
	return h->page_va + ((uint64_t)(s - h->page_slots) << 1);
}

static inline bool hart_is_pending(struct hart *h)
{
	return unlikely(atomic_load_explicit(&h->pending, memory_order_relaxed));
}

// Own thread. Instructions are counted only for a guest that looks at instret.
static inline void hart_count_retired(struct hart *h)
{
	if (h->counting)
		atomic_store_explicit(&h->counters.counts[SOFT_RETIRED], h->instret,
				      memory_order_relaxed);
}

// Own thread.
static inline void hart_count(struct hart *h, enum soft_counter counter)
{
	soft_add(&h->counters.counts[counter], 1);
}

static inline bool interrupts_enabled(const struct hart *h)
{
	return h->priv == PRIV_U || (h->sstatus & SSTATUS_SIE);
}

// -- hart.c: own thread --

// Recomputes hart->fp_gate after a change of FS or frm.
void hart_select_fp(struct hart *h);
// Chooses the handlers: those that count instructions, or not.
void hart_count_instructions(struct hart *h, bool on);
// Enters the trap handler: pc becomes stvec. @pc is the trap's sepc.
void hart_trap(struct hart *h, uint64_t pc, uint64_t cause, uint64_t tval);
// Does what hart->pending asks for, taking an interrupt if one is due. False: leave
// the handlers, h->exit says why.
bool hart_service(struct hart *h);
// WFI and HSM waits: sleeps until an interrupt is pending in sip & sie, or a kick.
void hart_wait(struct hart *h);
// While a hart waits for others it promises to run no guest code; it does the
// fences that arrived when it comes back.
void hart_park(struct hart *h);
void hart_unpark(struct hart *h);
// Queues a fence for another hart; returns the number to pass to
// hart_await_fence(), or 0 when there is nothing to wait for.
uint64_t hart_post_fence(struct hart *target, const struct fence *fence);
// Waits until @target has done fence @seq. The caller is parked.
void hart_await_fence(struct hart *target, uint64_t seq);
// Whether @target may execute more before it does the fences posted to it.
bool hart_has_fences(struct hart *target);
// Before instructions run: goes through HSM's states, sleeping while stopped or
// suspended. False: kicked. Leaves the hart unparked when true, parked when false.
bool hart_make_ready(struct hart *h);
// Main thread, vCPUs stopped.
void hart_reset(struct hart *h, bool started, uint64_t pc, uint64_t a0, uint64_t a1);

// -- hart.c: any thread --
void hart_notify(struct hart *h, uint32_t pending_bits);
void hart_set_ip(struct hart *h, uint32_t bits, bool high);

uint64_t hart_time(const struct hart *h); // the time CSR
void hart_set_timer(struct hart *h, uint64_t deadline);
// Timer thread: raises STIP if hart->deadline_ns is still at most @now_ns.
void hart_expire_timer(struct hart *h, uint64_t now_ns);

// Main thread, vCPUs stopped and timer on hold: the clock stood still for @gap_ns.
void hart_delay_timer(struct hart *h, uint64_t gap_ns);

extern const struct riscv_hart_ops soft_hart_ops;

static inline bool hart_interrupt_is_due(struct hart *h)
{
	return interrupts_enabled(h) &&
	       (atomic_load_explicit(&h->sip, memory_order_relaxed) & h->sie);
}

// -- timer.c --
int timer_create_thread(struct soft_vm *vm);
void timer_free(struct soft_vm *vm);
// hart->deadline_ns became @deadline_ns. Any thread.
void timer_rearm(struct soft_vm *vm, uint64_t deadline_ns);
// On hold nothing is raised: the deadlines may be moved meanwhile.
void timer_hold(struct soft_vm *vm, bool hold);

// -- exec.c --
// Runs from h->pc until it has to leave; returns why.
enum vcpu_exit exec_run(struct hart *h);

#endif
