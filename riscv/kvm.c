// SPDX-License-Identifier: GPL-2.0-or-later
// KVM on RISC-V: the accelerator's table, exits, interrupts and reset.
//
// KVM answers the SBI calls about time, IPIs, fences and harts; what it forwards goes
// to riscv/sbi.c like the software engine's calls. It never leaves a hart's state in
// M mode: a guest begins in S mode.

#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <unistd.h>

#include "kvm-host.h"
#include "kvm-regs.h"
#include "log.h"
#include "memory.h"
#include "vm-config.h"

// The entropy source's CSR (Zkr, unprivileged spec 31.4): OPST in the top two bits,
// 2 for 16 bits of entropy below.
#define CSR_SEED 0x015
#define SEED_ES16 (2U << 30)

#define SCOUNTEREN_ALL 7             // cycle, time, instret
#define SRST_REASON_SYSTEM_FAILURE 1 // SBI 2.0 10.1

// -- registers --

static int access_reg(struct vcpu *vcpu, unsigned long request, uint64_t id, uint64_t *value)
{
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)value };

	return ioctl(kvm_vcpu(vcpu)->fd, request, &reg) < 0 ? -errno : 0;
}

int riscv_kvm_try_set(struct vcpu *vcpu, uint64_t id, uint64_t value)
{
	return access_reg(vcpu, KVM_SET_ONE_REG, id, &value);
}

int riscv_kvm_try_get(struct vcpu *vcpu, uint64_t id, uint64_t *value)
{
	return access_reg(vcpu, KVM_GET_ONE_REG, id, value);
}

// -- life --

struct riscv_kvm *riscv_kvm(const struct accel *accel)
{
	return kvm_vm(accel)->arch;
}

unsigned long kvm_arch_vm_type(const struct vm_config *config, int dev_fd)
{
	return 0;
}

int kvm_arch_vm_init(struct accel *accel)
{
	struct riscv_kvm *kvm = calloc(1, sizeof(*kvm));

	if (!kvm)
		return fail(ENOMEM, "KVM: a VM");
	kvm->aia_fd = riscv_kvm_aia_open(accel);
	kvm_vm(accel)->arch = kvm;
	return 0;
}

void kvm_arch_vm_exit(struct accel *accel)
{
	struct riscv_kvm *kvm = riscv_kvm(accel);

	if (kvm->aia_fd >= 0)
		close(kvm->aia_fd);
	free(kvm->held_clock);
	free(kvm);
}

int kvm_arch_vcpu_init(struct vcpu *vcpu)
{
	int err = riscv_kvm_configure(vcpu);

	if (err)
		kvm_arch_vcpu_exit(vcpu);
	return err;
}

void kvm_arch_vcpu_exit(struct vcpu *vcpu)
{
	free(kvm_vcpu(vcpu)->arch);
}

// -- exits --

void kvm_arch_after_run(struct vcpu *vcpu)
{
}

static enum vcpu_exit handle_sbi(struct vcpu *vcpu, struct kvm_run *run)
{
	struct guest_call call = {
		.extension = run->riscv_sbi.extension_id,
		.function = run->riscv_sbi.function_id,
	};
	enum vcpu_exit exit;

	for (unsigned i = 0; i < ARRAY_SIZE(call.args); i++)
		call.args[i] = run->riscv_sbi.args[i];
	exit = vcpu_guest_call(vcpu, &call);
	run->riscv_sbi.ret[0] = call.ret[0];
	// KVM writes both registers back.
	run->riscv_sbi.ret[1] = call.legacy ? call.args[1] : call.ret[1];
	return exit;
}

static enum vcpu_exit handle_csr(struct vcpu *vcpu, struct kvm_run *run)
{
	uint16_t entropy;

	// So few bytes always come at once.
	if (getrandom(&entropy, sizeof(entropy), 0) != sizeof(entropy)) {
		fail(errno, "vCPU %u: getrandom", vcpu->index);
		return VCPU_EXIT_FAILED;
	}
	run->riscv_csr.ret_value = SEED_ES16 | entropy;
	return VCPU_EXIT_KICKED;
}

enum vcpu_exit kvm_arch_handle_exit(struct vcpu *vcpu, bool *handled)
{
	struct kvm_run *run = kvm_vcpu(vcpu)->run;

