// SPDX-License-Identifier: GPL-2.0-or-later
// KVM on arm64: the VM's and the vCPUs' features, their registers, exits.
//
// Facts: Linux's Documentation/virt/kvm/api.rst and devices/vcpu.rst. PSCI is
// answered in the kernel; what comes out of it is KVM_EXIT_SYSTEM_EVENT.

#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "arm-machine.h"
#include "kvm-arm.h"
#include "kvm-host.h"
#include "log.h"
#include "vm-config.h"

#define CORE_REG(field) KVM_ARM_CORE_REG(field)
#define X_REG(number) KVM_ARM_X_REG(number)

#define MPIDR_EL1 ARM64_SYS_REG(3, 0, 0, 0, 5)
#define MPIDR_AFFINITY 0xff00ffffffULL // Aff3, then Aff2 to Aff0 (Arm ARM, D19.2.100)

#define IPA_DEFAULT_BITS 40 // of a KVM that cannot be asked
#define IPA_MIN_BITS 32U

// -- the VM --

static unsigned needed_ipa_bits(const struct vm_config *config)
{
	uint64_t last_gpa = ARM_RAM_BASE + config->memory_bytes - 1;

	return MAX(64U - __builtin_clzll(last_gpa), IPA_MIN_BITS);
}

static unsigned max_ipa_bits(int dev_fd)
{
	int bits = ioctl(dev_fd, KVM_CHECK_EXTENSION, KVM_CAP_ARM_VM_IPA_SIZE);

	return bits > 0 ? (unsigned)bits : IPA_DEFAULT_BITS;
}

// No more than needed: each further level of stage 2 lengthens the walk of a TLB miss.
unsigned long kvm_arch_vm_type(const struct vm_config *config, int dev_fd)
{
	if (ioctl(dev_fd, KVM_CHECK_EXTENSION, KVM_CAP_ARM_VM_IPA_SIZE) <= 0)
		return 0;
	return KVM_VM_TYPE_ARM_IPA_SIZE(MIN(needed_ipa_bits(config), max_ipa_bits(dev_fd)));
}

static int check_ipa(struct accel *accel)
{
	unsigned bits = max_ipa_bits(kvm_vm(accel)->dev_fd);

	if (needed_ipa_bits(accel->config) <= bits)
		return 0;
	return fail_msg(EINVAL,
			"-m: %llu MiB; the host's CPU has %u bits of guest address, which are "
			"enough for %llu MiB",
			(unsigned long long)(accel->config->memory_bytes / MIB), bits,
			(unsigned long long)(((1ULL << bits) - ARM_RAM_BASE) / MIB));
}

static int no_feature(const char *option, const char *what)
{
	return fail_msg(ENOTSUP, "%s: the host's KVM has no %s for guests; leave the option out",
			option, what);
}

static void want(struct kvm_arm_vm *arm, unsigned feature)
{
	arm->init.features[feature / 32] |= 1U << feature % 32;
}

static int choose_pmu(struct accel *accel, struct kvm_arm_vm *arm)
{
	if (!accel->config->pmu)
		return 0;
	if (!kvm_check(accel, KVM_CAP_ARM_PMU_V3))
		return no_feature("--pmu", "performance counters");
	arm->has_pmu = true;
	want(arm, KVM_ARM_VCPU_PMU_V3);
	return 0;
}

static int choose_sve(struct accel *accel, struct kvm_arm_vm *arm)
{
	arm->has_sve = kvm_check(accel, KVM_CAP_ARM_SVE);
	if (!arm->has_sve)
		return accel->config->sve_max_vl ? no_feature("--sve-max-vl", "SVE") : 0;
	want(arm, KVM_ARM_VCPU_SVE);
	return 0;
}

// Either both kinds of keys or none (api.rst, KVM_ARM_VCPU_INIT).
static void choose_ptrauth(struct accel *accel, struct kvm_arm_vm *arm)
{
	if (!kvm_check(accel, KVM_CAP_ARM_PTRAUTH_ADDRESS) ||
	    !kvm_check(accel, KVM_CAP_ARM_PTRAUTH_GENERIC))
		return;
	want(arm, KVM_ARM_VCPU_PTRAUTH_ADDRESS);
	want(arm, KVM_ARM_VCPU_PTRAUTH_GENERIC);
}

