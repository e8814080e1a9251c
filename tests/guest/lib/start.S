// SPDX-License-Identifier: GPL-2.0-or-later
// Entry of the harts, trap entry, and the way into and out of a frame.
#include "layout.h"

#define SSTATUS_FS (3 << 13)

	.macro each_saved insn, base
	\insn ra, HART_CONTEXT + 0(\base)
	\insn sp, HART_CONTEXT + 8(\base)
	\insn s0, HART_CONTEXT + 16(\base)
	\insn s1, HART_CONTEXT + 24(\base)
	\insn s2, HART_CONTEXT + 32(\base)
	\insn s3, HART_CONTEXT + 40(\base)
	\insn s4, HART_CONTEXT + 48(\base)
	\insn s5, HART_CONTEXT + 56(\base)
	\insn s6, HART_CONTEXT + 64(\base)
	\insn s7, HART_CONTEXT + 72(\base)
	\insn s8, HART_CONTEXT + 80(\base)
	\insn s9, HART_CONTEXT + 88(\base)
	\insn s10, HART_CONTEXT + 96(\base)
	\insn s11, HART_CONTEXT + 104(\base)
	.endm

	// All but x0 and tp, which is the base.
	.macro each_register insn
	.irp n, 1,2,3,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	\insn x\n, 8 * \n(tp)
	.endr
	.endm

	.macro resume_frame
	ld t0, HART_SEPC(tp)
	csrw sepc, t0
	ld t0, HART_SSTATUS(tp)
	csrw sstatus, t0
	each_register ld
	ld tp, 8 * 4(tp)
	sret
	.endm

	.section .text.start, "ax"
	.globl _start
	// a0 = hart id; the image's BSS is zero already.
_start:
	la tp, harts
	la t0, boot_main
	sd t0, HART_MAIN(tp)
	la sp, stacks
	li t0, 8192
	add t0, sp, t0
	sd t0, HART_STACK(tp)
	// a1 = struct hart of a hart that HSM starts.
	.globl secondary_start
	mv a1, tp
secondary_start:
	mv tp, a1
	ld sp, HART_STACK(tp)
	li t0, -4096
	add t0, sp, t0
	sd t0, HART_TRAP_STACK(tp)
	csrw sscratch, tp
	la t0, trap_entry
	csrw stvec, t0
	csrw sie, zero
	li t0, SSTATUS_FS
	csrs sstatus, t0
	csrw fcsr, zero
	sd a0, HART_ID(tp)
	ld t0, HART_MAIN(tp)
	jalr t0
	tail hart_done

	.text
	// sscratch holds the hart's struct at all times outside of this entry.
	.balign 4
	.globl trap_entry
trap_entry:
	csrrw tp, sscratch, tp
	each_register sd
	csrr t0, sscratch
	sd t0, 8 * 4(tp)
	csrw sscratch, tp
	csrr t0, sepc
	sd t0, HART_SEPC(tp)
	csrr t0, scause
	sd t0, HART_SCAUSE(tp)
	csrr t0, stval
	sd t0, HART_STVAL(tp)
	csrr t0, sstatus
	sd t0, HART_SSTATUS(tp)
	ld t0, HART_INSIDE(tp)
	bnez t0, 1f
	ld sp, HART_TRAP_STACK(tp)
	call trap_in_kernel
	resume_frame
1:	sd zero, HART_INSIDE(tp)
	each_saved ld, tp
	ret

	// void enter_frame(void): runs this hart's frame until its next trap.
	.globl enter_frame
enter_frame:
	each_saved sd, tp
	li t0, 1
	sd t0, HART_INSIDE(tp)
	resume_frame

	// The vectored form: notes the entry's number in the hart and goes on.
	.balign 256
	.globl vector_table
vector_table:
	.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	.option push
	.option norvc
	j vector_\n
	.option pop
	.endr
	.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
vector_\n:
	csrrw tp, sscratch, tp
	sd t0, HART_SCRATCH(tp)
	li t0, \n
	sd t0, HART_VECTOR(tp)
	ld t0, HART_SCRATCH(tp)
	csrrw tp, sscratch, tp
	j trap_entry
	.endr

	.option arch, +d
	// void fp_load(const uint64_t f[32]), void fp_save(uint64_t f[32])
	.globl fp_load, fp_save
fp_load:
	.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	fld f\n, 8 * \n(a0)
	.endr
	ret
fp_save:
	.irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
	fsd f\n, 8 * \n(a0)
	.endr
	ret