	*handled = true;
	if (run->exit_reason == KVM_EXIT_RISCV_SBI)
		return handle_sbi(vcpu, run);
	if (run->exit_reason == KVM_EXIT_RISCV_CSR && run->riscv_csr.csr_num == CSR_SEED)
		return handle_csr(vcpu, run);
	if (run->exit_reason == KVM_EXIT_SYSTEM_EVENT &&
	    run->system_event.type == KVM_SYSTEM_EVENT_SHUTDOWN && run->system_event.ndata &&
	    run->system_event.data[0] == SRST_REASON_SYSTEM_FAILURE)
		return VCPU_EXIT_CRASH; // as riscv/sbi.c has it
	*handled = false;
	return VCPU_EXIT_FAILED;
}

// -- interrupts --

// KVM has one input: the supervisor's external interrupt.
static void riscv_irq(struct vcpu *vcpu, unsigned line, bool high)
{
	struct kvm_interrupt interrupt = { .irq = high ? KVM_INTERRUPT_SET : KVM_INTERRUPT_UNSET };

	if (line == RISCV_IRQ_S_EXT && ioctl(kvm_vcpu(vcpu)->fd, KVM_INTERRUPT, &interrupt) < 0)
		warn_ratelimited(&kvm_vm(vcpu->accel)->irq_limit, "vCPU %u: KVM_INTERRUPT: %m",
				 vcpu->index);
}

// -- reset --

// What outlives a reset in KVM unless it is taken back: the timer, and the address at
// which the last kernel asked to be told of stolen time. Not every host has them.
static void reset_services(struct vcpu *vcpu)
{
	riscv_kvm_try_set(vcpu, KVM_RISCV_REG(KVM_RISCV_TIMER, KVM_RISCV_TIMER_COMPARE),
			  UINT64_MAX);
	// Fails where no timer runs.
	riscv_kvm_try_set(vcpu, KVM_RISCV_REG(KVM_RISCV_TIMER, KVM_RISCV_TIMER_STATE),
			  KVM_RISCV_TIMER_OFF);
	riscv_kvm_try_set(vcpu, KVM_RISCV_REG(KVM_RISCV_SBI_STATE, KVM_RISCV_STA_SHMEM_LO),
			  UINT64_MAX);
	riscv_kvm_try_set(vcpu, KVM_RISCV_REG(KVM_RISCV_SBI_STATE, KVM_RISCV_STA_SHMEM_HI),
			  UINT64_MAX);
}

static int reset_csrs(struct vcpu *vcpu)
{
	for (unsigned i = 0; i < KVM_RISCV_CSR_SENVCFG; i++) {
		// User mode reads time: Linux counts on its environment for that.
		uint64_t value = i == KVM_RISCV_CSR_SCOUNTEREN ? SCOUNTEREN_ALL : 0;
		int ret = kvm_set_reg(vcpu, KVM_RISCV_REG(KVM_RISCV_CSR, i), value, "reset a CSR");

		if (ret)
			return ret;
	}
	// Younger than KVM itself.
	riscv_kvm_try_set(vcpu, KVM_RISCV_REG(KVM_RISCV_CSR, KVM_RISCV_CSR_SENVCFG), 0);
	for (unsigned i = 0; i < KVM_RISCV_CSR_AIA_COUNT; i++)
		riscv_kvm_try_set(vcpu, KVM_RISCV_REG(KVM_RISCV_CSR, KVM_RISCV_CSR_AIA(i)), 0);
	return 0;
}

static int reset_core(struct vcpu *vcpu, uint64_t pc, uint64_t a0, uint64_t a1)
{
	for (unsigned i = KVM_RISCV_CORE_PC; i <= KVM_RISCV_CORE_MODE; i++) {
		uint64_t value = i == KVM_RISCV_CORE_PC   ? pc :
				 i == KVM_RISCV_CORE_A0   ? a0 :
				 i == KVM_RISCV_CORE_A1   ? a1 :
				 i == KVM_RISCV_CORE_MODE ? KVM_RISCV_CORE_MODE_S :
							    0;
		int ret = kvm_set_reg(vcpu, KVM_RISCV_REG(KVM_RISCV_CORE, i), value,
				      "reset a register");

		if (ret)
			return ret;
	}
	return 0;
}

