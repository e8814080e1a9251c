// SPDX-License-Identifier: GPL-2.0-or-later
// Four CPUs, started one after the other, and what CPUID tells each of itself.
#include "lib/guest.h"

#define CPUS 4

static volatile unsigned here;

static void show(void)
{
	struct cpuid features = cpuid(1, 0), topology = cpuid(0xb, 1);

	print("apic %d: leaf 1 %d, leaf 0xb %d of %d\n", (uint64_t)apic_id(),
	      (uint64_t)features.ebx >> 24, (uint64_t)topology.edx, (uint64_t)topology.ebx);
}

void ap_main(void)
{
	show();
	here++;
}

void main(const uint8_t *boot_params)
{
	show();
	for (unsigned id = 1; id < CPUS; id++) {
		start_ap(id);
		while (here < id)
			__asm__ volatile("pause");
	}
	put("all here\n");
}
