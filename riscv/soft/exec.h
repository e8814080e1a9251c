// SPDX-License-Identifier: GPL-2.0-or-later
// Writing handlers: the interpreter is one function an instruction, each ending in
// a tail call to the next one's.
//
// A handler gets the hart, its slot and the slot's content; all three stay in host
// registers from one instruction to the next. Rules:
//  - nothing on the fast path calls anything: what is slow is a handler of its own,
//    reached by a tail call (a call in between would spill the registers);
//  - no local variable's address is taken, or the compiler gives up the tail call;
//    hart->scratch serves instead;
//  - a handler that can fault changes nothing before it is sure.
// Compilers make the calls tail calls at -O2 (-foptimize-sibling-calls). Without
// optimisation, or with a sanitizer that breaks tail calls, the handlers
// return the next slot to a loop instead (EXEC_LOOP).
#ifndef KVIK_SOFT_EXEC_H
#define KVIK_SOFT_EXEC_H

#include "decode.h"
#include "guess.h"
#include "hart.h"
#include "mmu.h"

#if !defined(__OPTIMIZE__) || defined(__SANITIZE_ADDRESS__) || defined(KVIK_EXEC_LOOP)
#define EXEC_LOOP 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define EXEC_LOOP 1
#endif
#endif

// The handlers by number; a hart dispatches by its own copy (hart->handlers), or by
// one that counts instructions first. See exec-table.c.
extern handler_fn *const exec_handlers[OP_COUNT];
extern handler_fn *const exec_counting_handlers[OP_COUNT];

#define HANDLER_ARGS struct hart *h, const slot_t *s, slot_t w
#define ALWAYS_INLINE inline __attribute__((always_inline))
#define COLD __attribute__((noinline, cold))
#define OUT_OF_LINE __attribute__((noinline))

static ALWAYS_INLINE slot_t slot_load(const slot_t *s)
{
	return __atomic_load_n(s, __ATOMIC_RELAXED);
}

static ALWAYS_INLINE unsigned slot_op(slot_t w)
{
	return (uint32_t)w >> 16;
}

#define SLOT_A (w & 0xff)
#define SLOT_B (w >> 8 & 0xff)
#define SLOT_IMM ((int64_t)w >> 32)

// Has the compiler move `s` on before it loads from there: left alone, gcc computes
// it twice.
#define KEEP_IN_REGISTER(s) __asm__("" : "+r"(s))

// Goes on at slot @p. A handler first compares what comes next with what most often
// does (guess.h): a host predicts many thousands of conditional branches, but hardly
// more than a thousand indirect ones, which a walk through the guest's kernel exceeds.
// `self` is the handler that is left; it is constant, so that of all the guesses only
// its own are compiled. DISPATCH_ANY() makes no guess.
#ifdef EXEC_LOOP
#define DISPATCH(p) return (p)
#define DISPATCH_ANY(p) return (p)
#else
#define GUESS(first, second)                                                           \
	if (self == OP_##first && slot_op(w) == (OP_##second) && likely(!h->counting)) \
		return op_##second(h, s, w);
#define DISPATCH(p)                                      \
	do {                                             \
		s = (p);                                 \
		KEEP_IN_REGISTER(s);                     \
		w = slot_load(s);                        \
		LIKELY_PAIRS(GUESS)                      \
		return h->handlers[slot_op(w)](h, s, w); \
	} while (0)
#define DISPATCH_ANY(p)                                  \
	do {                                             \
		s = (p);                                 \
		KEEP_IN_REGISTER(s);                     \
		w = slot_load(s);                        \
		return h->handlers[slot_op(w)](h, s, w); \
	} while (0)
#endif

// The next instruction; @len: this one's length in slots.
#define NEXT(len) DISPATCH(s + (len))

#define GO(handler) return handler(h, s, w)

// Goes on at address @target, in whatever page; polls.
#define GOTO_PC(target)                                                                       \
	do {                                                                                  \
		uint64_t goto_pc_ = (target);                                                 \
		const struct tlb_entry *goto_e_ = &h->fetch_tlb[tlb_index(goto_pc_)];         \
		if (unlikely(goto_e_->tag != (goto_pc_ & PAGE_MASK)) || hart_is_pending(h)) { \
			h->pc = goto_pc_;                                                     \
			GO(exec_enter);                                                       \
		}                                                                             \
		h->page_va = goto_e_->tag;                                                    \
		h->page_slots = (const slot_t *)(uintptr_t)goto_e_->addend;                   \
		DISPATCH(h->page_slots + ((goto_pc_ & PAGE_OFFSET_MASK) >> 1));               \
	} while (0)

// Goes on at slot @p of this page; polls.
#define GOTO_SLOT_POLL(p)                    \
	do {                                 \
		s = (p);                     \
		if (hart_is_pending(h)) {    \
			h->pc = pc_of(h, s); \
			GO(exec_enter);      \
		}                            \
		DISPATCH(s);                 \
	} while (0)

#define RAISE(cause, tval)               \
	do {                             \
		h->trap_cause = (cause); \
		h->trap_tval = (tval);   \
		GO(exec_raise);          \
	} while (0)

// WIDE(name) { body }: the handler of a 32-bit instruction; `len` is its length in
// slots. BOTH(name) { body }: the same body for both lengths.
#define BODY(name) \
	static ALWAYS_INLINE const slot_t *name##_body(HANDLER_ARGS, const enum op self, int len)

#define WIDE(name)                                         \
	BODY(name);                                        \
	const slot_t *op_##name(HANDLER_ARGS)              \
	{                                                  \
		return name##_body(h, s, w, OP_##name, 2); \
	}                                                  \
	BODY(name)

#define BOTH(name)                                             \
	BODY(name);                                            \
	const slot_t *op_##name(HANDLER_ARGS)                  \
	{                                                      \
		return name##_body(h, s, w, OP_##name, 2);     \
	}                                                      \
	const slot_t *op_##name##_c(HANDLER_ARGS)              \
	{                                                      \
		return name##_body(h, s, w, OP_##name##_c, 1); \
	}                                                      \
	BODY(name)

// A handler of its own.
#define HANDLER(name) const slot_t *name(HANDLER_ARGS)

// Continues at h->pc: polls, translates, traps, leaves.
handler_fn exec_enter;
// Takes the trap in h->trap_cause and h->trap_tval at the present instruction.
handler_fn exec_raise;
// Illegal instruction at the present slot.
handler_fn exec_illegal;
// Leaves the handlers with h->pc and h->exit set.
handler_fn exec_leave;
// An FP instruction while FS is not Dirty.
handler_fn exec_fp_gate;
// An FP instruction may run: FS is Dirty.
#define FP_CHECK()                                        \
	do {                                              \
		if (unlikely(h->fp_gate & FP_GATE_STATE)) \
			GO(exec_fp_gate);                 \
	} while (0)

// Any instruction while instret counts.
handler_fn exec_counted;

// clang-format off
#define X(name, ...) handler_fn op_##name, op_##name##_c;
ISA_BOTH(X) ISA_FP_BOTH(X) ISA_INTERNAL_BOTH(X)
#undef X
#define X(name, ...) handler_fn op_##name;
ISA_WIDE_INT(X) ISA_WIDE_SYSTEM(X) ISA_WIDE_ATOMIC(X) ISA_FP_OTHER(X) ISA_INTERNAL_WIDE(X)
#undef X
#define X(name, ...) handler_fn op_##name, op_##name##_rm;
ISA_FP_ROUND(X)
#undef X
handler_fn op_decode;
// clang-format on

#endif
