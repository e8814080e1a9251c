// SPDX-License-Identifier: GPL-2.0-or-later
// CPUID for a guest, made from what a host's KVM supports. Only KVM's own host has it.

#ifdef __x86_64__

#include <errno.h>
#include <linux/kvm.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../x86/x86-kvm.h"

#include <cmocka.h>

#define INDEXED KVM_CPUID_FLAG_SIGNIFCANT_INDEX

// What matters of two hosts.
static const struct kvm_cpuid_entry2 intel[] = {
	{ .function = 0, .eax = 0x1f, .ebx = 0x756e6547, .edx = 0x49656e69, .ecx = 0x6c65746e },
	{ .function = 1, .ebx = 0x07400800, .ecx = 0x01200000, .edx = 0x1f8bfbff },
	{ .function = 4, .index = 0, .flags = INDEXED, .eax = 0x7c004121 },
	{ .function = 4, .index = 1, .flags = INDEXED, .eax = 0x7c004122 },
	{ .function = 4, .index = 2, .flags = INDEXED, .eax = 0x7c004143 },
	{ .function = 4, .index = 3, .flags = INDEXED, .eax = 0x7c07c163 },
	{ .function = 4, .index = 4, .flags = INDEXED },
	{ .function = 0xa, .eax = 0x08300805 },
	{ .function = 0xb,
	  .index = 0,
	  .flags = INDEXED,
	  .eax = 1,
	  .ebx = 2,
	  .ecx = 0x100,
	  .edx = 7 },
	{ .function = 0xb,
	  .index = 1,
	  .flags = INDEXED,
	  .eax = 6,
	  .ebx = 32,
	  .ecx = 0x201,
	  .edx = 7 },
	{ .function = 0x15, .eax = 2, .ebx = 240 },
	{ .function = 0x40000000, .eax = 0x40000001, .ebx = 0x4b4d564b },
	{ .function = 0x40000001, .eax = 0x01007afb },
	{ .function = 0x80000000, .eax = 0x80000008 },
	{ .function = 0x80000001, .ecx = 0x121, .edx = 0x2c100800 },
	{ .function = 0x80000008, .eax = 0x3027, .ecx = 0 },
};

static const struct kvm_cpuid_entry2 amd[] = {
	{ .function = 0, .eax = 0x10, .ebx = 0x68747541, .edx = 0x69746e65, .ecx = 0x444d4163 },
	{ .function = 1, .ebx = 0x07400800, .ecx = 0x00200000, .edx = 0x178bfbff },
	{ .function = 0xb, .index = 0, .flags = INDEXED },
	{ .function = 0x40000000, .eax = 0x40000001, .ebx = 0x4b4d564b },
	{ .function = 0x80000001, .ecx = 0x00c00123 },
	{ .function = 0x80000008, .ecx = 0x700f },
	{ .function = 0x8000001d, .index = 0, .flags = INDEXED, .eax = 0x4121 },
	{ .function = 0x8000001d, .index = 3, .flags = INDEXED, .eax = 0x3c163 },
	{ .function = 0x8000001e, .eax = 7, .ebx = 0x103, .ecx = 0x300 },
	{ .function = 0x80000022, .eax = 1 },
	{ .function = 0x80000026, .index = 0, .flags = INDEXED, .eax = 1 },
};

static const struct x86_cpuid_config four = {
	.cpus = 4,
	.tsc_deadline = true,
	.tsc_khz = 2400000,
	.timer_khz = 1000000,
};

static struct kvm_cpuid2 *build(const struct kvm_cpuid_entry2 *host, unsigned count,
				const struct x86_cpuid_config *config, unsigned index)
{
	struct kvm_cpuid2 *cpuid = calloc(1, X86_CPUID_BYTES);

	cpuid->nent = count;
	memcpy(cpuid->entries, host, count * sizeof(*host));
	assert_int_equal(x86_cpuid_build(cpuid, config, index), 0);
	return cpuid;
}

static const struct kvm_cpuid_entry2 *find(const struct kvm_cpuid2 *cpuid, uint32_t leaf,
					   uint32_t subleaf)
{
	const struct kvm_cpuid_entry2 *found = NULL;

	for (unsigned i = 0; i < cpuid->nent; i++) {
		const struct kvm_cpuid_entry2 *entry = &cpuid->entries[i];

		if (entry->function != leaf || (entry->flags & INDEXED && entry->index != subleaf))
			continue;
		assert_null(found); // never two
		found = entry;
	}
	return found;
}

