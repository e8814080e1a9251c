// SPDX-License-Identifier: GPL-2.0-or-later
// Handlers of system instructions, and how execution starts, polls, traps and ends.
#include <sched.h>

#include "code.h"
#include "csr.h"
#include "exec.h"
#include "fpu.h"

// -- entering, trapping, leaving --

HANDLER(exec_leave)
{
	return NULL;
}

// Finds the slot of h->pc. True when there is one to go on at.
static bool enter_once(struct hart *h)
{
	const struct tlb_entry *e = &h->fetch_tlb[tlb_index(h->pc)];
	int cause;

	if (e->tag == (h->pc & PAGE_MASK)) {
		h->page_slots = (const slot_t *)(uintptr_t)e->addend;
	} else {
		cause = mmu_fetch_page(h, h->pc, &h->page_slots);
		if (cause != CAUSE_NONE) {
			hart_trap(h, h->pc, (uint64_t)cause, h->trap_tval);
			return false;
		}
	}
	h->page_va = h->pc & PAGE_MASK;
	return true;
}

HANDLER(exec_enter)
{
	do {
		if (hart_is_pending(h) && !hart_service(h))
			GO(exec_leave);
	} while (!enter_once(h));
	DISPATCH_ANY(h->page_slots + ((h->pc & PAGE_OFFSET_MASK) >> 1));
}

HANDLER(exec_raise)
{
	if (h->counting) // an instruction that traps does not retire
		h->instret--;
	hart_trap(h, pc_of(h, s), (uint64_t)h->trap_cause, h->trap_tval);
	GO(exec_enter);
}

// The bits of the instruction at pc, for stval. Fetched again: slots do not keep
// them. If the mapping went away meanwhile, 0, which stval may always be.
static COLD uint64_t insn_bits(struct hart *h, uint64_t pc)
{
	uint16_t low, high;

	if (mmu_fetch_halfword(h, pc, &low) != CAUSE_NONE)
		return 0;
	if (insn_is_compressed(low) || mmu_fetch_halfword(h, pc + 2, &high) != CAUSE_NONE)
		return low;
	return low | (uint64_t)high << 16;
}

HANDLER(exec_illegal)
{
	h->trap_tval = insn_bits(h, pc_of(h, s));
	h->trap_cause = CAUSE_ILLEGAL;
	GO(exec_raise);
}

BOTH(illegal)
{
	(void)len;
	GO(exec_illegal);
}

// -- slots that are no instructions --

HANDLER(op_decode)
{
	if (unlikely(!code_decode(h, s))) {
		h->pc = pc_of(h, s);
		mmu_flush_fetch(h);
		GO(exec_enter);
	}
	DISPATCH_ANY(s);
}

WIDE(next_page)
{
	(void)len;
	GOTO_PC(pc_of(h, s));
}

static COLD uint32_t straddling_insn(struct hart *h, slot_t w, uint64_t pc)
{
	uint16_t high = 0;

	h->trap_cause = mmu_fetch_halfword(h, pc + 2, &high);
	return (uint32_t)(SLOT_IMM & 0xffff) | (uint32_t)high << 16;
}

// Its second half lies in another page, whose mapping may change any time.
WIDE(straddle)
{
	uint32_t insn = straddling_insn(h, w, pc_of(h, s));

	(void)len;
	if (h->trap_cause != CAUSE_NONE) {
		// Not by exec_raise: this slot was not counted.
		hart_trap(h, pc_of(h, s), (uint64_t)h->trap_cause, h->trap_tval);
		GO(exec_enter);
	}
	h->straddle[0] = decode_insn(insn, PAGE_BYTES);
	h->straddle[2] = slot_make(OP_next_page, 0, 0, 0);
	h->page_slots = &h->straddle[0] - (SLOTS_PER_PAGE - 1);
	DISPATCH_ANY(&h->straddle[0]);
}

// -- FP state --

HANDLER(exec_fp_gate)
{
	if (h->fs == FS_OFF)
		GO(exec_illegal);
	h->fs = FS_DIRTY;
	hart_select_fp(h);
	return exec_handlers[slot_op(w)](h, s, w);
}

HANDLER(exec_counted)
{
	h->instret++;
	return exec_handlers[slot_op(w)](h, s, w);
}

// -- environment --

BOTH(ebreak)
{
	(void)len;
	RAISE(CAUSE_BREAKPOINT, pc_of(h, s));
}

// Calls the execution environment; h->pc is already past the ecall.
static COLD bool guest_call(struct hart *h)
{
	struct guest_call call = { .extension = h->x[17], .function = h->x[16] };

	hart_count(h, SOFT_ECALLS);
	for (unsigned i = 0; i < ARRAY_SIZE(call.args); i++)
		call.args[i] = h->x[10 + i];
	h->exit = vcpu_guest_call(h->vcpu, &call);
	h->x[10] = call.ret[0];
	if (!call.legacy)
		h->x[11] = call.ret[1];
	if (h->exit != VCPU_EXIT_KICKED)
		return false;
	h->exit = HART_EXIT_STATE;
	return h->state == RISCV_HART_STARTED;
}

