// SPDX-License-Identifier: GPL-2.0-or-later
// The GICv2's registers: after reset, what they keep, what is banked.
#include "lib/gic.h"

#define OF_CPU_INTERFACE 0x8000

static const uint16_t banked[] = {
	GICC_CTLR | OF_CPU_INTERFACE,
	GICC_PMR | OF_CPU_INTERFACE,
	GICC_BPR | OF_CPU_INTERFACE,
	GICC_IAR | OF_CPU_INTERFACE,
	GICC_RPR | OF_CPU_INTERFACE,
	GICC_HPPIR | OF_CPU_INTERFACE,
	GICC_ABPR | OF_CPU_INTERFACE,
	GICC_APR | OF_CPU_INTERFACE,
	(GICC_APR + 12) | OF_CPU_INTERFACE,
	GICC_NSAPR | OF_CPU_INTERFACE,
	(GICC_NSAPR + 12) | OF_CPU_INTERFACE,
	GICC_IIDR | OF_CPU_INTERFACE,
	GICD_IGROUPR,
	GICD_ISENABLER,
	GICD_ISACTIVER,
	GICD_IPRIORITYR,
	GICD_IPRIORITYR + 28,
	GICD_ITARGETSR,
	GICD_ITARGETSR + 28,
	GICD_ICFGR,
	GICD_ICFGR + 4,
	GICD_SPENDSGIR,
};
static uint32_t of_cpu0[ARRAY_SIZE(banked)];

// All of CPU 0, and of another one what is different.
static void show_cpu(uint64_t cpu)
{
	for (unsigned i = 0; i < ARRAY_SIZE(banked); i++) {
		bool in_cpu = banked[i] & OF_CPU_INTERFACE;
		unsigned offset = banked[i] & ~OF_CPU_INTERFACE;
		uint32_t value = in_cpu ? cpu_get(offset) : dist_get(offset);

		if (cpu == 0)
			of_cpu0[i] = value;
		if (cpu == 0 || value != of_cpu0[i])
			print("CPU %d: %s %x is %x\n", cpu, in_cpu ? "GICC" : "GICD", (uint64_t)offset,
			      (uint64_t)value);
	}
}

static void after_reset(void)
{
	print("distributor: control %x, kind %x, architecture %x, CPUs %d, security %d\n",
	      (uint64_t)dist_get(GICD_CTLR), (uint64_t)dist_get(GICD_IIDR),
	      (uint64_t)dist_get(GICD_ICPIDR2) >> 4, (uint64_t)(dist_get(GICD_TYPER) >> 5 & 7) + 1,
	      (uint64_t)(dist_get(GICD_TYPER) >> 10 & 1));
	for (unsigned cpu = 0; cpu < 4; cpu++)
		on_cpu(cpu, show_cpu, cpu);
	print("SPIs: groups %x, enabled %x, pending %x, active %x, targets %x, edge %x\n",
	      (uint64_t)dist_get(GICD_IGROUPR + 4), (uint64_t)dist_get(GICD_ISENABLER + 4),
	      (uint64_t)dist_get(GICD_ISPENDR + 4) >> 16, (uint64_t)dist_get(GICD_ISACTIVER + 4),
	      (uint64_t)dist_get(GICD_ITARGETSR + 48), (uint64_t)dist_get(GICD_ICFGR + 12));
}

static void keep_cpu(uint64_t value)
{
	cpu_put(GICC_PMR, (uint32_t)value);
	cpu_put(GICC_BPR, (uint32_t)value);
	cpu_put(GICC_ABPR, (uint32_t)value);
	print("%x: mask %x, binary points %x %x\n", value, (uint64_t)cpu_get(GICC_PMR),
	      (uint64_t)cpu_get(GICC_BPR), (uint64_t)cpu_get(GICC_ABPR));
}

static void what_they_keep(void)
{
	for (unsigned bit = 0; bit < 8; bit++)
		keep_cpu(1U << bit);
	for (unsigned i = 0; i < 8; i++)
		keep_cpu(0xf8 + i);
	keep_cpu(0);
	for (unsigned bit = 0; bit < 5; bit++) {
		cpu_put(GICC_CTLR, 1U << bit);
		print("CPU control %x\n", (uint64_t)cpu_get(GICC_CTLR));
	}
	cpu_put(GICC_CTLR, EOI_MODE);
	print("CPU control %x\n", (uint64_t)cpu_get(GICC_CTLR));
	cpu_put(GICC_CTLR, 0);
	dist_put(GICD_CTLR, ~0U);
	print("distributor control %x\n", (uint64_t)dist_get(GICD_CTLR));
	dist_put(GICD_CTLR, 0);
	for (unsigned i = 0; i < 4; i++) {
		cpu_put(GICC_APR + 4 * i, 0x80000001U << i);
		cpu_put(GICC_NSAPR + 4 * i, 0x40000002U << i);
	}
	for (unsigned i = 0; i < 4; i++)
		print("active priorities %x %x\n", (uint64_t)cpu_get(GICC_APR + 4 * i),
		      (uint64_t)cpu_get(GICC_NSAPR + 4 * i));
	for (unsigned i = 0; i < 4; i++) {
		cpu_put(GICC_APR + 4 * i, 0);
		cpu_put(GICC_NSAPR + 4 * i, 0);
	}
}