#define BUILD(host, config, index) build(host, ARRAY_SIZE(host), config, index)

static void test_features(void **state)
{
	struct kvm_cpuid2 *cpuid = BUILD(intel, &four, 3);
	const struct kvm_cpuid_entry2 *leaf = find(cpuid, 1, 0);

	assert_int_equal(leaf->ebx, 3 << 24 | 4 << 16 | 0x0800);
	assert_true(leaf->ecx & 1U << 31); // hypervisor
	assert_true(leaf->ecx & 1 << 24);  // TSC deadline
	assert_true(leaf->ecx & 1 << 21);  // x2APIC, as the host has it
	assert_true(leaf->edx & 1 << 28);  // more than one
	free(cpuid);
}

static void test_one_cpu(void **state)
{
	struct x86_cpuid_config one = four;
	struct kvm_cpuid2 *cpuid;

	one.cpus = 1;
	one.tsc_deadline = false;
	cpuid = BUILD(intel, &one, 0);
	assert_int_equal(find(cpuid, 1, 0)->ebx, 1 << 16 | 0x0800);
	assert_false(find(cpuid, 1, 0)->edx & 1 << 28);
	assert_false(find(cpuid, 1, 0)->ecx & 1 << 24);
	assert_int_equal(find(cpuid, 4, 3)->eax, 0x163);
	assert_int_equal(find(cpuid, 0xb, 1)->eax, 0);
	assert_int_equal(find(cpuid, 0xb, 1)->ebx, 1);
	assert_int_equal(find(cpuid, 0x80000008, 0)->ecx, 0);
	free(cpuid);
}

static void test_caches(void **state)
{
	struct kvm_cpuid2 *cpuid = BUILD(intel, &four, 0);

	// Cores of the package less one; CPUs that share it less one; level and type.
	assert_int_equal(find(cpuid, 4, 0)->eax, 3 << 26 | 0x121);
	assert_int_equal(find(cpuid, 4, 2)->eax, 3 << 26 | 0x143);
	assert_int_equal(find(cpuid, 4, 3)->eax, 3 << 26 | 3 << 14 | 0x163);
	assert_int_equal(find(cpuid, 4, 4)->eax, 0);
	free(cpuid);
}

static void assert_topology(const struct kvm_cpuid2 *cpuid, uint32_t leaf, unsigned cpus,
			    unsigned bits, unsigned index)
{
	const struct kvm_cpuid_entry2 *threads = find(cpuid, leaf, 0),
				      *cores = find(cpuid, leaf, 1);
	const struct kvm_cpuid_entry2 *end = find(cpuid, leaf, 2);

	assert_int_equal(threads->eax, 0);
	assert_int_equal(threads->ebx, 1);
	assert_int_equal(threads->ecx, 0x100);
	assert_int_equal(threads->edx, index);
	assert_int_equal(cores->eax, bits);
	assert_int_equal(cores->ebx, cpus);
	assert_int_equal(cores->ecx, 0x201);
	assert_int_equal(cores->edx, index);
	assert_int_equal(end->ebx, 0);
	assert_int_equal(end->ecx, 2);
	assert_int_equal(end->edx, index);
}

static void test_topology(void **state)
{
	struct kvm_cpuid2 *cpuid = BUILD(intel, &four, 2);

	assert_topology(cpuid, 0xb, 4, 2, 2);
	assert_topology(cpuid, 0x1f, 4, 2, 2);
	free(cpuid);
}

static void test_odd_and_large_topologies(void **state)
{
	static const struct {
		unsigned cpus, bits;
	} sizes[] = { { 1, 0 }, { 2, 1 }, { 3, 2 }, { 5, 3 }, { 63, 6 }, { 64, 6 } };

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct x86_cpuid_config config = four;
		unsigned last = sizes[i].cpus - 1;
		struct kvm_cpuid2 *cpuid;

		config.cpus = sizes[i].cpus;
		cpuid = BUILD(intel, &config, last);
		assert_topology(cpuid, 0xb, sizes[i].cpus, sizes[i].bits, last);
		assert_int_equal(find(cpuid, 1, 0)->ebx >> 24, last);
		assert_int_equal(find(cpuid, 1, 0)->ebx >> 16 & 0xff, 1U << sizes[i].bits);
		assert_int_equal(find(cpuid, 4, 0)->eax >> 26, last);
		free(cpuid);
	}
}

