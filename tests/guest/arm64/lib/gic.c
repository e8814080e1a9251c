// SPDX-License-Identifier: GPL-2.0-or-later
// A GICv2 for test programs.
#include "gic.h"

uint64_t gicd, gicc;

void gic_open(void)
{
	cpu_put(GICC_PMR, 0xff);
	cpu_put(GICC_CTLR, ENABLE_GROUP0);
}

void gic_init(void)
{
	struct fdt_device device;

	if (!fdt_find("arm,cortex-a15-gic", &device))
		fatal("no GICv2");
	gicd = device.reg[0];
	gicc = device.reg[2];
}

void set_edge(unsigned intid, bool edge)
{
	unsigned offset = GICD_ICFGR + intid / 16 * 4;
	uint32_t bit = 2U << (intid % 16 * 2), value = dist_get(offset);

	dist_put(offset, edge ? value | bit : value & ~bit);
}

void set_group1(unsigned intid, bool group1)
{
	unsigned offset = GICD_IGROUPR + intid / 32 * 4;
	uint32_t bit = 1U << (intid % 32), value = dist_get(offset);

	dist_put(offset, group1 ? value | bit : value & ~bit);
}

void prepare_spi(unsigned intid, uint8_t priority)
{
	set_bit(GICD_ICENABLER, intid);
	set_bit(GICD_ICPENDR, intid);
	set_bit(GICD_ICACTIVER, intid);
	set_targets(intid, 1);
	set_edge(intid, true);
	set_group1(intid, false);
	set_priority(intid, priority);
}

void show(const char *label, unsigned intid)
{
	uint32_t running = cpu_get(GICC_RPR);

	print("%s: inputs %s, running %x, %s%s%s\n", label, inputs(), (uint64_t)running,
	      get_bit(GICD_ISPENDR, intid) ? "pending " : "",
	      get_bit(GICD_ISACTIVER, intid) ? "active " : "",
	      get_bit(GICD_ISENABLER, intid) ? "enabled" : "disabled");
}

uint32_t show_ack(const char *label)
{
	uint32_t value = ack();

	print("%s: acknowledged %x\n", label, (uint64_t)value);
	return value;
}
