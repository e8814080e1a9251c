// SPDX-License-Identifier: GPL-2.0-or-later
// CPUID as a guest sees it: what the host's KVM supports, with the guest's own
// topology, and without what kvik does not give it.
//
// The topology is one package of as many cores as there are vCPUs, a thread each; the
// APIC id of a vCPU is its index. Leaves and fields: Intel SDM vol. 2A, CPUID; AMD APM
// vol. 3, appendix E; Linux's Documentation/virt/kvm/x86/cpuid.rst.
#include <asm/kvm_para.h>
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>

#include "log.h"
#include "x86-kvm.h"

enum {
	LEAF_VENDOR = 0,
	LEAF_FEATURES = 1,
	LEAF_CACHES = 4,
	LEAF_PERFMON = 0xa,
	LEAF_TOPOLOGY = 0xb,
	LEAF_TSC = 0x15,
	LEAF_TOPOLOGY_V2 = 0x1f,
};
#define LEAF_KVM 0x40000000
#define LEAF_KVM_TIMING 0x40000010 // as VMware has it: TSC and APIC timer, in kHz
#define LEAF_AMD_FEATURES 0x80000001
#define LEAF_AMD_SIZES 0x80000008
#define LEAF_AMD_CACHES 0x8000001d
#define LEAF_AMD_TOPOLOGY 0x8000001e
#define LEAF_AMD_PERFMON 0x80000022
#define LEAF_AMD_TOPOLOGY_V2 0x80000026

// Leaf 1.
#define ECX_TSC_DEADLINE (1U << 24)
#define ECX_HYPERVISOR (1U << 31)
#define EDX_HTT (1U << 28)
// Leaf 0x80000001.
#define ECX_CMP_LEGACY (1U << 1)
#define ECX_PERFCTR_CORE (1U << 23)

// Leaf 0xb, ECX: what a level is.
enum { LEVEL_END = 0, LEVEL_THREAD = 1, LEVEL_CORE = 2 };

#define FIELD(value, shift, bits) (((value) & ((1U << (bits)) - 1)) << (shift))

static struct kvm_cpuid_entry2 *find(struct kvm_cpuid2 *cpuid, uint32_t leaf, uint32_t subleaf)
{
	for (unsigned i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *entry = &cpuid->entries[i];

		if (entry->function == leaf &&
		    (entry->index == subleaf || !(entry->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX)))
			return entry;
	}
	return NULL;
}

static void remove_leaf(struct kvm_cpuid2 *cpuid, uint32_t leaf)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function != leaf)
			cpuid->entries[kept++] = cpuid->entries[i];
	cpuid->nent = kept;
}

static int add(struct kvm_cpuid2 *cpuid, struct kvm_cpuid_entry2 entry)
{
	if (cpuid->nent >= X86_CPUID_MAX_ENTRIES)
		return fail_msg(ENOSPC, "CPUID has more than %u leaves", X86_CPUID_MAX_ENTRIES);
	cpuid->entries[cpuid->nent++] = entry;
	return 0;
}

// -- topology --

// Bits of an APIC id that tell the cores apart.
static unsigned id_bits(const struct x86_cpuid_config *config)
{
	unsigned bits = 0;

	while (1U << bits < config->cpus)
		bits++;
	return bits;
}

static void set_features(struct kvm_cpuid_entry2 *entry, const struct x86_cpuid_config *config,
			 unsigned index)
{
	entry->ebx &= 0xffff; // brand, CLFLUSH
	entry->ebx |= FIELD(1U << id_bits(config), 16, 8) | FIELD(index, 24, 8);
	entry->ecx |= ECX_HYPERVISOR;
	entry->ecx &= ~ECX_TSC_DEADLINE;
	if (config->tsc_deadline)
		entry->ecx |= ECX_TSC_DEADLINE;
	entry->edx &= ~EDX_HTT;
	if (config->cpus > 1)
		entry->edx |= EDX_HTT;
}

// The last level of cache is everybody's, the others are each core's own. AMD's leaf
// has the same fields but for the cores.
static void set_caches(struct kvm_cpuid2 *cpuid, uint32_t leaf,
		       const struct x86_cpuid_config *config)
{
	unsigned cores = leaf == LEAF_CACHES ? FIELD(config->cpus - 1, 26, 6) : 0;

	for (unsigned i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *entry = &cpuid->entries[i];
		unsigned type = entry->eax & 0x1f, level = entry->eax >> 5 & 7;

		if (entry->function != leaf || !type)
			continue;
		entry->eax &= 0x3fff;
		entry->eax |= cores;
		if (level >= 3)
			entry->eax |= FIELD(config->cpus - 1, 14, 12);
	}
}

