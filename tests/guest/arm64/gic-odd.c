// SPDX-License-Identifier: GPL-2.0-or-later
// Accesses that no driver makes, at every size, by four CPUs: the GIC still works.
#include "lib/gic.h"

static uint64_t state = 0x9e3779b97f4a7c15;

static uint64_t random_next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static void access(uint64_t addr, unsigned size, bool is_write, uint64_t value)
{
	switch (size << 1 | is_write) {
	case 0:
		read8(addr);
		break;
	case 1:
		write8(addr, (uint8_t)value);
		break;
	case 2:
		__asm__ volatile("ldrh %w0, [%1]" : "=r"(value) : "r"(addr & ~1UL) : "memory");
		break;
	case 3:
		__asm__ volatile("strh %w0, [%1]" : : "r"(value), "r"(addr & ~1UL) : "memory");
		break;
	case 4:
		read32(addr & ~3UL);
		break;
	case 5:
		write32(addr & ~3UL, (uint32_t)value);
		break;
	case 6:
		__asm__ volatile("ldr %0, [%1]" : "=r"(value) : "r"(addr & ~7UL) : "memory");
		break;
	default:
		__asm__ volatile("str %0, [%1]" : : "r"(value), "r"(addr & ~7UL) : "memory");
		break;
	}
}

static void abuse(uint64_t rounds)
{
	catch_faults();
	while (rounds--) {
		uint64_t random = random_next();
		uint64_t addr = random & 1 ? gicd + (random >> 8 & 0xfff) : gicc + (random >> 8 & 0x11ff);

		access(addr, random >> 1 & 3, random >> 3 & 1, random >> 24);
	}
	catch_end();
}

// Everything off and idle, whatever the state.
static void tidy(uint64_t cpu)
{
	cpu_put(GICC_CTLR, 0);
	for (unsigned i = 0; i < 4; i++) {
		cpu_put(GICC_APR + 4 * i, 0);
		cpu_put(GICC_NSAPR + 4 * i, 0);
		dist_put(GICD_CPENDSGIR + 4 * i, ~0U);
	}
	cpu_put(GICC_BPR, 0);
	dist_put(GICD_IGROUPR, 0);
	dist_put(GICD_ICENABLER, ~0U);
	dist_put(GICD_ISENABLER, 0xffff);
	dist_put(GICD_ICPENDR, ~0U);
	dist_put(GICD_ICACTIVER, ~0U);
	for (unsigned i = 0; i < 32; i += 4)
		dist_put(GICD_IPRIORITYR + i, 0x80808080);
	gic_open();
}

static void tidy_spis(void)
{
	unsigned words = (dist_get(GICD_TYPER) & 0x1f) + 1;

	for (unsigned i = 1; i < words; i++) {
		dist_put(GICD_ICENABLER + 4 * i, ~0U);
		dist_put(GICD_ICPENDR + 4 * i, ~0U);
		dist_put(GICD_ICACTIVER + 4 * i, ~0U);
	}
}

static void works(uint64_t cpu)
{
	dist_put(GICD_SGIR, 0x02000005);
	print("CPU %d: inputs %s, ", cpu, inputs());
	eoi(show_ack("an SGI"));
	print("CPU %d: inputs %s\n", cpu, inputs());
}

int main(void)
{
	gic_init();
	for (unsigned round = 0; round < 5; round++)
		for (unsigned cpu = 0; cpu < 4; cpu++)
			on_cpu(cpu, abuse, 400);
	dist_put(GICD_CTLR, 0);
	for (unsigned cpu = 0; cpu < 4; cpu++)
		on_cpu(cpu, tidy, cpu);
	tidy_spis();
	dist_put(GICD_CTLR, ENABLE_GROUP0);
	for (unsigned cpu = 0; cpu < 4; cpu++)
		on_cpu(cpu, works, cpu);
	put("survived\n");
	return 0;
}
