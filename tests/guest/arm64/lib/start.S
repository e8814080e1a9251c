// SPDX-License-Identifier: GPL-2.0-or-later
// Entry of the CPUs at EL1, and the exception vectors.
#include "layout.h"

	.section .text.head, "ax"
	// The header of an Image (Linux's Documentation/arch/arm64/booting.rst).
	.globl _start
_start:
	b	boot
	.long	0
	.quad	0		// text_offset
	.quad	image_end - _start
	.quad	0xa		// little-endian, 4 KiB pages, anywhere in RAM
	.quad	0, 0, 0
	.ascii	"ARM\x64"
	.long	0

boot:
	mov	x20, x0
	bl	mmu_on
	adrp	x0, bss_start
	add	x0, x0, :lo12:bss_start
	adrp	x1, bss_end
	add	x1, x1, :lo12:bss_end
1:	stp	xzr, xzr, [x0], #16
	cmp	x0, x1
	b.lo	1b
	adrp	x0, boot_stack_end
	add	x0, x0, :lo12:boot_stack_end
	mov	sp, x0
	mov	x0, x20
	bl	boot_main

	// PSCI's CPU_ON: x0 = struct cpu
	.globl secondary_start
secondary_start:
	mov	x20, x0
	bl	mmu_on
	ldr	x1, [x20, #CPU_STACK]
	mov	sp, x1
	mov	x0, x20
	bl	secondary_main

// Maps the first GiB one to one as devices, the next seven as memory, so that atomics
// work; and sets the vectors.
#define MAIR 0xff00		// attribute 0: Device-nGnRnE; 1: normal, write-back
#define TCR (25 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23 | 1 << 32)
#define SCTLR_M_C_I (1 << 0 | 1 << 2 | 1 << 12)
mmu_on:
	adrp	x1, page_table
	msr	ttbr0_el1, x1
	mov	x1, #MAIR
	msr	mair_el1, x1
	ldr	x1, =TCR
	msr	tcr_el1, x1
	adrp	x1, vectors
	add	x1, x1, :lo12:vectors
	msr	vbar_el1, x1
	dsb	sy
	tlbi	vmalle1
	ic	iallu
	dsb	sy
	isb
	mrs	x1, sctlr_el1
	mov	x2, #(SCTLR_M_C_I & 0xffff)
	orr	x1, x1, x2
	msr	sctlr_el1, x1
	isb
	ret

	.section .rodata, "a"
	.balign	4096
page_table:
	.quad	0x0060000000000401	// 1 GiB block, AF, attribute 0, never executed
	.set	gib, 1
	.rept	7
	.quad	(gib << 30) | 0x705	// AF, inner shareable, attribute 1
	.set	gib, gib + 1
	.endr
	.fill	504, 8, 0

	.text
	.macro	vector kind
	.balign	128
	sub	sp, sp, #FRAME_BYTES
	stp	x0, x1, [sp]
	mov	x0, #\kind
	b	enter
	.endm

	.balign	2048
vectors:
	.irp	kind, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
	vector	\kind
	.endr

	// Nests: what the next exception would overwrite is on the stack.
enter:
	stp	x2, x3, [sp, #16]
	stp	x4, x5, [sp, #32]
	stp	x6, x7, [sp, #48]
	stp	x8, x9, [sp, #64]
	stp	x10, x11, [sp, #80]
	stp	x12, x13, [sp, #96]
	stp	x14, x15, [sp, #112]
	stp	x16, x17, [sp, #128]
	stp	x18, x29, [sp, #144]
	mrs	x1, elr_el1
	mrs	x2, spsr_el1
	stp	x30, x1, [sp, #160]
	str	x2, [sp, #FRAME_SPSR]
	mov	x1, sp
	bl	trap
	ldr	x2, [sp, #FRAME_SPSR]
	ldp	x30, x1, [sp, #160]
	msr	elr_el1, x1
	msr	spsr_el1, x2
	ldp	x2, x3, [sp, #16]
	ldp	x4, x5, [sp, #32]
	ldp	x6, x7, [sp, #48]
	ldp	x8, x9, [sp, #64]
	ldp	x10, x11, [sp, #80]
	ldp	x12, x13, [sp, #96]
	ldp	x14, x15, [sp, #112]
	ldp	x16, x17, [sp, #128]
	ldp	x18, x29, [sp, #144]
	ldp	x0, x1, [sp]
	add	sp, sp, #FRAME_BYTES
	eret

	.bss
	.balign	16
	.skip	8192
boot_stack_end:
	.section .note.GNU-stack, "", @progbits