// A stopped hart's registers are KVM's affair: it resets them when HSM starts it.
static int riscv_reset(struct vcpu *vcpu, bool started, uint64_t pc, uint64_t a0, uint64_t a1)
{
	struct kvm_mp_state state = {
		.mp_state = started ? KVM_MP_STATE_RUNNABLE : KVM_MP_STATE_STOPPED,
	};
	int ret;

	reset_services(vcpu);
	ret = reset_csrs(vcpu);
	if (!ret)
		ret = reset_core(vcpu, pc, a0, a1);
	if (!ret)
		ret = kvm_ioctl(kvm_vcpu(vcpu)->fd, KVM_SET_MP_STATE, &state,
				"start or stop a hart");
	return ret;
}

// -- reports --

struct dump {
	char *text;
	size_t size;
	size_t used;
};

static void add(struct dump *dump, const char *name, uint64_t value, const char *end)
{
	if (dump->used < dump->size)
		dump->used += (size_t)snprintf(dump->text + dump->used, dump->size - dump->used,
					       "%-8s %016llx%s", name, (unsigned long long)value,
					       end);
}

static uint64_t reg_or_0(struct vcpu *vcpu, unsigned type, unsigned index)
{
	uint64_t value;

	return riscv_kvm_try_get(vcpu, KVM_RISCV_REG(type, index), &value) ? 0 : value;
}

// With the MMU on, the guest's page tables would have to be walked; it is of use
// mostly before that, when a guest has lost its way.
static void add_instruction(struct vcpu *vcpu, struct dump *dump, uint64_t pc, uint64_t satp)
{
	const uint8_t *code = satp ? NULL : memory_ptr(vcpu->accel->memory, pc, 4);

	if (code && dump->used < dump->size)
		dump->used += (size_t)snprintf(dump->text + dump->used, dump->size - dump->used,
					       "bytes at pc: %02x %02x %02x %02x\n", code[0],
					       code[1], code[2], code[3]);
}

size_t kvm_arch_dump(struct vcpu *vcpu, char *text, size_t size)
{
	static const char *const csr_names[] = {
		"sstatus", "sie", "stvec", "sscratch", "sepc", "scause", "stval", "sip", "satp",
	};
	struct dump dump = { .text = text, .size = size };
	uint64_t pc = reg_or_0(vcpu, KVM_RISCV_CORE, KVM_RISCV_CORE_PC);

	add(&dump, "pc", pc, "\n");
	for (unsigned i = 1; i < 32; i++) {
		char name[8];

		snprintf(name, sizeof(name), "x%u", i);
		add(&dump, name, reg_or_0(vcpu, KVM_RISCV_CORE, i), i % 3 ? "  " : "\n");
	}
	add(&dump, "mode", reg_or_0(vcpu, KVM_RISCV_CORE, KVM_RISCV_CORE_MODE), "\n");
	for (unsigned i = 0; i < ARRAY_SIZE(csr_names); i++)
		add(&dump, csr_names[i], reg_or_0(vcpu, KVM_RISCV_CSR, i), i % 3 < 2 ? "  " : "\n");
	add_instruction(vcpu, &dump, pc, reg_or_0(vcpu, KVM_RISCV_CSR, KVM_RISCV_CSR_SATP));
	return MIN(dump.used, size);
}

static const struct riscv_accel_ops riscv_ops = {
	.cpu_info = riscv_kvm_cpu_info,
	.reset = riscv_reset,
	.aia = &riscv_kvm_aia_ops,
	.configurable = true,
};

const struct accel_ops kvm_accel_ops = {
	.name = "kvm",
	.available = kvm_available,
	.vm_init = kvm_vm_init,
	.vm_exit = kvm_vm_exit,
	.metrics = kvm_metrics,
	.map_ram = kvm_map_ram,
	.vcpu_init = kvm_vcpu_init,
	.vcpu_exit = kvm_vcpu_exit,
	.dump = kvm_arch_dump,
	.view = riscv_kvm_view,
	.run = kvm_run_vcpu,
	.kick = kvm_kick,
	.doorbell_fd = kvm_doorbell_fd,
	.irq_fd = kvm_irq_fd,
	.hold_clock = riscv_kvm_hold_clock,
	.irq = riscv_irq,
	.riscv = &riscv_ops,
};