// KVM refuses SVE, pointer authentication and tagging for them.
static int choose_aarch32(struct accel *accel, struct kvm_arm_vm *arm)
{
	if (!kvm_check(accel, KVM_CAP_ARM_EL1_32BIT))
		return no_feature("--aarch32", "32-bit CPUs");
	if (accel->config->sve_max_vl)
		return no_feature("--sve-max-vl", "SVE with --aarch32");
	want(arm, KVM_ARM_VCPU_EL1_32BIT);
	return 0;
}

static int choose_aarch64(struct accel *accel, struct kvm_arm_vm *arm)
{
	choose_ptrauth(accel, arm);
	return choose_sve(accel, arm);
}

static int choose_features(struct accel *accel, struct kvm_arm_vm *arm)
{
	int rc = kvm_ioctl(kvm_vm(accel)->fd, KVM_ARM_PREFERRED_TARGET, &arm->init,
			   "kind of vCPU (KVM_ARM_PREFERRED_TARGET)");

	if (rc)
		return rc;
	if (!kvm_check(accel, KVM_CAP_ARM_PSCI_0_2))
		return fail_msg(ENOTSUP, "the host's KVM has no PSCI 0.2; it needs Linux 3.16 or "
					 "newer");
	want(arm, KVM_ARM_VCPU_PSCI_0_2);
	rc = choose_pmu(accel, arm);
	if (rc)
		return rc;
	return accel->config->aarch32 ? choose_aarch32(accel, arm) : choose_aarch64(accel, arm);
}

static int enable_caps(struct accel *accel)
{
	bool want_mte = !accel->config->no_mte && !accel->config->aarch32;
	int rc = 0;

	// Else an access that KVM cannot take apart would end KVM_RUN with ENOSYS.
	if (kvm_check(accel, KVM_CAP_ARM_NISV_TO_USER))
		rc = kvm_enable_cap(accel, KVM_CAP_ARM_NISV_TO_USER, 0, "KVM_CAP_ARM_NISV_TO_USER");
	if (!rc && want_mte && kvm_check(accel, KVM_CAP_ARM_MTE))
		rc = kvm_enable_cap(accel, KVM_CAP_ARM_MTE, 0, "memory tagging (--disable-mte?)");
	return rc;
}

int kvm_arch_vm_init(struct accel *accel)
{
	struct kvm_arm_vm *arm = calloc(1, sizeof(*arm));
	int rc;

	if (!arm)
		return fail(ENOMEM, "KVM: an arm64 VM");
	arm->gic_fd = arm->its_fd = -1;
	kvm_vm(accel)->arch = arm;
	rc = check_ipa(accel);
	if (!rc)
		rc = choose_features(accel, arm);
	if (!rc)
		rc = enable_caps(accel);
	if (rc)
		kvm_arch_vm_exit(accel);
	return rc;
}

void kvm_arch_vm_exit(struct accel *accel)
{
	kvm_vgic_close(accel);
	free(kvm_vm(accel)->arch);
	kvm_vm(accel)->arch = NULL;
}

// -- vCPUs --

// Takes the lengths beyond the longest wanted out of the set that the host has: bit n of
// the set is 128 * (n + 1) bits (api.rst, KVM_REG_ARM64_SVE_VLS).
static int limit_sve(struct vcpu *vcpu, unsigned max_bits)
{
	uint64_t lengths[KVM_ARM64_SVE_VLS_WORDS];
	struct kvm_one_reg reg = { .id = KVM_REG_ARM64_SVE_VLS, .addr = (uintptr_t)lengths };
	int rc;

	if (!max_bits)
		return 0;
	rc = kvm_ioctl(kvm_vcpu(vcpu)->fd, KVM_GET_ONE_REG, &reg, "get SVE's vector lengths");
	if (rc)
		return rc;
	for (unsigned n = max_bits / 128; n < KVM_ARM64_SVE_VLS_WORDS * 64; n++)
		lengths[n / 64] &= ~(1ULL << n % 64);
	return kvm_ioctl(kvm_vcpu(vcpu)->fd, KVM_SET_ONE_REG, &reg, "set SVE's vector lengths");
}

