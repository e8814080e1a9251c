// SPDX-License-Identifier: GPL-2.0-or-later
// KVM on x86-64: interrupt controllers and timer chip in the kernel, registers at reset,
// exits that are this architecture's own.
//
// "As after power on" is the state in which KVM made a thing: it is read then, and put
// back at each reset. Only the first vCPU's registers differ, for the kernel's entry.
#include <asm/kvm_para.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "kvm-host.h"
#include "log.h"
#include "memory.h"
#include "vm-config.h"
#include "x86-accel.h"
#include "x86-kvm.h"

// Four pages that an Intel CPU without "unrestricted guest" needs to start APs in real
// mode; in the hole below 4 GiB (x86-machine.h).
#define IDENTITY_MAP_GPA 0xfffbc000ULL
#define TSS_GPA 0xfffbd000ULL

#define APIC_TIMER_KHZ 1000000 // KVM's counts nanoseconds

#define CR0_PE 0x1ULL
#define CR0_ET 0x10ULL
#define CR0_PG 0x80000000ULL
#define CR4_PAE 0x20ULL
#define EFER_LME 0x100ULL
#define EFER_LMA 0x400ULL
#define RFLAGS_RESERVED 0x2ULL

// Code after its limit checks in the SDM, vol. 3A, 3.4.5.1.
enum { SEGMENT_DATA = 0x3, SEGMENT_CODE = 0xb, SEGMENT_TSS_BUSY = 0xb };

static const uint32_t chip_ids[] = { KVM_IRQCHIP_PIC_MASTER, KVM_IRQCHIP_PIC_SLAVE,
				     KVM_IRQCHIP_IOAPIC };

struct x86_vm {
	struct kvm_cpuid2 *cpuid; // what KVM supports
	struct x86_cpuid_config cpuid_config;
	struct kvm_irqchip chips[ARRAY_SIZE(chip_ids)];
	struct kvm_pit_state2 pit;
};

struct x86_vcpu {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_lapic_state lapic;
	struct kvm_xcrs xcrs;
	struct kvm_debugregs debug;
	struct kvm_vcpu_events events;
	struct kvm_xsave xsave; // last: its header leaves its size open
};

static struct x86_vm *x86_vm(const struct accel *accel)
{
	return kvm_vm(accel)->arch;
}

static struct x86_vcpu *x86_vcpu(const struct vcpu *vcpu)
{
	return kvm_vcpu(vcpu)->arch;
}

// -- the VM --

unsigned long kvm_arch_vm_type(const struct vm_config *config, int dev_fd)
{
	return 0;
}

static size_t cpuid_bytes(void)
{
	return sizeof(struct kvm_cpuid2) + X86_CPUID_MAX_ENTRIES * sizeof(struct kvm_cpuid_entry2);
}

static int read_cpuid(struct accel *accel)
{
	struct x86_vm *vm = x86_vm(accel);

	vm->cpuid = calloc(1, cpuid_bytes());
	if (!vm->cpuid)
		return fail(ENOMEM, "KVM: CPUID");
	vm->cpuid->nent = X86_CPUID_MAX_ENTRIES;
	vm->cpuid_config = (struct x86_cpuid_config){
		.cpus = accel->config->cpus,
		.tsc_deadline = kvm_check(accel, KVM_CAP_TSC_DEADLINE_TIMER),
		.timer_khz = APIC_TIMER_KHZ,
	};
	return kvm_ioctl(kvm_vm(accel)->dev_fd, KVM_GET_SUPPORTED_CPUID, vm->cpuid,
			 "what CPUID it supports");
}

static int set_fixed_addresses(int fd)
{
	uint64_t identity_gpa = IDENTITY_MAP_GPA;
	int err = kvm_ioctl(fd, KVM_SET_IDENTITY_MAP_ADDR, &identity_gpa, "set the identity map");

	return err ? err : kvm_ioctl(fd, KVM_SET_TSS_ADDR, (void *)TSS_GPA, "set the TSS");
}

