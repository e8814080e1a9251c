// SPDX-License-Identifier: GPL-2.0-or-later
// KVM's GICs: vGICv2, vGICv3 and its ITS (Linux's Documentation/virt/kvm/devices/
// arm-vgic.rst, arm-vgic-v3.rst, arm-vgic-its.rst).
//
// Two stages, since the guest pays for each interrupt that there might be: create()
// says where the registers are, start() how many interrupts, once that is known.
// KVM cannot reset them, so reset() writes every register that a guest can have
// changed, as a migration would.
#include <errno.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "arm-machine.h"
#include "kvm-arm.h"
#include "kvm-host.h"
#include "vm-config.h"

#define ALL 0xffffffffU

static bool is_v3(enum arm_gic kind)
{
	return kind == ARM_GIC_V3 || kind == ARM_GIC_V3_ITS;
}

// -- creation --

static bool has_device(struct accel *accel, unsigned type)
{
	struct kvm_create_device device = { .type = type, .flags = KVM_CREATE_DEVICE_TEST };

	return ioctl(kvm_vm(accel)->fd, KVM_CREATE_DEVICE, &device) == 0;
}

bool kvm_vgic_available(struct accel *accel, enum arm_gic kind)
{
	switch (kind) {
	case ARM_GIC_USER:
		// Without it the guest's timer would never be heard of.
		return kvm_check(accel, KVM_CAP_ARM_USER_IRQ);
	case ARM_GIC_V2:
		return has_device(accel, KVM_DEV_TYPE_ARM_VGIC_V2);
	case ARM_GIC_V3:
		return has_device(accel, KVM_DEV_TYPE_ARM_VGIC_V3);
	case ARM_GIC_V3_ITS:
		return has_device(accel, KVM_DEV_TYPE_ARM_VGIC_V3) &&
		       has_device(accel, KVM_DEV_TYPE_ARM_VGIC_ITS);
	default:
		return false;
	}
}

static int set_address(int fd, uint64_t type, uint64_t gpa, const char *what)
{
	return kvm_device_set(fd, KVM_DEV_ARM_VGIC_GRP_ADDR, type, &gpa, what);
}

static int create_v2(struct accel *accel, struct kvm_arm_vm *arm)
{
	int rc;

	arm->gic_fd = kvm_device(accel, KVM_DEV_TYPE_ARM_VGIC_V2, "create vGICv2");
	if (arm->gic_fd < 0)
		return arm->gic_fd;
	rc = set_address(arm->gic_fd, KVM_VGIC_V2_ADDR_TYPE_DIST, arm->gic.dist_base,
			 "vGICv2: place the distributor");
	if (rc)
		return rc;
	return set_address(arm->gic_fd, KVM_VGIC_V2_ADDR_TYPE_CPU, arm->gic.cpu_base,
			   "vGICv2: place the CPU interface");
}

static int create_v3(struct accel *accel, struct kvm_arm_vm *arm)
{
	int rc;

	arm->gic_fd = kvm_device(accel, KVM_DEV_TYPE_ARM_VGIC_V3, "create vGICv3");
	if (arm->gic_fd < 0)
		return arm->gic_fd;
	rc = set_address(arm->gic_fd, KVM_VGIC_V3_ADDR_TYPE_DIST, arm->gic.dist_base,
			 "vGICv3: place the distributor");
	if (rc)
		return rc;
	return set_address(arm->gic_fd, KVM_VGIC_V3_ADDR_TYPE_REDIST, arm->gic.redist_base,
			   "vGICv3: place the redistributors");
}

static int create_its(struct accel *accel, struct kvm_arm_vm *arm)
{
	arm->its_fd = kvm_device(accel, KVM_DEV_TYPE_ARM_VGIC_ITS, "create the vGICv3's ITS");
	if (arm->its_fd < 0)
		return arm->its_fd;
	return set_address(arm->its_fd, KVM_VGIC_ITS_ADDR_TYPE, arm->gic.its_base,
			   "vGICv3: place the ITS");
}

