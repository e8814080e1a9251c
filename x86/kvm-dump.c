// SPDX-License-Identifier: GPL-2.0-or-later
// What a vCPU of KVM on x86-64 was doing, for the report of a death.
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "kvm-host.h"
#include "memory.h"
#include "x86-kvm.h"

#define PAGE_BYTES 4096U
#define INSTRUCTION_MAX_BYTES 15U

const uint8_t *x86_kvm_code(struct vcpu *vcpu, size_t *len)
{
	struct kvm_translation where = { 0 };
	int fd = kvm_vcpu(vcpu)->fd;
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	if (ioctl(fd, KVM_GET_REGS, &regs) < 0 || ioctl(fd, KVM_GET_SREGS, &sregs) < 0)
		return NULL;
	where.linear_address = sregs.cs.base + regs.rip;
	if (ioctl(fd, KVM_TRANSLATE, &where) < 0 || !where.valid)
		return NULL;
	*len = MIN(INSTRUCTION_MAX_BYTES, PAGE_BYTES - where.physical_address % PAGE_BYTES);
	return memory_ptr(vcpu->accel->memory, where.physical_address, *len);
}

struct text {
	char *data;
	size_t size;
	size_t used;
};

static void PRINTF_LIKE(2, 3) add(struct text *text, const char *fmt, ...)
{
	va_list args;

	if (text->used >= text->size)
		return;
	va_start(args, fmt);
	text->used +=
		(size_t)vsnprintf(text->data + text->used, text->size - text->used, fmt, args);
	va_end(args);
}

static void add_regs(struct text *text, const struct kvm_regs *regs)
{
	add(text, "rip %016llx  rflags %08llx\n", regs->rip, regs->rflags);
	add(text, "rax %016llx  rbx %016llx  rcx %016llx  rdx %016llx\n", regs->rax, regs->rbx,
	    regs->rcx, regs->rdx);
	add(text, "rsi %016llx  rdi %016llx  rbp %016llx  rsp %016llx\n", regs->rsi, regs->rdi,
	    regs->rbp, regs->rsp);
	add(text, "r8  %016llx  r9  %016llx  r10 %016llx  r11 %016llx\n", regs->r8, regs->r9,
	    regs->r10, regs->r11);
	add(text, "r12 %016llx  r13 %016llx  r14 %016llx  r15 %016llx\n", regs->r12, regs->r13,
	    regs->r14, regs->r15);
}

static void add_sregs(struct text *text, const struct kvm_sregs *sregs)
{
	add(text, "cr0 %016llx  cr2 %016llx  cr3 %016llx  cr4 %08llx  efer %04llx\n", sregs->cr0,
	    sregs->cr2, sregs->cr3, sregs->cr4, sregs->efer);
	add(text, "cs %04x base %llx  ss %04x base %llx  idt %llx+%x  gdt %llx+%x\n",
	    sregs->cs.selector, sregs->cs.base, sregs->ss.selector, sregs->ss.base, sregs->idt.base,
	    sregs->idt.limit, sregs->gdt.base, sregs->gdt.limit);
}

static void add_code(struct text *text, struct vcpu *vcpu)
{
	size_t len;
	const uint8_t *code = x86_kvm_code(vcpu, &len);

	add(text, "code at rip:%s", code ? "" : " none, that is no RAM");
	for (size_t i = 0; code && i < len; i++)
		add(text, " %02x", code[i]);
	add(text, "\n");
}

size_t kvm_arch_dump(struct vcpu *vcpu, char *text, size_t size)
{
	struct text report = { .data = text, .size = size };
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	if (ioctl(kvm_vcpu(vcpu)->fd, KVM_GET_REGS, &regs) < 0 ||
	    ioctl(kvm_vcpu(vcpu)->fd, KVM_GET_SREGS, &sregs) < 0)
		return 0;
	// KVM with AMD's SVM resets a CPU that has shut down: its registers are lost.
	if (regs.rip == 0xfff0 && sregs.cs.base == 0xffff0000)
		add(&report, "those of a CPU after reset: the host's KVM has not kept them\n");
	add_regs(&report, &regs);
	add_sregs(&report, &sregs);
	add_code(&report, vcpu);
	return MIN(report.used, size);
}