// Their state as made is kept for resets.
static int make_irqchip(struct accel *accel)
{
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	struct x86_vm *vm = x86_vm(accel);
	int fd = kvm_vm(accel)->fd;
	int err = kvm_ioctl(fd, KVM_CREATE_IRQCHIP, NULL, "make the interrupt controllers");

	for (unsigned i = 0; i < ARRAY_SIZE(chip_ids) && !err; i++) {
		vm->chips[i].chip_id = chip_ids[i];
		err = kvm_ioctl(fd, KVM_GET_IRQCHIP, &vm->chips[i], "read an interrupt controller");
	}
	if (!err)
		err = kvm_ioctl(fd, KVM_CREATE_PIT2, &pit, "make the timer chip");
	return err ? err : kvm_ioctl(fd, KVM_GET_PIT2, &vm->pit, "read the timer chip");
}

void kvm_arch_vm_exit(struct accel *accel)
{
	struct x86_vm *vm = x86_vm(accel);

	free(vm->cpuid);
	free(vm);
	kvm_vm(accel)->arch = NULL;
}

int kvm_arch_vm_init(struct accel *accel)
{
	struct x86_vm *vm = calloc(1, sizeof(*vm));
	int err;

	if (!vm)
		return fail(ENOMEM, "KVM: an x86-64 VM");
	kvm_vm(accel)->arch = vm;
	// A guest gets no performance counters; KVM need not keep any then.
	if (kvm_check(accel, KVM_CAP_PMU_CAPABILITY) & KVM_PMU_CAP_DISABLE &&
	    kvm_enable_cap(accel, KVM_CAP_PMU_CAPABILITY, KVM_PMU_CAP_DISABLE, "no counters"))
		debug("KVM keeps performance counters that the guest is not told of");
	err = read_cpuid(accel);
	if (!err)
		err = set_fixed_addresses(kvm_vm(accel)->fd);
	if (!err)
		err = make_irqchip(accel);
	if (err)
		kvm_arch_vm_exit(accel);
	return err;
}

// -- vCPUs --

static int set_cpuid(struct vcpu *vcpu)
{
	const struct x86_vm *vm = x86_vm(vcpu->accel);
	struct x86_cpuid_config config = vm->cpuid_config;
	struct kvm_cpuid2 *cpuid = malloc(cpuid_bytes());
	int khz = ioctl(kvm_vcpu(vcpu)->fd, KVM_GET_TSC_KHZ, NULL);
	int err;

	if (!cpuid)
		return fail(ENOMEM, "KVM: CPUID of vCPU %u", vcpu->index);
	memcpy(cpuid, vm->cpuid, cpuid_bytes());
	config.tsc_khz = (uint32_t)MAX(khz, 0);
	err = x86_cpuid_build(cpuid, &config, vcpu->index);
	if (!err)
		err = kvm_ioctl(kvm_vcpu(vcpu)->fd, KVM_SET_CPUID2, cpuid, "set a vCPU's CPUID");
	free(cpuid);
	return err;
}

struct state_part {
	unsigned long get, set;
	size_t offset; // in struct x86_vcpu
	const char *name;
};

// In the order in which they are put back: an APIC's mode is one of the sregs, and
// events last, since they belong to what is there then.
static const struct state_part state_parts[] = {
#define PART(name, member, text)                                                        \
	{                                                                               \
		KVM_GET_##name, KVM_SET_##name, offsetof(struct x86_vcpu, member), text \
	}
	PART(XSAVE, xsave, "FPU registers"),
	PART(XCRS, xcrs, "XCRs"),
	PART(SREGS, sregs, "system registers"),
	PART(LAPIC, lapic, "local APIC"),
	PART(REGS, regs, "registers"),
	PART(DEBUGREGS, debug, "debug registers"),
	PART(VCPU_EVENTS, events, "pending events"),
#undef PART
};

