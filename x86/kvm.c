// SPDX-License-Identifier: GPL-2.0-or-later
// KVM on x86-64: the VM, with interrupt controllers and timer chip in the kernel, and
// exits that are this architecture's own. vCPUs are in kvm-vcpu.c.
//
// "As after power on" is the state in which KVM made a thing: it is read then, and put
// back at each reset.
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "kvm-host.h"
#include "log.h"
#include "vm-config.h"
#include "x86-accel.h"
#include "x86-kvm.h"

// Four pages that an Intel CPU without "unrestricted guest" needs to start APs in real
// mode; in the hole below 4 GiB (x86-machine.h).
#define IDENTITY_MAP_GPA 0xfffbc000ULL
#define TSS_GPA 0xfffbd000ULL

#define APIC_TIMER_KHZ 1000000 // KVM's counts nanoseconds

static const uint32_t chip_ids[] = { KVM_IRQCHIP_PIC_MASTER, KVM_IRQCHIP_PIC_SLAVE,
				     KVM_IRQCHIP_IOAPIC };

struct x86_chips {
	struct kvm_irqchip controllers[ARRAY_SIZE(chip_ids)];
	struct kvm_pit_state2 pit;
};

static struct x86_vm *x86_vm(const struct accel *accel)
{
	return kvm_vm(accel)->arch;
}

// -- the VM --

unsigned long kvm_arch_vm_type(const struct vm_config *config, int dev_fd)
{
	return 0;
}

