// SPDX-License-Identifier: GPL-2.0-or-later
// KVM on RISC-V: what the harts of a guest can do. KVM offers what it and the host's
// harts have; the user may take extensions away or say who made the hart.

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kvm-host.h"
#include "kvm-regs.h"
#include "log.h"
#include "vm-config.h"

// The ISA extensions that KVM knows, in the order of their numbers there
// (KVM_RISCV_ISA_EXT_ID): only ever added to at the end.
static const char *const isa_names[] = {
	"a",        "c",       "d",         "f",           "h",        "i",        "m",
	"svpbmt",   "sstc",    "svinval",   "zihintpause", "zicbom",   "zicboz",   "zbb",
	"ssaia",    "v",       "svnapot",   "zba",         "zbs",      "zicntr",   "zicsr",
	"zifencei", "zihpm",   "smstateen", "zicond",      "zbc",      "zbkb",     "zbkc",
	"zbkx",     "zknd",    "zkne",      "zknh",        "zkr",      "zksed",    "zksh",
	"zkt",      "zvbb",    "zvbc",      "zvkb",        "zvkg",     "zvkned",   "zvknha",
	"zvknhb",   "zvksed",  "zvksh",     "zvkt",        "zfh",      "zfhmin",   "zihintntl",
	"zvfh",     "zvfhmin", "zfa",       "ztso",        "zacas",    "sscofpmf", "zimop",
	"zca",      "zcb",     "zcd",       "zcf",         "zcmop",    "zawrs",    "smnpm",
	"ssnpm",    "svade",   "svadu",     "svvptc",      "zabha",    "ziccrse",  "zaamo",
	"zalrsc",   "zicbop",  "zfbfmin",   "zvfbfmin",    "zvfbfwma", "zclsd",    "zilsd",
	"zalasr",   "zicfilp", "zicfiss",
};

// The same for SBI extensions (KVM_RISCV_SBI_EXT_ID).
static const char *const sbi_names[] = {
	"legacy",       "time",   "ipi",  "rfence", "srst", "hsm",  "pmu",
	"experimental", "vendor", "dbcn", "sta",    "susp", "fwft", "mpxy",
};
#define SBI_DBCN 9
#define ISA_SSAIA 14
static_assert(ARRAY_SIZE(isa_names) == 80 && ARRAY_SIZE(sbi_names) == 14, "as KVM numbers them");

// Index of @name among @names, or -1.
static int find_name(const char *name, const char *const *names, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (strcmp(name, names[i]) == 0)
			return (int)i;
	return -1;
}

// One kind of extension that can be taken away.
struct kind {
	const char *option;
	unsigned type;
	const char *const *names;
	unsigned count;
};

static int disable(struct vcpu *vcpu, const struct kind *kind, const char *name)
{
	int index = find_name(name, kind->names, kind->count);
	uint64_t value;
	int ret;

	if (index < 0)
		return fail_msg(EINVAL, "%s%s: kvik knows no such extension", kind->option, name);
	// One that is not there needs not be taken away.
	if (riscv_kvm_try_get(vcpu, KVM_RISCV_REG(kind->type, index), &value) || !value)
		return 0;
	ret = riscv_kvm_try_set(vcpu, KVM_RISCV_REG(kind->type, index), 0);
	if (ret && (kind->type != KVM_RISCV_ISA_EXT || !name[1]))
		return fail_msg(-ret, "%s%s: the host's KVM cannot take it away: %m", kind->option,
				name);
	// Some instructions no hypervisor can switch off; and a guest without the letters of
	// its base would not boot.
	if (ret && vcpu->index == 0)
		warn("%s%s: KVM cannot switch it off; the guest is only not told of it",
		     kind->option, name);
	return 0;
}

static int disable_all(struct vcpu *vcpu, const struct kind *kind, const struct name_list *names)
{
	for (unsigned i = 0; i < names->count; i++) {
		int ret = disable(vcpu, kind, names->names[i]);

		if (ret)
			return ret;
	}
	return 0;
}

static int set_id(struct vcpu *vcpu, unsigned config, uint64_t id, const char *what)
{
	return id ? kvm_set_reg(vcpu, KVM_RISCV_REG(KVM_RISCV_CONFIG, config), id, what) : 0;
}

static int set_ids(struct vcpu *vcpu, const struct vm_config *config)
{
	int ret = set_id(vcpu, KVM_RISCV_CONFIG_MVENDORID, config->mvendorid, "--custom-mvendorid");

	if (!ret)
		ret = set_id(vcpu, KVM_RISCV_CONFIG_MARCHID, config->marchid, "--custom-marchid");
	if (!ret)
		ret = set_id(vcpu, KVM_RISCV_CONFIG_MIMPID, config->mimpid, "--custom-mimpid");
	return ret;
}

// The registers of Ssaia make sense only with their interrupt controller.
static bool has_aia(const struct vcpu *vcpu)
{
	return riscv_kvm(vcpu->accel)->aia_fd >= 0;
}