int kvm_vgic_create(struct accel *accel, const struct arm_gic_config *config)
{
	struct kvm_arm_vm *arm = kvm_arm_vm(accel);
	int rc;

	arm->gic = *config;
	if (!is_v3(config->kind))
		return create_v2(accel, arm);
	rc = create_v3(accel, arm);
	if (!rc && config->kind == ARM_GIC_V3_ITS)
		rc = create_its(accel, arm);
	return rc;
}

static int init_gic(struct kvm_arm_vm *arm)
{
	uint32_t count = arm->irq_count;
	int rc = kvm_device_set(arm->gic_fd, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &count,
				"vGIC: number of interrupts");

	if (!rc)
		rc = kvm_device_set(arm->gic_fd, KVM_DEV_ARM_VGIC_GRP_CTRL,
				    KVM_DEV_ARM_VGIC_CTRL_INIT, NULL, "vGIC: initialise");
	if (!rc && arm->its_fd >= 0)
		rc = kvm_device_set(arm->its_fd, KVM_DEV_ARM_VGIC_GRP_CTRL,
				    KVM_DEV_ARM_VGIC_CTRL_INIT, NULL, "vGICv3: initialise the ITS");
	return rc;
}

// The interrupt is one of KVM's GIC; without that a PMU has none to be told.
static int init_pmu(struct vcpu *vcpu, bool own_gic)
{
	int fd = kvm_vcpu(vcpu)->fd;
	int intid = ARM_INTID_PMU;
	int rc = 0;

	if (own_gic)
		rc = kvm_device_set(fd, KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_IRQ, &intid,
				    "PMU: its interrupt");
	if (!rc)
		rc = kvm_device_set(fd, KVM_ARM_VCPU_PMU_V3_CTRL, KVM_ARM_VCPU_PMU_V3_INIT, NULL,
				    "PMU: initialise");
	return rc;
}

int kvm_vgic_start(struct accel *accel, unsigned irq_count)
{
	struct kvm_arm_vm *arm = kvm_arm_vm(accel);
	bool own_gic = arm->gic_fd >= 0;
	int rc;

	arm->irq_count = irq_count;
	rc = own_gic ? init_gic(arm) : 0;
	for (unsigned i = 0; i < accel->vcpus->count && arm->has_pmu && !rc; i++)
		rc = init_pmu(&accel->vcpus->vcpus[i], own_gic);
	return rc;
}

void kvm_vgic_close(struct accel *accel)
{
	struct kvm_arm_vm *arm = kvm_arm_vm(accel);

	if (arm->its_fd >= 0)
		close(arm->its_fd);
	if (arm->gic_fd >= 0)
		close(arm->gic_fd);
	arm->its_fd = arm->gic_fd = -1;
}

void kvm_vgic_set_spi(struct accel *accel, unsigned intid, bool high)
{
	kvm_irq_line(accel,
		     KVM_ARM_IRQ_TYPE_SPI << KVM_ARM_IRQ_TYPE_SHIFT |
			     intid << KVM_ARM_IRQ_NUM_SHIFT,
		     high);
}

// -- reset --

// Registers of a part of the GIC: @high is what names the part in an attribute.
struct part {
	int fd;
	uint32_t group;
	uint64_t high;
};

static int set_word(const struct part *part, uint32_t offset, uint32_t value)
{
	return kvm_device_set(part->fd, part->group, part->high << 32 | offset, &value,
			      "vGIC: reset a register");
}

struct setting {
	uint32_t offset;
	uint32_t value;
};

static int set_words(const struct part *part, const struct setting *settings, unsigned count)
{
	int rc = 0;

	for (unsigned i = 0; i < count && !rc; i++)
		rc = set_word(part, settings[i].offset, settings[i].value);
	return rc;
}

// A property of each interrupt: @bits of it from @offset on, all set by @value.
struct property {
	uint32_t offset;
	unsigned bits;
	uint32_t value;
};