// Leaves 0xb and 0x1f: threads of a core, cores of the package, end.
static int add_topology(struct kvm_cpuid2 *cpuid, uint32_t leaf,
			const struct x86_cpuid_config *config, unsigned index)
{
	struct kvm_cpuid_entry2 levels[] = {
		{ .ebx = 1, .ecx = LEVEL_THREAD << 8 },
		{ .eax = id_bits(config), .ebx = config->cpus, .ecx = LEVEL_CORE << 8 },
		{ .ecx = LEVEL_END << 8 },
	};
	int err = 0;

	remove_leaf(cpuid, leaf);
	for (unsigned i = 0; i < ARRAY_SIZE(levels) && !err; i++) {
		levels[i].function = leaf;
		levels[i].index = i;
		levels[i].flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
		levels[i].ecx |= i;
		levels[i].edx = index;
		err = add(cpuid, levels[i]);
	}
	return err;
}

static int set_topology(struct kvm_cpuid2 *cpuid, const struct x86_cpuid_config *config,
			unsigned index)
{
	struct kvm_cpuid_entry2 *vendor = find(cpuid, LEAF_VENDOR, 0);
	uint32_t last = vendor ? vendor->eax : 0;
	int err = 0;

	set_caches(cpuid, LEAF_CACHES, config);
	if (last >= LEAF_TOPOLOGY)
		err = add_topology(cpuid, LEAF_TOPOLOGY, config, index);
	if (!err && last >= LEAF_TOPOLOGY_V2)
		err = add_topology(cpuid, LEAF_TOPOLOGY_V2, config, index);
	return err;
}

static void set_amd_topology(struct kvm_cpuid2 *cpuid, const struct x86_cpuid_config *config,
			     unsigned index)
{
	struct kvm_cpuid_entry2 *features = find(cpuid, LEAF_AMD_FEATURES, 0);
	struct kvm_cpuid_entry2 *sizes = find(cpuid, LEAF_AMD_SIZES, 0);
	struct kvm_cpuid_entry2 *topology = find(cpuid, LEAF_AMD_TOPOLOGY, 0);

	set_caches(cpuid, LEAF_AMD_CACHES, config);
	if (features) {
		features->ecx &= ~(ECX_CMP_LEGACY | ECX_PERFCTR_CORE);
		if (config->cpus > 1)
			features->ecx |= ECX_CMP_LEGACY;
	}
	if (sizes)
		sizes->ecx = FIELD(config->cpus - 1, 0, 8) | FIELD(id_bits(config), 12, 4);
	if (topology) {
		topology->eax = index;
		topology->ebx = FIELD(index, 0, 8); // a thread a core
		topology->ecx = 0;                  // one node
		topology->edx = 0;
	}
	remove_leaf(cpuid, LEAF_AMD_TOPOLOGY_V2);
}

// -- what the guest need not measure --

// The ratio of TSC and "crystal"; that crystal also drives the local APIC's timer.
static void set_tsc_ratio(struct kvm_cpuid_entry2 *entry, const struct x86_cpuid_config *config)
{
	entry->eax = config->timer_khz;
	entry->ebx = config->tsc_khz;
	entry->ecx = config->timer_khz * 1000;
}

static bool is_intel(struct kvm_cpuid2 *cpuid)
{
	struct kvm_cpuid_entry2 *vendor = find(cpuid, LEAF_VENDOR, 0);

	return vendor && vendor->ebx == 0x756e6547; // "Genu"
}

static int set_timing(struct kvm_cpuid2 *cpuid, const struct x86_cpuid_config *config)
{
	struct kvm_cpuid_entry2 *vendor = find(cpuid, LEAF_VENDOR, 0);
	struct kvm_cpuid_entry2 *kvm = find(cpuid, LEAF_KVM, 0);
	struct kvm_cpuid_entry2 tsc = { .function = LEAF_TSC };
	int err = 0;

	if (!config->tsc_khz)
		return 0;
	if (is_intel(cpuid) && vendor->eax >= LEAF_TSC) {
		remove_leaf(cpuid, LEAF_TSC);
		set_tsc_ratio(&tsc, config);
		err = add(cpuid, tsc);
	}
	if (err || !kvm)
		return err;
	kvm = find(cpuid, LEAF_KVM, 0);
	kvm->eax = LEAF_KVM_TIMING;
	return add(cpuid, (struct kvm_cpuid_entry2){ .function = LEAF_KVM_TIMING,
						     .eax = config->tsc_khz,
						     .ebx = config->timer_khz });
}

int x86_cpuid_build(struct kvm_cpuid2 *cpuid, const struct x86_cpuid_config *config, unsigned index)
{
	struct kvm_cpuid_entry2 *features = find(cpuid, LEAF_FEATURES, 0);
	int err;

	if (features)
		set_features(features, config, index);
	// No counters: a guest's watchdog would keep them busy.
	remove_leaf(cpuid, LEAF_PERFMON);
	remove_leaf(cpuid, LEAF_AMD_PERFMON);
	set_amd_topology(cpuid, config, index);
	err = set_topology(cpuid, config, index);
	return err ? err : set_timing(cpuid, config);
}