WIDE(ecall)
{
	if (h->priv == PRIV_U)
		RAISE(CAUSE_ECALL_U, 0);
	if (h->counting)
		h->instret--;
	h->pc = pc_of(h, s) + 2 * (uint64_t)len;
	if (!guest_call(h))
		GO(exec_leave);
	GO(exec_enter);
}

WIDE(wfi)
{
	if (h->priv == PRIV_U)
		GO(exec_illegal);
	h->pc = pc_of(h, s) + 2 * (uint64_t)len;
	hart_wait(h);
	GO(exec_enter);
}

WIDE(sret)
{
	(void)len;
	if (h->priv == PRIV_U)
		GO(exec_illegal);
	h->priv = h->sstatus & SSTATUS_SPP ? PRIV_S : PRIV_U;
	h->sstatus &= ~(SSTATUS_SIE | SSTATUS_SPP);
	if (h->sstatus & SSTATUS_SPIE)
		h->sstatus |= SSTATUS_SIE;
	h->sstatus |= SSTATUS_SPIE;
	h->resv_va = RESERVATION_NONE;
	mmu_select(h);
	if (unlikely(hart_interrupt_is_due(h)))
		atomic_fetch_or(&h->pending, PENDING_IRQ);
	GOTO_PC(h->sepc);
}

// -- hints --

// A spinning hart lets the one that it waits for run.
static void yield(struct hart *h)
{
	if (h->vm->hart_count > 1)
		sched_yield();
}

WIDE(pause)
{
	yield(h);
	NEXT(len);
}

WIDE(wrs_nto)
{
	yield(h);
	NEXT(len);
}

WIDE(wrs_sto)
{
	yield(h);
	NEXT(len);
}

// -- fences --

WIDE(fence_i)
{
	h->pc = pc_of(h, s) + 2 * (uint64_t)len;
	code_fence_i(h);
	GO(exec_enter);
}

static COLD void flush_tlb(struct hart *h, slot_t w)
{
	struct fence fence = {
		.kind = FENCE_VMA,
		.all_addresses = SLOT_B == 0,
		.all_asids = SLOT_IMM == 0,
		.asid = (uint16_t)h->x[SLOT_IMM & 31],
		.start = h->x[SLOT_B] & PAGE_MASK,
		.size_bytes = PAGE_BYTES,
	};

	mmu_flush(h, &fence);
}

WIDE(sfence_vma)
{
	if (h->priv == PRIV_U)
		GO(exec_illegal);
	h->pc = pc_of(h, s) + 2 * (uint64_t)len;
	flush_tlb(h, w);
	GO(exec_enter);
}

// Svinval: invalidation at once satisfies any order of the fences around it.
WIDE(sinval_vma)
{
	if (h->priv == PRIV_U)
		GO(exec_illegal);
	h->pc = pc_of(h, s) + 2 * (uint64_t)len;
	flush_tlb(h, w);
	GO(exec_enter);
}

WIDE(sfence_w_inval)
{
	if (h->priv == PRIV_U)
		GO(exec_illegal);
	NEXT(len);
}

WIDE(sfence_inval_ir)
{
	if (h->priv == PRIV_U)
		GO(exec_illegal);
	NEXT(len);
}

// -- CSRs --

enum csr_op { CSR_WRITE, CSR_SET, CSR_CLEAR };

// One access; false: illegal. @source 0 with CSR_SET or CSR_CLEAR and no register
// named does not write at all (unprivileged ISA ch. 6).
static bool access_csr(struct hart *h, slot_t w, enum csr_op op, uint64_t source)
{
	unsigned csr = SLOT_IMM & 0xfff;
	bool writes = op == CSR_WRITE || SLOT_B != 0;

	if (!csr_is_accessible(h, csr, writes) || !csr_read(h, csr, &h->scratch))
		return false;
	if (writes && !csr_write(h, csr,
				 op == CSR_WRITE ? source :
				 op == CSR_SET   ? h->scratch | source :
						   h->scratch & ~source))
		return false;
	h->x[SLOT_A] = h->scratch;
	return true;
}

// A write may have enabled an interrupt, or changed what pc means.
#define CSR_HANDLER(name, op, source)                                                 \
	WIDE(name)                                                                    \
	{                                                                             \
		if (unlikely(!access_csr(h, w, op, source)))                          \
			GO(exec_illegal);                                             \
		if (unlikely(hart_interrupt_is_due(h)))                               \
			atomic_fetch_or(&h->pending, PENDING_IRQ);                    \
		if (unlikely((SLOT_IMM & 0xfff) == CSR_SATP || hart_is_pending(h))) { \
			h->pc = pc_of(h, s) + 2 * (uint64_t)len;                      \
			GO(exec_enter);                                               \
		}                                                                     \
		NEXT(len);                                                            \
	}

CSR_HANDLER(csrrw, CSR_WRITE, h->x[SLOT_B])
CSR_HANDLER(csrrs, CSR_SET, h->x[SLOT_B])
CSR_HANDLER(csrrc, CSR_CLEAR, h->x[SLOT_B])
CSR_HANDLER(csrrwi, CSR_WRITE, SLOT_B)
CSR_HANDLER(csrrsi, CSR_SET, SLOT_B)
CSR_HANDLER(csrrci, CSR_CLEAR, SLOT_B)