static int init_sve(struct vcpu *vcpu)
{
	int what = KVM_ARM_VCPU_SVE;
	int rc = limit_sve(vcpu, vcpu->accel->config->sve_max_vl);

	return rc ? rc : kvm_ioctl(kvm_vcpu(vcpu)->fd, KVM_ARM_VCPU_FINALIZE, &what, "finish SVE");
}

// Also puts all registers back to their state of reset; the features never change.
static int init_registers(struct vcpu *vcpu)
{
	struct kvm_vcpu_init init = kvm_arm_vm(vcpu->accel)->init;

	if (vcpu->index)
		init.features[0] |= 1U << KVM_ARM_VCPU_POWER_OFF;
	return kvm_ioctl(kvm_vcpu(vcpu)->fd, KVM_ARM_VCPU_INIT, &init, "reset a vCPU");
}

int kvm_arch_vcpu_init(struct vcpu *vcpu)
{
	struct kvm_arm_vcpu *arm = calloc(1, sizeof(*arm));
	int rc;

	if (!arm)
		return fail(ENOMEM, "KVM: vCPU %u", vcpu->index);
	kvm_vcpu(vcpu)->arch = arm;
	rc = init_registers(vcpu);
	if (!rc && kvm_arm_vm(vcpu->accel)->has_sve)
		rc = init_sve(vcpu);
	if (rc)
		kvm_arch_vcpu_exit(vcpu);
	return rc;
}

void kvm_arch_vcpu_exit(struct vcpu *vcpu)
{
	free(kvm_vcpu(vcpu)->arch);
	kvm_vcpu(vcpu)->arch = NULL;
}

static int cpu_info(struct vcpu *vcpu, struct arm_cpu_info *info)
{
	uint64_t mpidr;
	int rc = kvm_get_reg(vcpu, MPIDR_EL1, &mpidr, "get MPIDR_EL1");

	*info = (struct arm_cpu_info){
		.mpidr = mpidr & MPIDR_AFFINITY,
		.has_pmu = kvm_arm_vm(vcpu->accel)->has_pmu,
	};
	return rc;
}

static int set_stolen_time(struct vcpu *vcpu, uint64_t gpa)
{
	if (!kvm_check(vcpu->accel, KVM_CAP_STEAL_TIME))
		return 0;
	return kvm_device_set(kvm_vcpu(vcpu)->fd, KVM_ARM_VCPU_PVTIME_CTRL, KVM_ARM_VCPU_PVTIME_IPA,
			      &gpa, "place of a vCPU's stolen time (--no-pvtime?)");
}

// -- interrupts of timers and PMU, where the GIC is not KVM's --

static const struct {
	uint64_t bit; // of kvm_run.s.regs.device_irq_level
	unsigned intid;
} device_irqs[] = {
	{ KVM_ARM_DEV_EL1_VTIMER, ARM_INTID_VIRT_TIMER },
	{ KVM_ARM_DEV_EL1_PTIMER, ARM_INTID_PHYS_TIMER },
	{ KVM_ARM_DEV_PMU, ARM_INTID_PMU },
};

static void set_ppi_sink(struct accel *accel, struct arm_ppi_sink sink)
{
	kvm_arm_vm(accel)->sink = sink;
}

static void tell_device_irqs(struct vcpu *vcpu, uint64_t levels)
{
	const struct arm_ppi_sink *sink = &kvm_arm_vm(vcpu->accel)->sink;
	struct kvm_arm_vcpu *arm = kvm_arm_vcpu(vcpu);
	uint64_t changed = levels ^ arm->told_levels;

	for (unsigned i = 0; i < ARRAY_SIZE(device_irqs) && changed; i++)
		if (changed & device_irqs[i].bit)
			sink->set_ppi(sink->opaque, vcpu, device_irqs[i].intid,
				      levels & device_irqs[i].bit);
	arm->told_levels = levels;
}