// They lie alike in both architectures (IHI 0048B 4.1.2, IHI 0069H 12.8 and 12.10).
// Disabled first, so that no other change is seen by a vCPU.
static const struct property v3_properties[] = {
	{ 0x180, 1, ALL }, // ICENABLER
	{ 0x200, 1, 0 },   // ISPENDR: from here it sets the latch, and clears it as well
	{ 0x380, 1, ALL }, // ICACTIVER
	{ 0x080, 1, ALL }, // IGROUPR: with KVM all are in group 1
	{ 0x400, 8, 0 },   // IPRIORITYR
	{ 0xc00, 2, 0 },   // ICFGR: level
};
static const struct property v2_properties[] = {
	{ 0x180, 1, ALL }, // ICENABLER
	{ 0x280, 1, ALL }, // ICPENDR
	{ 0x380, 1, ALL }, // ICACTIVER
	{ 0x080, 1, 0 },   // IGROUPR
	{ 0x400, 8, 0 },   // IPRIORITYR
	{ 0x800, 8, 0 },   // ITARGETSR
	{ 0xc00, 2, 0 },   // ICFGR
};

// One property of the interrupts [@first, @end); @base is where their registers begin.
static int set_property(const struct part *part, const struct property *property, uint32_t base,
			unsigned first, unsigned end)
{
	uint32_t at = property->offset + first * property->bits / 8;
	uint32_t to = property->offset + end * property->bits / 8;
	int rc = 0;

	for (; at < to && !rc; at += 4)
		rc = set_word(part, base + at, property->value);
	return rc;
}

static int reset_v3_distributor(struct kvm_arm_vm *arm)
{
	const struct part part = { arm->gic_fd, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, 0 };
	int rc = set_word(&part, 0x000, 0); // CTLR

	for (unsigned i = 0; i < ARRAY_SIZE(v3_properties) && !rc; i++)
		rc = set_property(&part, &v3_properties[i], 0, ARM_INTID_SPI, arm->irq_count);
	for (unsigned intid = ARM_INTID_SPI; intid < arm->irq_count && !rc; intid++)
		rc = set_word(&part, 0x6000 + 8 * intid, 0); // IROUTER: its affinities 0 to 2
	return rc;
}

// What a vCPU is called in an attribute of the vGICv3.
static int part_of_vcpu(struct vcpu *vcpu, uint64_t *high)
{
	struct arm_cpu_info info;
	int rc = vcpu->accel->ops->arm->cpu_info(vcpu, &info);

	*high = (info.mpidr & 0xffffff) | (info.mpidr >> 32 & 0xff) << 24;
	return rc;
}

static int reset_redistributor(struct kvm_arm_vm *arm, uint64_t high)
{
	static const struct setting settings[] = {
		{ 0x00, 0 },              // CTLR: no LPIs; the rest can be changed only then
		{ 0x70, 0 },              // PROPBASER
		{ 0x74, 0 }, { 0x78, 0 }, // PENDBASER
		{ 0x7c, 0 },
	};
	const struct part part = { arm->gic_fd, KVM_DEV_ARM_VGIC_GRP_REDIST_REGS, high };
	int rc = set_words(&part, settings, ARRAY_SIZE(settings));

	for (unsigned i = 0; i < ARRAY_SIZE(v3_properties) && !rc; i++)
		rc = set_property(&part, &v3_properties[i], 64 * KIB, 0, ARM_INTID_SPI);
	return rc;
}

// How KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS names a system register.
#define ICC_REG(op0, op1, crn, crm, op2) (ARM64_SYS_REG(op0, op1, crn, crm, op2) & 0xffff)
#define ICC_CTLR_EL1 ICC_REG(3, 0, 12, 12, 4)
#define ICC_CTLR_CBPR 1ULL
#define ICC_CTLR_EOIMODE 2ULL

// Its other bits say what KVM has, and stay.
static int reset_icc_ctlr(struct kvm_arm_vm *arm, uint64_t high)
{
	uint64_t attribute = high << 32 | ICC_CTLR_EL1;
	uint64_t value;
	int rc = kvm_device_get(arm->gic_fd, KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS, attribute, &value,
				"vGICv3: get ICC_CTLR_EL1");

	if (rc)
		return rc;
	value &= ~(ICC_CTLR_CBPR | ICC_CTLR_EOIMODE);
	return kvm_device_set(arm->gic_fd, KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS, attribute, &value,
			      "vGICv3: reset ICC_CTLR_EL1");
}