static int read_cpuid(struct accel *accel)
{
	struct x86_vm *vm = x86_vm(accel);

	vm->cpuid = calloc(1, X86_CPUID_BYTES);
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
static int make_chips(struct accel *accel)
{
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	struct x86_chips *chips = calloc(1, sizeof(*chips));
	int fd = kvm_vm(accel)->fd, err;

	if (!chips)
		return fail(ENOMEM, "KVM: interrupt controllers");
	x86_vm(accel)->chips = chips;
	err = kvm_ioctl(fd, KVM_CREATE_IRQCHIP, NULL, "make the interrupt controllers");

	for (unsigned i = 0; i < ARRAY_SIZE(chip_ids) && !err; i++) {
		chips->controllers[i].chip_id = chip_ids[i];
		err = kvm_ioctl(fd, KVM_GET_IRQCHIP, &chips->controllers[i],
				"read an interrupt controller");
	}
	if (!err)
		err = kvm_ioctl(fd, KVM_CREATE_PIT2, &pit, "make the timer chip");
	return err ? err : kvm_ioctl(fd, KVM_GET_PIT2, &chips->pit, "read the timer chip");
}

// Local APICs alone. The pins take up routes of KVM's, by which it knows whose ends to
// tell.
static int split_irqchip(struct accel *accel)
{
	if (!kvm_check(accel, KVM_CAP_SPLIT_IRQCHIP))
		return fail_msg(ENOTSUP, "--irqchip split: the host's KVM has no "
					 "KVM_CAP_SPLIT_IRQCHIP; use kernel");
	return kvm_enable_cap(accel, KVM_CAP_SPLIT_IRQCHIP, X86_SPLIT_PINS,
			      "make the local interrupt controllers");
}

static int make_irqchip(struct accel *accel)
{
	const char *kind = accel->config->irqchip;

	return kind && strcmp(kind, "split") == 0 ? split_irqchip(accel) : make_chips(accel);
}

void kvm_arch_vm_exit(struct accel *accel)
{
	struct x86_vm *vm = x86_vm(accel);

	free(vm->held_clock);
	free(vm->chips);
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
	err = read_cpuid(accel);
	if (!err)
		err = set_fixed_addresses(kvm_vm(accel)->fd);
	if (!err)
		err = make_irqchip(accel);
	if (err)
		kvm_arch_vm_exit(accel);
	return err;
}

static int reset_irqchip(struct accel *accel, uint32_t level_gsis)
{
	struct x86_chips *chips = x86_vm(accel)->chips;
	int fd = kvm_vm(accel)->fd, err = 0;

	// The 8259s' edge/level registers, which firmware would have set.
	chips->controllers[0].chip.pic.elcr = (uint8_t)level_gsis;
	chips->controllers[1].chip.pic.elcr = (uint8_t)(level_gsis >> 8);
	for (unsigned i = 0; i < ARRAY_SIZE(chips->controllers) && !err; i++)
		err = kvm_ioctl(fd, KVM_SET_IRQCHIP, &chips->controllers[i],
				"reset an interrupt controller");
	return err ? err : kvm_ioctl(fd, KVM_SET_PIT2, &chips->pit, "reset the timer chip");
}

static void set_gsi(struct accel *accel, unsigned gsi, bool high)
{
	kvm_irq_line(accel, gsi, high);
}

// -- for an I/O APIC in user space --

static void send_message(struct accel *accel, struct x86_message message)
{
	struct kvm_msi msi = {
		.address_lo = (uint32_t)message.address,
		.address_hi = (uint32_t)(message.address >> 32),
		.data = message.data,
	};
	struct kvm_vm *vm = kvm_vm(accel);

	if (ioctl(vm->fd, KVM_SIGNAL_MSI, &msi) < 0)
		warn_ratelimited(&vm->irq_limit, "KVM: interrupt message 0x%x: %m", message.data);
}

static void set_levels(struct accel *accel, const struct x86_message *levels, unsigned count)
{
	struct kvm_vm *vm = kvm_vm(accel);
	struct kvm_irq_routing *routes =
		calloc(1, sizeof(*routes) + count * sizeof(routes->entries[0]));
	int err = routes ? 0 : ENOMEM;

	for (unsigned i = 0; i < count && routes; i++)
		if (levels[i].address)
			routes->entries[routes->nr++] = (struct kvm_irq_routing_entry){
				.gsi = i,
				.type = KVM_IRQ_ROUTING_MSI,
				.u.msi.address_lo = (uint32_t)levels[i].address,
				.u.msi.address_hi = (uint32_t)(levels[i].address >> 32),
				.u.msi.data = levels[i].data,
			};
	if (routes && ioctl(vm->fd, KVM_SET_GSI_ROUTING, routes) < 0)
		err = errno;
	if (err)
		warn_ratelimited(&vm->irq_limit, "KVM: routes of level interrupts: %s",
				 strerror(err));
	free(routes);
}

static void on_end(struct accel *accel, void (*ended)(void *opaque, uint8_t vector), void *opaque)
{
	x86_vm(accel)->ended = ended;
	x86_vm(accel)->ended_opaque = opaque;
}

// -- exits --

static enum vcpu_exit report_triple_fault(const struct vcpu *vcpu)
{
	err("vCPU %u: triple fault: an exception found no handler that works, nor did those that "
	    "this led to",
	    vcpu->index);
	return VCPU_EXIT_CRASH;
}

// Where the guest has no RAM there is no code either; KVM says that it cannot emulate
// it.
static bool runs_nowhere(struct vcpu *vcpu)
{
	const struct kvm_run *run = kvm_vcpu(vcpu)->run;
	size_t len;

	return run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION && !x86_kvm_code(vcpu, &len);
}

enum vcpu_exit kvm_arch_handle_exit(struct vcpu *vcpu, bool *handled)
{
	const struct x86_vm *vm = x86_vm(vcpu->accel);

	switch (kvm_vcpu(vcpu)->run->exit_reason) {
	case KVM_EXIT_SHUTDOWN:
		*handled = true;
		return report_triple_fault(vcpu);
	case KVM_EXIT_IOAPIC_EOI:
		*handled = true;
		if (vm->ended)
			vm->ended(vm->ended_opaque, kvm_vcpu(vcpu)->run->eoi.vector);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		if (!runs_nowhere(vcpu))
			break;
		*handled = true;
		err("vCPU %u: the guest executes where nothing lives", vcpu->index);
		return VCPU_EXIT_CRASH;
	}
	return VCPU_EXIT_KICKED;
}

void kvm_arch_after_run(struct vcpu *vcpu)
{
}

static int inject_nmi(struct vcpu *vcpu)
{
	return ioctl(kvm_vcpu(vcpu)->fd, KVM_NMI) ? -errno : 0;
}

static const struct x86_accel_ops x86_ops = {
	.reset_vcpu = x86_kvm_reset_vcpu,
	.reset_irqchip = reset_irqchip,
	.set_gsi = set_gsi,
	.send_message = send_message,
	.set_levels = set_levels,
	.on_end = on_end,
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
	.view = x86_kvm_view,
	.nmi = inject_nmi,
	.run = kvm_run_vcpu,
	.kick = kvm_kick,
	.doorbell_fd = kvm_doorbell_fd,
	.irq_fd = kvm_irq_fd,
	.hold_clock = x86_kvm_hold_clock,
	.x86 = &x86_ops,
};