static int read_state(struct vcpu *vcpu)
{
	int err = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(state_parts) && !err; i++)
		err = kvm_ioctl(kvm_vcpu(vcpu)->fd, state_parts[i].get,
				(char *)x86_vcpu(vcpu) + state_parts[i].offset,
				state_parts[i].name);
	return err;
}

static int write_state(struct vcpu *vcpu, const struct x86_vcpu *state)
{
	int err = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(state_parts) && !err; i++)
		err = kvm_ioctl(kvm_vcpu(vcpu)->fd, state_parts[i].set,
				(char *)state + state_parts[i].offset, state_parts[i].name);
	return err;
}

void kvm_arch_vcpu_exit(struct vcpu *vcpu)
{
	free(x86_vcpu(vcpu));
	kvm_vcpu(vcpu)->arch = NULL;
}

int kvm_arch_vcpu_init(struct vcpu *vcpu)
{
	int err;

	kvm_vcpu(vcpu)->arch = calloc(1, sizeof(struct x86_vcpu));
	if (!x86_vcpu(vcpu))
		return fail(ENOMEM, "KVM: vCPU %u", vcpu->index);
	err = set_cpuid(vcpu);
	if (!err)
		err = read_state(vcpu);
	if (err)
		kvm_arch_vcpu_exit(vcpu);
	return err;
}

// -- reset --

static struct kvm_segment flat_segment(uint16_t selector, uint8_t type, bool long_mode)
{
	return (struct kvm_segment){
		.limit = 0xffffffff,
		.selector = selector,
		.type = type,
		.present = 1,
		.s = 1,
		.g = 1,
		.l = long_mode,
		.db = !long_mode,
	};
}

static void set_segments(struct kvm_sregs *sregs, bool long_mode)
{
	struct kvm_segment data = flat_segment(X86_BOOT_DS, SEGMENT_DATA, false);

	sregs->cs = flat_segment(X86_BOOT_CS, SEGMENT_CODE, long_mode);
	sregs->ds = data;
	sregs->es = data;
	sregs->fs = data;
	sregs->gs = data;
	sregs->ss = data;
	// Entering 64-bit mode needs a busy TSS; none is used before the kernel has its own.
	sregs->tr = (struct kvm_segment){ .limit = 0x67, .type = SEGMENT_TSS_BUSY, .present = 1 };
}

static void set_entry(struct x86_vcpu *state, const struct x86_entry *entry)
{
	struct kvm_sregs *sregs = &state->sregs;

	set_segments(sregs, entry->long_mode);
	sregs->gdt = (struct kvm_dtable){ entry->gdt_gpa, (uint16_t)(entry->gdt_bytes - 1) };
	sregs->idt = (struct kvm_dtable){ 0 };
	sregs->cr0 = CR0_PE | CR0_ET;
	if (entry->long_mode) {
		sregs->cr0 |= CR0_PG;
		sregs->cr3 = entry->cr3;
		sregs->cr4 = CR4_PAE;
		sregs->efer = EFER_LME | EFER_LMA;
	}
	state->regs = (struct kvm_regs){
		.rip = entry->rip,
		.rsp = entry->rsp,
		.rbx = entry->rbx,
		.rsi = entry->rsi,
		.rflags = RFLAGS_RESERVED,
	};
}

static int reset_vcpu(struct vcpu *vcpu, const struct x86_entry *entry)
{
	struct kvm_mp_state mp = {
		.mp_state = entry ? KVM_MP_STATE_RUNNABLE : KVM_MP_STATE_UNINITIALIZED,
	};
	struct x86_vcpu state = *x86_vcpu(vcpu);
	int err;

	if (entry)
		set_entry(&state, entry);
	err = write_state(vcpu, &state);
	if (!err)
		err = x86_msr_reset(vcpu);
	return err ? err : kvm_ioctl(kvm_vcpu(vcpu)->fd, KVM_SET_MP_STATE, &mp, "vCPU state");
}