// KVM leaves the guest whenever a level differs from the one shown here, and takes what
// stands here for known, so it is only read (api.rst, KVM_CAP_ARM_USER_IRQ). A guest that
// has just masked its timer may be here for a look into the GIC.
void kvm_arch_after_run(struct vcpu *vcpu)
{
	if (kvm_arm_vm(vcpu->accel)->sink.set_ppi)
		tell_device_irqs(vcpu, kvm_vcpu(vcpu)->run->s.regs.device_irq_level);
}

static void set_input(struct vcpu *vcpu, unsigned line, bool high)
{
	unsigned number = line == ARM_LINE_FIQ ? KVM_ARM_IRQ_CPU_FIQ : KVM_ARM_IRQ_CPU_IRQ;

	kvm_irq_line(vcpu->accel,
		     KVM_ARM_IRQ_TYPE_CPU << KVM_ARM_IRQ_TYPE_SHIFT |
			     (vcpu->index & KVM_ARM_IRQ_VCPU_MASK) << KVM_ARM_IRQ_VCPU_SHIFT |
			     number << KVM_ARM_IRQ_NUM_SHIFT,
		     high);
}

// -- reset --

// What an entry finds in registers beyond what KVM's own reset leaves: EL1 (or SVC mode),
// interrupts masked, MMU off, all else zero.
static int set_entry(struct vcpu *vcpu, uint64_t pc, uint64_t fdt_gpa)
{
	bool aarch32 = vcpu->accel->config->aarch32;
	int rc = kvm_set_reg(vcpu, CORE_REG(regs.pc), pc, "set pc");

	// r1: a machine type that there is not, so that the tree counts.
	if (!rc && aarch32)
		rc = kvm_set_reg(vcpu, X_REG(1), UINT32_MAX, "set r1");
	return rc ? rc : kvm_set_reg(vcpu, X_REG(aarch32 ? 2 : 0), fdt_gpa, "set x0 or r2");
}

static int reset(struct vcpu *vcpu, bool started, uint64_t pc, uint64_t fdt_gpa)
{
	int rc = init_registers(vcpu);

	if (!rc && kvm_arm_vm(vcpu->accel)->sink.set_ppi)
		tell_device_irqs(vcpu, 0);
	return rc || !started ? rc : set_entry(vcpu, pc, fdt_gpa);
}

// -- exits --

// A load or store whose syndrome does not say what it wants (of a pair, with write-back)
// hit no RAM. The guest gets what a bus gives that has nothing there.
static enum vcpu_exit abort_access(struct vcpu *vcpu)
{
	struct kvm_vcpu *kvcpu = kvm_vcpu(vcpu);
	struct kvm_vcpu_events events = { 0 };
	uint64_t gpa = kvcpu->run->arm_nisv.fault_ipa;

	warn_ratelimited(&kvm_arm_vm(vcpu->accel)->nisv_limit,
			 "vCPU %u: accesses %#llx, which is not RAM, by an instruction that KVM "
			 "cannot take apart (ESR_EL2.ISS %#llx); it gets an external abort",
			 vcpu->index, (unsigned long long)gpa,
			 (unsigned long long)kvcpu->run->arm_nisv.esr_iss);
	if (!kvm_check(vcpu->accel, KVM_CAP_ARM_INJECT_EXT_DABT))
		return VCPU_EXIT_FAILED;
	events.exception.ext_dabt_pending = 1;
	if (kvm_ioctl(kvcpu->fd, KVM_SET_VCPU_EVENTS, &events, "give the guest an abort"))
		return VCPU_EXIT_FAILED;
	return VCPU_EXIT_KICKED;
}

enum vcpu_exit kvm_arch_handle_exit(struct vcpu *vcpu, bool *handled)
{
	if (kvm_vcpu(vcpu)->run->exit_reason != KVM_EXIT_ARM_NISV)
		return VCPU_EXIT_KICKED;
	*handled = true;
	return abort_access(vcpu);
}