int riscv_kvm_configure(struct vcpu *vcpu)
{
	static const struct kind isa = {
		"--disable-",
		KVM_RISCV_ISA_EXT,
		isa_names,
		ARRAY_SIZE(isa_names),
	};
	static const struct kind sbi = {
		"--disable-sbi-",
		KVM_RISCV_SBI_EXT,
		sbi_names,
		ARRAY_SIZE(sbi_names),
	};
	const struct vm_config *config = vcpu->accel->config;
	int ret;

	kvm_vcpu(vcpu)->arch = calloc(ARRAY_SIZE(isa_names) + 1, sizeof(const char *));
	if (!kvm_vcpu(vcpu)->arch)
		return fail(ENOMEM, "the extensions of hart %u", vcpu->index);
	// KVM hands the debug console to user space, but only when asked to (Linux 6.7).
	riscv_kvm_try_set(vcpu, KVM_RISCV_REG(KVM_RISCV_SBI_EXT, SBI_DBCN), 1);
	ret = disable_all(vcpu, &isa, &config->disabled_isa);
	// Where KVM cannot do that, the guest is not told of it.
	if (!has_aia(vcpu))
		riscv_kvm_try_set(vcpu, KVM_RISCV_REG(KVM_RISCV_ISA_EXT, ISA_SSAIA), 0);
	if (!ret)
		ret = disable_all(vcpu, &sbi, &config->disabled_sbi);
	return ret ? ret : set_ids(vcpu, config);
}

// -- for the device tree --

static bool is_disabled(const struct vcpu *vcpu, const char *name)
{
	const struct name_list *disabled = &vcpu->accel->config->disabled_isa;

	return find_name(name, disabled->names, disabled->count) >= 0;
}

static bool has_isa(struct vcpu *vcpu, unsigned index)
{
	uint64_t value;

	if ((index == ISA_SSAIA && !has_aia(vcpu)) || is_disabled(vcpu, isa_names[index]))
		return false;
	return riscv_kvm_try_get(vcpu, KVM_RISCV_REG(KVM_RISCV_ISA_EXT, index), &value) == 0 &&
	       value;
}

// The same in every vCPU: each is asked all the same, since KVM keeps it for each.
static void list_extensions(struct vcpu *vcpu, const char **list)
{
	for (unsigned i = 0; i < ARRAY_SIZE(isa_names); i++)
		if (has_isa(vcpu, i))
			*list++ = isa_names[i];
	*list = NULL;
}

static bool is_listed(const char *name, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(*list, name) == 0)
			return true;
	return false;
}

// A hart's cache block size, where it has the extension; 0 where KVM does not say.
static uint32_t block_bytes(struct vcpu *vcpu, const char *extension, unsigned config,
			    const char *const *list)
{
	uint64_t value;

	if (!is_listed(extension, list) ||
	    riscv_kvm_try_get(vcpu, KVM_RISCV_REG(KVM_RISCV_CONFIG, config), &value))
		return 0;
	return (uint32_t)value;
}

static uint64_t config_or(struct vcpu *vcpu, unsigned config, uint64_t otherwise)
{
	uint64_t value;

	if (riscv_kvm_try_get(vcpu, KVM_RISCV_REG(KVM_RISCV_CONFIG, config), &value))
		return otherwise;
	return value;
}

// The widest that the host has (Linux 6.2 tells), or the narrower one that the user
// wants; the guest is told, not made to.
static enum riscv_satp_mode satp_mode(struct vcpu *vcpu)
{
	uint64_t host = config_or(vcpu, KVM_RISCV_CONFIG_SATP_MODE, RISCV_SATP_SV39);

	switch (vcpu->accel->config->satp_mode) {
	case 39:
		return RISCV_SATP_SV39;
	case 48:
		return (enum riscv_satp_mode)MIN(host, (uint64_t)RISCV_SATP_SV48);
	default:
		return (enum riscv_satp_mode)host;
	}
}

int riscv_kvm_cpu_info(struct vcpu *vcpu, struct riscv_cpu_info *info)
{
	const char **list = kvm_vcpu(vcpu)->arch;
	uint64_t timebase_hz;
	int ret = kvm_get_reg(vcpu, KVM_RISCV_REG(KVM_RISCV_TIMER, KVM_RISCV_TIMER_FREQUENCY),
			      &timebase_hz, "frequency of the timer");

	if (ret)
		return ret;
	list_extensions(vcpu, list);
	*info = (struct riscv_cpu_info){
		.extensions = list,
		.timebase_hz = (uint32_t)timebase_hz,
		.cbom_block_bytes =
			block_bytes(vcpu, "zicbom", KVM_RISCV_CONFIG_ZICBOM_BLOCK, list),
		.cbop_block_bytes =
			block_bytes(vcpu, "zicbop", KVM_RISCV_CONFIG_ZICBOP_BLOCK, list),
		.cboz_block_bytes =
			block_bytes(vcpu, "zicboz", KVM_RISCV_CONFIG_ZICBOZ_BLOCK, list),
		.satp_mode = satp_mode(vcpu),
		.mvendorid = config_or(vcpu, KVM_RISCV_CONFIG_MVENDORID, 0),
		.marchid = config_or(vcpu, KVM_RISCV_CONFIG_MARCHID, 0),
		.mimpid = config_or(vcpu, KVM_RISCV_CONFIG_MIMPID, 0),
	};
	return 0;
}
