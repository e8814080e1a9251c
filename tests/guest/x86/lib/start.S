// SPDX-License-Identifier: GPL-2.0-or-later
// Entry of a program: 64-bit mode, 4 GiB mapped one to one, interrupts off, rsi =
// boot_params. Interrupt gates, which save what C may change. And the first
// instructions of a further CPU, in real mode.

	.section .text.start, "ax"
	.globl _start
_start:
	leaq	stack_end(%rip), %rsp
	xorl	%ebp, %ebp
	movq	%rsi, %rdi
	call	main
	jmp	power_off

	.section .bss
	.balign	16
	.skip	16384
stack_end:
	.balign	16
	.skip	16384
ap_stack_end:

	.text
	.macro	gate number
	.balign	16
	pushq	$\number
	jmp	enter
	.endm

// 256 gates of 16 bytes. Those with an error code have one word more on the stack;
// interrupt() ends the machine for these.
	.globl gates
	.balign 16
gates:
	.set	n, 0
	.rept	256
	gate	n
	.set	n, n + 1
	.endr

enter:
	pushq	%rax
	pushq	%rcx
	pushq	%rdx
	pushq	%rsi
	pushq	%rdi
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	movq	72(%rsp), %rdi
	cld
	call	interrupt
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rdi
	popq	%rsi
	popq	%rdx
	popq	%rcx
	popq	%rax
	addq	$8, %rsp
	iretq

// What a SIPI starts, copied to TRAMPOLINE below 1 MiB: real mode, then straight into
// 64-bit mode with the first CPU's page tables (SDM vol. 3A, 9.8.5).
#define TRAMPOLINE 0x8000
#define AT(symbol) (TRAMPOLINE + symbol - trampoline)

	.globl trampoline, trampoline_end
	.balign 16
	.code16
trampoline:
	cli
	xorw	%ax, %ax
	movw	%ax, %ds
	lgdtl	AT(trampoline_gdtr)
	movl	$0x20, %eax		// CR4.PAE
	movl	%eax, %cr4
	movl	AT(trampoline_cr3), %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx	// EFER.LME
	rdmsr
	orl	$0x100, %eax
	wrmsr
	movl	$0x80000011, %eax	// CR0.PG, ET, PE
	movl	%eax, %cr0
	ljmpl	$0x10, $AT(trampoline_64)
	.code64
trampoline_64:
	movl	$0x18, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movq	$ap_stack_end, %rsp
	xorl	%ebp, %ebp
	movq	$ap_main, %rax
	call	*%rax
1:	hlt
	jmp	1b
	.balign	8
trampoline_gdt:
	.quad	0, 0
	.quad	0x00af9b000000ffff	// 0x10: 64-bit code
	.quad	0x00cf93000000ffff	// 0x18: data
trampoline_gdtr:
	.word	31
	.long	AT(trampoline_gdt)
trampoline_cr3:
	.long	0x9000			// X86_PAGE_TABLES_GPA of kvik; set by start_ap()
trampoline_end:

	.weak	ap_main
	.section .note.GNU-stack, "", @progbits