// -- report --

static const struct {
	const char *name;
	uint64_t id;
} dumped[] = {
	{ "pc", CORE_REG(regs.pc) },
	{ "pstate", CORE_REG(regs.pstate) },
	{ "sp_el0", CORE_REG(regs.sp) },
	{ "sp_el1", CORE_REG(sp_el1) },
	{ "elr_el1", CORE_REG(elr_el1) },
	{ "spsr_el1", CORE_REG(spsr[KVM_SPSR_EL1]) },
	{ "esr_el1", ARM64_SYS_REG(3, 0, 5, 2, 0) },
	{ "far_el1", ARM64_SYS_REG(3, 0, 6, 0, 0) },
	{ "vbar_el1", ARM64_SYS_REG(3, 0, 12, 0, 0) },
	{ "sctlr_el1", ARM64_SYS_REG(3, 0, 1, 0, 0) },
	{ "tcr_el1", ARM64_SYS_REG(3, 0, 2, 0, 2) },
	{ "ttbr0_el1", ARM64_SYS_REG(3, 0, 2, 0, 0) },
	{ "ttbr1_el1", ARM64_SYS_REG(3, 0, 2, 0, 1) },
};

#define COLUMNS 3

struct text {
	char *text;
	size_t size;
	size_t used;
	unsigned column;
};

static void add_register(struct text *text, struct vcpu *vcpu, const char *name, uint64_t id)
{
	size_t room = text->used < text->size ? text->size - text->used : 0;
	const char *end = ++text->column % COLUMNS ? "  " : "\n";
	uint64_t value;

	if (kvm_get_reg(vcpu, id, &value, name))
		return;
	text->used += (size_t)snprintf(room ? text->text + text->used : NULL, room,
				       "%-9s %016llx%s", name, (unsigned long long)value, end);
}

size_t kvm_arch_dump(struct vcpu *vcpu, char *text, size_t size)
{
	struct text out = { .text = text, .size = size };

	for (unsigned i = 0; i < ARRAY_SIZE(dumped); i++)
		add_register(&out, vcpu, dumped[i].name, dumped[i].id);
	for (unsigned i = 0; i < 31; i++) {
		char name[8];

		snprintf(name, sizeof(name), "x%u", i);
		add_register(&out, vcpu, name, X_REG(i));
	}
	return MIN(out.used, size ? size - 1 : 0);
}

// -- the accelerator --

// -- the clock --

// Writing one vCPU's virtual counter sets the offset of all of them. A timer counts by it
// from the vCPU's next run on. The physical counter is left alone: Linux uses it only
// where it is a hypervisor itself.
static void hold_clock(struct accel *accel, bool hold)
{
	struct kvm_arm_vm *arm = kvm_arm_vm(accel);
	struct vcpu *first = &accel->vcpus->vcpus[0];

	if (hold) {
		arm->clock_is_held = !kvm_get_reg(first, KVM_REG_ARM_TIMER_CNT, &arm->held_count,
						  "read the virtual counter");
		return;
	}
	if (arm->clock_is_held &&
	    kvm_set_reg(first, KVM_REG_ARM_TIMER_CNT, arm->held_count, "set the virtual counter"))
		warn("the guest's clock jumps over the pause");
}

static const struct arm_accel_ops arm_ops = {
	.has_gic = kvm_vgic_available,
	.gic_create = kvm_vgic_create,
	.set_ppi_sink = set_ppi_sink,
	.start = kvm_vgic_start,
	.gic_reset = kvm_vgic_reset,
	.cpu_info = cpu_info,
	.set_stolen_time = set_stolen_time,
	.reset = reset,
	.set_spi = kvm_vgic_set_spi,
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
	.view = kvm_arm_view,
	.run = kvm_run_vcpu,
	.kick = kvm_kick,
	.doorbell_fd = kvm_doorbell_fd,
	.show_page = kvm_show_page,
	.irq_fd = kvm_irq_fd,
	.hold_clock = hold_clock,
	.irq = set_input,
	.arm = &arm_ops,
};