static int reset_v3_cpu_interface(struct kvm_arm_vm *arm, uint64_t high)
{
	static const uint16_t zeroed[] = {
		ICC_REG(3, 0, 12, 12, 6), // IGRPEN0
		ICC_REG(3, 0, 12, 12, 7), // IGRPEN1
		ICC_REG(3, 0, 4, 6, 0),   // PMR
		ICC_REG(3, 0, 12, 8, 3),  // BPR0
		ICC_REG(3, 0, 12, 12, 3), // BPR1: hidden while CTLR.CBPR is set
		ICC_REG(3, 0, 12, 8, 4),  // AP0R0
		ICC_REG(3, 0, 12, 9, 0),  // AP1R0: all there is with KVM's 5 bits of priority
	};
	const uint64_t zero = 0;
	int rc = reset_icc_ctlr(arm, high);

	for (unsigned i = 0; i < ARRAY_SIZE(zeroed) && !rc; i++)
		rc = kvm_device_set(arm->gic_fd, KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS,
				    high << 32 | zeroed[i], &zero, "vGICv3: reset a CPU interface");
	return rc;
}

static int reset_v3(struct accel *accel, struct kvm_arm_vm *arm)
{
	int rc = 0;

	if (arm->its_fd >= 0)
		rc = kvm_device_set(arm->its_fd, KVM_DEV_ARM_VGIC_GRP_CTRL,
				    KVM_DEV_ARM_ITS_CTRL_RESET, NULL, "vGICv3: reset the ITS");
	if (!rc)
		rc = reset_v3_distributor(arm);
	for (unsigned i = 0; i < accel->vcpus->count && !rc; i++) {
		uint64_t high;

		rc = part_of_vcpu(&accel->vcpus->vcpus[i], &high);
		if (!rc)
			rc = reset_redistributor(arm, high);
		// KVM shows those of 64-bit vCPUs only; a kernel sets them all up at its start.
		if (!rc && !accel->config->aarch32)
			rc = reset_v3_cpu_interface(arm, high);
	}
	return rc;
}

// KVM lets us write IGROUPR only once we have shown that we know its revision.
static int confirm_v2_revision(const struct part *part)
{
	uint32_t iidr;
	int rc = kvm_device_get(part->fd, part->group, 0x008, &iidr, "vGICv2: get GICD_IIDR");

	return rc ? rc : set_word(part, 0x008, iidr);
}

// The banked registers of one CPU, and its interface.
static int reset_v2_cpu(struct kvm_arm_vm *arm, unsigned index)
{
	static const struct setting sgis[] = {
		{ 0xf10, ALL }, { 0xf14, ALL }, { 0xf18, ALL }, { 0xf1c, ALL }, // CPENDSGIR
	};
	static const struct setting interface[] = {
		{ 0x00, 0 }, // CTLR
		{ 0x04, 0 }, // PMR
		{ 0x08, 0 }, // BPR
		{ 0x1c, 0 }, // ABPR
		{ 0xd0, 0 }, // APR0
	};
	const struct part dist = { arm->gic_fd, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, index };
	const struct part cpu = { arm->gic_fd, KVM_DEV_ARM_VGIC_GRP_CPU_REGS, index };
	int rc = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(v2_properties) && !rc; i++)
		rc = set_property(&dist, &v2_properties[i], 0, 0, ARM_INTID_SPI);
	if (!rc)
		rc = set_words(&dist, sgis, ARRAY_SIZE(sgis));
	return rc ? rc : set_words(&cpu, interface, ARRAY_SIZE(interface));
}

static int reset_v2(struct accel *accel, struct kvm_arm_vm *arm)
{
	const struct part part = { arm->gic_fd, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, 0 };
	int rc = confirm_v2_revision(&part);

	if (!rc)
		rc = set_word(&part, 0x000, 0); // CTLR
	for (unsigned i = 0; i < ARRAY_SIZE(v2_properties) && !rc; i++)
		rc = set_property(&part, &v2_properties[i], 0, ARM_INTID_SPI, arm->irq_count);
	for (unsigned i = 0; i < accel->vcpus->count && !rc; i++)
		rc = reset_v2_cpu(arm, i);
	return rc;
}

int kvm_vgic_reset(struct accel *accel)
{
	struct kvm_arm_vm *arm = kvm_arm_vm(accel);

	return is_v3(arm->gic.kind) ? reset_v3(accel, arm) : reset_v2(accel, arm);
}