static int reset_irqchip(struct accel *accel, uint32_t level_gsis)
{
	struct x86_vm *vm = x86_vm(accel);
	int fd = kvm_vm(accel)->fd, err = 0;

	// The 8259s' edge/level registers, which firmware would have set.
	vm->chips[0].chip.pic.elcr = (uint8_t)level_gsis;
	vm->chips[1].chip.pic.elcr = (uint8_t)(level_gsis >> 8);
	for (unsigned i = 0; i < ARRAY_SIZE(vm->chips) && !err; i++)
		err = kvm_ioctl(fd, KVM_SET_IRQCHIP, &vm->chips[i],
				"reset an interrupt controller");
	return err ? err : kvm_ioctl(fd, KVM_SET_PIT2, &vm->pit, "reset the timer chip");
}

static void set_gsi(struct accel *accel, unsigned gsi, bool high)
{
	kvm_irq_line(accel, gsi, high);
}

// -- exits --

enum vcpu_exit kvm_arch_handle_exit(struct vcpu *vcpu, bool *handled)
{
	if (kvm_vcpu(vcpu)->run->exit_reason != KVM_EXIT_SHUTDOWN)
		return VCPU_EXIT_KICKED;
	*handled = true;
	err("vCPU %u: triple fault: an exception found no handler that works, nor did those that "
	    "this led to",
	    vcpu->index);
	return VCPU_EXIT_CRASH;
}

void kvm_arch_before_run(struct vcpu *vcpu)
{
}

// -- report --

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

// What rip points at, as far as it lies on one page of RAM.
static void add_code(struct text *text, struct vcpu *vcpu, uint64_t rip)
{
	struct kvm_translation where = { .linear_address = rip };
	size_t len = MIN(16U, 4096 - rip % 4096);
	const uint8_t *code = NULL;

	if (ioctl(kvm_vcpu(vcpu)->fd, KVM_TRANSLATE, &where) == 0 && where.valid)
		code = memory_ptr(vcpu->accel->memory, where.physical_address, len);
	add(text, "code at rip:%s", code ? "" : " none, that is no RAM");
	for (size_t i = 0; code && i < len; i++)
		add(text, " %02x", code[i]);
	add(text, "\n");
}

size_t kvm_arch_dump(struct vcpu *vcpu, char *data, size_t size)
{
	struct text text = { .data = data, .size = size };
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	if (ioctl(kvm_vcpu(vcpu)->fd, KVM_GET_REGS, &regs) < 0 ||
	    ioctl(kvm_vcpu(vcpu)->fd, KVM_GET_SREGS, &sregs) < 0)
		return 0;
	// KVM with AMD's SVM resets a CPU that has shut down: its registers are lost.
	if (regs.rip == 0xfff0 && sregs.cs.base == 0xffff0000)
		add(&text, "those of a CPU after reset: the host's KVM has not kept them\n");
	add_regs(&text, &regs);
	add_sregs(&text, &sregs);
	add_code(&text, vcpu, sregs.cs.base + regs.rip);
	return MIN(text.used, size);
}

static const struct x86_accel_ops x86_ops = {
	.reset_vcpu = reset_vcpu,
	.reset_irqchip = reset_irqchip,
	.set_gsi = set_gsi,
};

const struct accel_ops kvm_accel_ops = {
	.name = "kvm",
	.available = kvm_available,
	.vm_init = kvm_vm_init,
	.vm_exit = kvm_vm_exit,
	.map_ram = kvm_map_ram,
	.vcpu_init = kvm_vcpu_init,
	.vcpu_exit = kvm_vcpu_exit,
	.dump = kvm_arch_dump,
	.run = kvm_run_vcpu,
	.kick = kvm_kick,
	.x86 = &x86_ops,
};