static void set_and_clear(const char *name, unsigned set, unsigned clear)
{
	dist_put(set + 4, 0x0ff00000);
	dist_put(set + 4, 0x00f00000);
	print("%s %x %x", name, (uint64_t)dist_get(set + 4), (uint64_t)dist_get(clear + 4));
	dist_put(clear + 4, 0x03000000);
	dist_put(clear + 4, 0);
	dist_put(set + 4, 0x10000000);
	print(" %x %x", (uint64_t)dist_get(set + 4), (uint64_t)dist_get(clear + 4));
	dist_put(clear + 4, 0xffff0000);
	print(" %x\n", (uint64_t)dist_get(set + 4));
}

static void bitmaps(void)
{
	for (unsigned intid = 48; intid < 64; intid++)
		set_targets(intid, 1);
	set_and_clear("enable", GICD_ISENABLER, GICD_ICENABLER);
	set_and_clear("pending", GICD_ISPENDR, GICD_ICPENDR);
	set_and_clear("active", GICD_ISACTIVER, GICD_ICACTIVER);
	dist_put(GICD_IGROUPR + 4, 0xaaaa5555);
	print("groups %x", (uint64_t)dist_get(GICD_IGROUPR + 4));
	dist_put(GICD_IGROUPR + 4, 0);
	print(" %x\n", (uint64_t)dist_get(GICD_IGROUPR + 4));
	dist_put(GICD_ICFGR + 12, 0xaaaa0a0a);
	print("edge %x", (uint64_t)dist_get(GICD_ICFGR + 12));
	dist_put(GICD_ICFGR + 12, 0xffff5555); // the lower bits are reserved
	print(" %x\n", (uint64_t)dist_get(GICD_ICFGR + 12));
	dist_put(GICD_ICFGR + 12, 0);
}

static void bytes(void)
{
	dist_put(GICD_IPRIORITYR + 48, 0xff817e01);
	print("priorities %x", (uint64_t)dist_get(GICD_IPRIORITYR + 48));
	for (unsigned i = 0; i < 4; i++)
		set_priority(48 + i, (uint8_t)(0x11 * i + 0x20));
	print(" %x %x\n", (uint64_t)dist_get(GICD_IPRIORITYR + 48),
	      (uint64_t)read8(gicd + GICD_IPRIORITYR + 50));
	dist_put(GICD_ITARGETSR + 48, 0x0f0a0501);
	print("targets %x", (uint64_t)dist_get(GICD_ITARGETSR + 48));
	set_targets(49, 2);
	print(" %x %x\n", (uint64_t)dist_get(GICD_ITARGETSR + 48),
	      (uint64_t)read8(gicd + GICD_ITARGETSR + 49));
	dist_put(GICD_ITARGETSR + 8, 0x0f0f0f0f);
	print("private targets %x\n", (uint64_t)dist_get(GICD_ITARGETSR + 8));
}

// SGIs are always enabled and edge-triggered, and not made pending this way.
static void sgis(void)
{
	dist_put(GICD_ICENABLER, 0xffff);
	print("SGIs enabled %x", (uint64_t)dist_get(GICD_ISENABLER) & 0xffff);
	dist_put(GICD_ISPENDR, 0xffff);
	print(" pending %x", (uint64_t)dist_get(GICD_ISPENDR) & 0xffff);
	dist_put(GICD_ICFGR, 0);
	print(" edge %x\n", (uint64_t)dist_get(GICD_ICFGR));
}

static void write_banked(uint64_t cpu)
{
	dist_put(GICD_IGROUPR, 0x01010001U << cpu);
	dist_put(GICD_ISENABLER, 1U << (28 + cpu));
	dist_put(GICD_ISACTIVER, 1U << (20 + cpu));
	set_priority(3, (uint8_t)(0x10 + cpu));
	set_priority(29, (uint8_t)(0x20 + cpu));
	cpu_put(GICC_PMR, (uint32_t)(0x30 + cpu));
	cpu_put(GICC_BPR, (uint32_t)(2 + cpu));
}

static void banks(void)
{
	for (unsigned cpu = 0; cpu < 4; cpu++)
		on_cpu(cpu, write_banked, cpu);
	for (unsigned cpu = 0; cpu < 4; cpu++)
		on_cpu(cpu, show_cpu, cpu);
}

static void reserved(void)
{
	static const uint16_t offsets[] = { 0x00c, 0x020, 0x07c, 0x7fc, 0xbfc, 0xcfc, 0xe00,
					    0xefc, 0xf04 };
	uint32_t all = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(offsets); i++) {
		dist_put(offsets[i], ~0U);
		all |= dist_get(offsets[i]);
	}
	print("reserved %x\n", (uint64_t)all);
}

int main(void)
{
	gic_init();
	after_reset();
	what_they_keep();
	bitmaps();
	bytes();
	sgis();
	banks();
	reserved();
	return 0;
}
