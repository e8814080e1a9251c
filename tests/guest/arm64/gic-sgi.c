// SPDX-License-Identifier: GPL-2.0-or-later
// SGIs between four CPUs: sources, filters, pending state, order.
#include "lib/gic.h"

#define CPUS 4

static void open_cpu(uint64_t unused)
{
	gic_open();
}

static void send(uint64_t value)
{
	dist_put(GICD_SGIR, (uint32_t)value);
}

// Nothing when there is nothing.
static void show_pending(uint64_t cpu)
{
	const char *now;
	uint32_t highest, pending;

	gic_open();
	now = inputs();
	highest = cpu_get(GICC_HPPIR) & 0x3ff;
	pending = dist_get(GICD_ISPENDR) & 0xffff;
	if (now[0] == 'n' && !pending && highest == SPURIOUS)
		return;
	print("  CPU %d: %s, pending %x, highest %x, from", cpu, now, (uint64_t)pending,
	      (uint64_t)highest);
	for (unsigned i = 0; i < 16; i += 4)
		print(" %x", (uint64_t)dist_get((i & 4 ? GICD_CPENDSGIR : GICD_SPENDSGIR) + i));
	put("\n");
}

static void take_all(uint64_t cpu)
{
	uint32_t value;

	while ((value = ack()) != SPURIOUS) {
		print("  CPU %d: took %x at %x, active %x, pending %x\n", cpu, (uint64_t)value,
		      (uint64_t)cpu_get(GICC_RPR), (uint64_t)dist_get(GICD_ISACTIVER),
		      (uint64_t)dist_get(GICD_ISPENDR) & 0xffff);
		eoi(value);
	}
}

static void show_and_take(uint64_t cpu)
{
	show_pending(cpu);
	take_all(cpu);
}

static void everyone(void (*call)(uint64_t cpu))
{
	for (unsigned cpu = 0; cpu < CPUS; cpu++)
		on_cpu(cpu, call, cpu);
}

static void filters(void)
{
	static const uint32_t values[] = {
		0x00000000 | 1,  0x000a0000 | 2, 0x00ff0000 | 15, 0x00f00000 | 3,
		0x01000000 | 4,  0x01ff0000 | 5, 0x02000000 | 6,  0x02ff0000 | 0,
		0x00047ff0 | 7,
	};

	for (unsigned source = 0; source < CPUS; source += 3) {
		for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
			print("CPU %d sends %x\n", (uint64_t)source, (uint64_t)values[i]);
			on_cpu(source, send, values[i]);
			everyone(show_and_take);
		}
	}
}

// One SGI is pending once for each source.
static void sources(void)
{
	for (unsigned source = 0; source < CPUS; source++) {
		on_cpu(source, send, 0x00020000 | 5);
		on_cpu(source, send, 0x00020000 | 5);
	}
	put("from all to CPU 1\n");
	on_cpu(1, show_pending, 1);
	on_cpu(1, take_all, 1);
	on_cpu(1, show_pending, 1);
}

static void pending_registers(uint64_t cpu)
{
	write8(gicd + GICD_SPENDSGIR + 9, 0x05);
	write8(gicd + GICD_SPENDSGIR + 9, 0x02);
	write8(gicd + GICD_SPENDSGIR + 14, 0x08);
	show_pending(cpu);
	write8(gicd + GICD_CPENDSGIR + 9, 0x06);
	show_pending(cpu);
	dist_put(GICD_CPENDSGIR + 12, 0x00ff0000);
	show_pending(cpu);
	take_all(cpu);
}

static void priorities(uint64_t cpu)
{
	set_priority(2, 0x80);
	set_priority(3, 0x60);
	set_priority(4, 0x40);
	dist_put(GICD_SGIR, 0x02000002);
	dist_put(GICD_SGIR, 0x02000003);
	dist_put(GICD_SGIR, 0x02000004);
	take_all(cpu);
	dist_put(GICD_SGIR, 0x02000002);
	print("  first %x\n", (uint64_t)ack());
	dist_put(GICD_SGIR, 0x02000004);
	print("  inputs %s, nested %x, running %x\n", inputs(), (uint64_t)ack(),
	      (uint64_t)cpu_get(GICC_RPR));
	// Active, and sent again.
	dist_put(GICD_SGIR, 0x02000004);
	show_pending(cpu);
	eoi((uint32_t)cpu << 10 | 4);
	print("  running %x, inputs %s\n", (uint64_t)cpu_get(GICC_RPR), inputs());
	take_all(cpu);
	eoi((uint32_t)cpu << 10 | 2);
	print("  running %x, inputs %s\n", (uint64_t)cpu_get(GICC_RPR), inputs());
	set_priority(2, 0);
	set_priority(3, 0);
	set_priority(4, 0);
}

// -- taken as interrupts, by CPUs that sleep --

static volatile uint32_t taken[CPUS];

static void take_one(bool is_fiq)
{
	struct cpu *cpu = this_cpu();
	uint32_t value = ack();

	taken[cpu->index] = value | (is_fiq ? 0x10000 : 0);
	eoi(value);
}

static void sleep_until_taken(uint64_t cpu)
{
	gic_open();
	this_cpu()->on_interrupt = take_one;
	taken[cpu] = SPURIOUS;
	// The neighbour wakes it, or has already.
	dist_put(GICD_SGIR, 1U << (16 + (cpu + CPUS - 1) % CPUS) | (uint32_t)cpu);
	while (taken[cpu] == SPURIOUS) {
		__asm__ volatile("wfi" : : : "memory");
		open_interrupts();
	}
	this_cpu()->on_interrupt = NULL;
	print("  CPU %d took %x\n", cpu, (uint64_t)taken[cpu]);
}

static void chain(void)
{
	// Each CPU finds what the one before it in this order sent.
	on_cpu(0, send, 0x00080000 | 9);
	for (unsigned i = 0; i < CPUS; i++)
		on_cpu(CPUS - 1 - i, sleep_until_taken, CPUS - 1 - i);
	everyone(take_all);
}

int main(void)
{
	gic_init();
	dist_put(GICD_CTLR, ENABLE_GROUP0);
	for (unsigned cpu = 0; cpu < CPUS; cpu++)
		on_cpu(cpu, open_cpu, 0);
	filters();
	sources();
	for (unsigned cpu = 0; cpu < CPUS; cpu++)
		on_cpu(cpu, pending_registers, cpu);
	for (unsigned cpu = 0; cpu < CPUS; cpu++)
		on_cpu(cpu, priorities, cpu);
	chain();
	return 0;
}