static void test_amd(void **state)
{
	struct kvm_cpuid2 *cpuid = BUILD(amd, &four, 3);

	assert_topology(cpuid, 0xb, 4, 2, 3);
	assert_null(find(cpuid, 0x1f, 0)); // beyond its last leaf
	assert_int_equal(find(cpuid, 0x80000008, 0)->ecx, 3 | 2 << 12);
	assert_int_equal(find(cpuid, 0x8000001d, 0)->eax, 0x121);
	assert_int_equal(find(cpuid, 0x8000001d, 3)->eax, 3 << 14 | 0x163);
	assert_int_equal(find(cpuid, 0x8000001e, 0)->eax, 3);
	assert_int_equal(find(cpuid, 0x8000001e, 0)->ebx, 3);
	assert_int_equal(find(cpuid, 0x8000001e, 0)->ecx, 0);
	assert_true(find(cpuid, 0x80000001, 0)->ecx & 2);
	assert_null(find(cpuid, 0x80000026, 0));
	free(cpuid);
}

static void test_no_counters(void **state)
{
	struct kvm_cpuid2 *cpuid = BUILD(intel, &four, 0);

	assert_null(find(cpuid, 0xa, 0));
	free(cpuid);
	cpuid = BUILD(amd, &four, 0);
	assert_null(find(cpuid, 0x80000022, 0));
	assert_false(find(cpuid, 0x80000001, 0)->ecx & 1 << 23);
	free(cpuid);
}

// TSC = crystal * EBX / EAX, and the crystal drives the local APIC's timer.
static void test_timing(void **state)
{
	struct kvm_cpuid2 *cpuid = BUILD(intel, &four, 0);
	const struct kvm_cpuid_entry2 *tsc = find(cpuid, 0x15, 0);

	assert_int_equal(tsc->ecx, 1000000000);
	assert_true((uint64_t)tsc->ecx * tsc->ebx / tsc->eax == 2400000000);
	assert_int_equal(find(cpuid, 0x40000000, 0)->eax, 0x40000010);
	assert_int_equal(find(cpuid, 0x40000010, 0)->eax, 2400000);
	assert_int_equal(find(cpuid, 0x40000010, 0)->ebx, 1000000);
	assert_int_equal(find(cpuid, 0x40000001, 0)->eax, 0x01007afb);
	free(cpuid);
	cpuid = BUILD(amd, &four, 0);
	assert_null(find(cpuid, 0x15, 0)); // Intel's
	assert_non_null(find(cpuid, 0x40000010, 0));
	free(cpuid);
}

static void test_unknown_frequency(void **state)
{
	struct x86_cpuid_config config = four;
	struct kvm_cpuid2 *cpuid;

	config.tsc_khz = 0;
	cpuid = BUILD(intel, &config, 0);
	assert_int_equal(find(cpuid, 0x15, 0)->ebx, 240);
	assert_int_equal(find(cpuid, 0x40000000, 0)->eax, 0x40000001);
	assert_null(find(cpuid, 0x40000010, 0));
	free(cpuid);
}

// A host with as many leaves as there is room for.
static void test_no_room(void **state)
{
	struct kvm_cpuid2 *cpuid = calloc(1, X86_CPUID_BYTES);

	cpuid->nent = X86_CPUID_MAX_ENTRIES;
	memcpy(cpuid->entries, intel, sizeof(intel));
	for (unsigned i = ARRAY_SIZE(intel); i < X86_CPUID_MAX_ENTRIES; i++)
		cpuid->entries[i] = (struct kvm_cpuid_entry2){ .function = 0xc0000000 + i };
	assert_int_equal(x86_cpuid_build(cpuid, &four, 0), -ENOSPC);
	free(cpuid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_features),
		cmocka_unit_test(test_one_cpu),
		cmocka_unit_test(test_caches),
		cmocka_unit_test(test_topology),
		cmocka_unit_test(test_odd_and_large_topologies),
		cmocka_unit_test(test_amd),
		cmocka_unit_test(test_no_counters),
		cmocka_unit_test(test_timing),
		cmocka_unit_test(test_unknown_frequency),
		cmocka_unit_test(test_no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
	return 0;
}

#endif
