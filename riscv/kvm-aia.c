// SPDX-License-Identifier: GPL-2.0-or-later
// KVM's AIA: an APLIC in MSI mode and the harts' IMSICs, all in the kernel
// (Linux's Documentation/virt/kvm/devices/ and the AIA specification 1.0).

#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

#include "kvm-host.h"
#include "kvm-regs.h"
#include "vcpu.h"
#include "vm-config.h"

// By number, for the headers of before Linux 6.5.
#define DEV_TYPE_AIA 11
enum { GROUP_CONFIG, GROUP_ADDRESS, GROUP_CONTROL, GROUP_APLIC, GROUP_IMSIC };
enum { CONFIG_IDS = 1, CONFIG_SOURCES = 2, CONFIG_HART_BITS = 5 };
enum { ADDRESS_APLIC, ADDRESS_IMSIC }; // + the hart
enum { CONTROL_INIT };

// Offsets of the APLIC's registers (AIA 4.5).
#define APLIC_DOMAINCFG 0x0000
#define APLIC_SOURCECFG(n) (0x0004 + 4 * ((n)-1))
#define APLIC_IN_CLRIP(word) (0x1d00 + 4 * (word))
#define APLIC_CLRIE(word) (0x1f00 + 4 * (word))
#define APLIC_TARGET(n) (0x3004 + 4 * ((n)-1))

// The IMSIC's registers by their numbers for siselect (AIA 3.8), each 64 bits wide.
#define IMSIC_EIDELIVERY 0x70
#define IMSIC_EITHRESHOLD 0x72
#define IMSIC_EIP(word) (0x80 + 2 * (word))
#define IMSIC_EIE(word) (0xc0 + 2 * (word))
#define IMSIC_ATTRIBUTE(hart, number) ((uint64_t)(hart) << 12 | (number))

static int aia_fd(struct accel *accel)
{
	return riscv_kvm(accel)->aia_fd;
}

int riscv_kvm_aia_open(struct accel *accel)
{
	struct kvm_create_device create = { .type = DEV_TYPE_AIA };
	const char *irqchip = accel->config->irqchip;

	if (irqchip && strcmp(irqchip, "plic") == 0)
		return -1;
	return ioctl(kvm_vm(accel)->fd, KVM_CREATE_DEVICE, &create) < 0 ? -1 : (int)create.fd;
}

static unsigned aia_ids_max(struct accel *accel)
{
	uint32_t ids = 0;

	if (aia_fd(accel) < 0 ||
	    kvm_device_get(aia_fd(accel), GROUP_CONFIG, CONFIG_IDS, &ids, "AIA: number of MSIs"))
		return 0;
	return ids;
}

static int set_config(struct accel *accel, uint64_t attribute, uint32_t value, const char *what)
{
	return kvm_device_set(aia_fd(accel), GROUP_CONFIG, attribute, &value, what);
}

static int place(struct accel *accel, uint64_t attribute, uint64_t base, const char *what)
{
	return kvm_device_set(aia_fd(accel), GROUP_ADDRESS, attribute, &base, what);
}

// Bits that count to @harts - 1.
static uint32_t hart_bits(unsigned harts)
{
	return harts > 1 ? 32 - (uint32_t)__builtin_clz(harts - 1) : 0;
}

static int aia_create(struct accel *accel, const struct riscv_aia_config *config)
{
	unsigned harts = accel->vcpus->count;
	int ret = set_config(accel, CONFIG_SOURCES, config->sources, "AIA: number of sources");

	if (!ret)
		ret = set_config(accel, CONFIG_IDS, config->ids, "AIA: number of MSIs");
	if (!ret)
		ret = set_config(accel, CONFIG_HART_BITS, hart_bits(harts), "AIA: hart bits");
	if (!ret)
		ret = place(accel, ADDRESS_APLIC, config->aplic_base, "AIA: place the APLIC");
	for (unsigned i = 0; i < harts && !ret; i++)
		ret = place(accel, ADDRESS_IMSIC + i, config->imsic_base + i * 4 * KIB,
			    "AIA: place an IMSIC");
	if (!ret)
		ret = kvm_device_set(aia_fd(accel), GROUP_CONTROL, CONTROL_INIT, NULL,
				     "AIA: initialise");
	riscv_kvm(accel)->aia = *config;
	return ret;
}

// -- reset: KVM has none for the AIA, so register by register --

static void write_aplic(struct accel *accel, uint64_t offset, uint32_t value)
{
	struct kvm_device_attr attr = {
		.group = GROUP_APLIC,
		.attr = offset,
		.addr = (uintptr_t)&value,
	};

	ioctl(aia_fd(accel), KVM_SET_DEVICE_ATTR, &attr);
}

static void write_imsic(struct accel *accel, unsigned hart, unsigned number)
{
	uint64_t zero = 0;
	struct kvm_device_attr attr = {
		.group = GROUP_IMSIC,
		.attr = IMSIC_ATTRIBUTE(hart, number),
		.addr = (uintptr_t)&zero,
	};

	ioctl(aia_fd(accel), KVM_SET_DEVICE_ATTR, &attr);
}

static void reset_imsic(struct accel *accel, unsigned hart, unsigned words)
{
	write_imsic(accel, hart, IMSIC_EIDELIVERY);
	write_imsic(accel, hart, IMSIC_EITHRESHOLD);
	for (unsigned i = 0; i < words; i++) {
		write_imsic(accel, hart, IMSIC_EIE(i));
		write_imsic(accel, hart, IMSIC_EIP(i));
	}
}

static void aia_reset(struct accel *accel)
{
	unsigned sources = riscv_kvm(accel)->aia.sources;
	unsigned words = (riscv_kvm(accel)->aia.ids + 1) / 64;

	write_aplic(accel, APLIC_DOMAINCFG, 0);
	for (unsigned i = 0; i <= sources / 32; i++) {
		write_aplic(accel, APLIC_CLRIE(i), UINT32_MAX);
		write_aplic(accel, APLIC_IN_CLRIP(i), UINT32_MAX);
	}
	for (unsigned i = 1; i <= sources; i++) {
		write_aplic(accel, APLIC_SOURCECFG(i), 0);
		write_aplic(accel, APLIC_TARGET(i), 0);
	}
	for (unsigned i = 0; i < accel->vcpus->count; i++)
		reset_imsic(accel, i, words);
}

static void aia_set_line(struct accel *accel, unsigned number, bool high)
{
	kvm_irq_line(accel, number, high);
}

const struct riscv_aia_ops riscv_kvm_aia_ops = {
	.ids_max = aia_ids_max,
	.create = aia_create,
	.reset = aia_reset,
	.set_line = aia_set_line,
};
