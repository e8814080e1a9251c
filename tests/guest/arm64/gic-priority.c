// SPDX-License-Identifier: GPL-2.0-or-later
// Priorities: order, mask, preemption, binary point, both modes of the end.
#include "lib/gic.h"

// Pending by software, as if by an edge.
static void raise(unsigned intid)
{
	set_bit(GICD_ISENABLER, intid);
	set_bit(GICD_ISPENDR, intid);
}

static void one_interrupt(void)
{
	prepare_spi(50, 0x80);
	show("idle", 50);
	set_bit(GICD_ISPENDR, 50);
	show("pending, disabled", 50);
	set_bit(GICD_ISENABLER, 50);
	show("enabled", 50);
	set_bit(GICD_ICENABLER, 50);
	show("disabled again", 50);
	set_bit(GICD_ISENABLER, 50);
	dist_put(GICD_CTLR, 0);
	show("distributor off", 50);
	print("highest %x, ", (uint64_t)cpu_get(GICC_HPPIR));
	show_ack("distributor off");
	dist_put(GICD_CTLR, ENABLE_GROUP0);
	cpu_put(GICC_CTLR, 0);
	show("CPU interface off", 50);
	print("highest %x, ", (uint64_t)cpu_get(GICC_HPPIR));
	show_ack("CPU interface off");
	cpu_put(GICC_CTLR, ENABLE_GROUP0);
	print("highest %x\n", (uint64_t)cpu_get(GICC_HPPIR));
	show_ack("both on");
	show("acknowledged", 50);
	show_ack("once more");
	set_bit(GICD_ISPENDR, 50);
	show("pending again", 50);
	eoi(50);
	show("ended", 50);
	show_ack("again");
	eoi(50);
	show("at rest", 50);
}

static void mask(void)
{
	static const uint8_t masks[] = { 0, 1, 0x7f, 0x80, 0x81, 0xfe, 0xff };

	prepare_spi(50, 0x80);
	raise(50);
	for (unsigned i = 0; i < ARRAY_SIZE(masks); i++) {
		cpu_put(GICC_PMR, masks[i]);
		print("mask %x: inputs %s\n", (uint64_t)masks[i], inputs());
	}
	cpu_put(GICC_PMR, 0x80);
	show_ack("masked");
	cpu_put(GICC_PMR, 0xff);
	for (unsigned priority = 0xf8; priority <= 0xff; priority++) {
		set_priority(50, (uint8_t)priority);
		print("priority %x: inputs %s\n", (uint64_t)priority, inputs());
	}
	set_bit(GICD_ICPENDR, 50);
}

static void order(void)
{
	static const uint8_t priorities[] = { 0x60, 0x20, 0xa0, 0x20, 0x60, 0x00, 0x21 };
	uint32_t value;

	for (unsigned i = 0; i < ARRAY_SIZE(priorities); i++) {
		prepare_spi(56 - i, priorities[i]);
		raise(56 - i);
	}
	while ((value = ack()) != SPURIOUS) {
		print("order: %d at %x\n", (uint64_t)value, (uint64_t)cpu_get(GICC_RPR));
		eoi(value);
	}
}

static void show_levels(const char *label)
{
	print("%s: running %x, levels %x %x %x %x\n", label, (uint64_t)cpu_get(GICC_RPR),
	      (uint64_t)cpu_get(GICC_APR), (uint64_t)cpu_get(GICC_APR + 4),
	      (uint64_t)cpu_get(GICC_APR + 8), (uint64_t)cpu_get(GICC_APR + 12));
}

static void nesting(void)
{
	for (unsigned i = 0; i < 8; i++)
		prepare_spi(48 + i, (uint8_t)(0xe0 - 0x20 * i));
	for (unsigned i = 0; i < 8; i++) {
		raise(48 + i);
		print("nesting: %d, ", (uint64_t)ack());
		show_levels("down");
		// Of the same priority, it does not preempt.
		set_priority(60, (uint8_t)(0xe0 - 0x20 * i));
		set_edge(60, true);
		set_targets(60, 1);
		raise(60);
		print("equal: inputs %s, %x, highest %d\n", inputs(), (uint64_t)ack(),
		      (uint64_t)cpu_get(GICC_HPPIR));
		set_bit(GICD_ICPENDR, 60);
	}
	for (unsigned i = 8; i-- > 0;) {
		eoi(48 + i);
		show_levels("up");
	}
}

// For each binary point the priorities by which 0x7f is preempted.
static void binary_point(void)
{
	prepare_spi(50, 0x7f);
	prepare_spi(51, 0);
	for (unsigned point = 0; point < 8; point++) {
		unsigned lowest = 0;

		cpu_put(GICC_BPR, point);
		set_priority(50, 0x7f);
		raise(50);
		ack();
		show_levels("binary point");
		raise(51);
		for (unsigned priority = 0; priority < 0x80; priority++) {
			set_priority(51, (uint8_t)priority);
			if (inputs()[0] != 'n')
				lowest = priority + 1;
		}
		print("binary point %d: preempted below %x\n", (uint64_t)point, (uint64_t)lowest);
		set_bit(GICD_ICPENDR, 51);
		eoi(50);
	}
	// What does not preempt still comes first.
	prepare_spi(50, 0x90);
	prepare_spi(51, 0x30);
	raise(50);
	raise(51);
	eoi(show_ack("by subpriority"));
	eoi(show_ack("by subpriority"));
	cpu_put(GICC_BPR, 0);
}

static void two_steps(void)
{
	cpu_put(GICC_CTLR, ENABLE_GROUP0 | EOI_MODE);
	prepare_spi(50, 0x80);
	prepare_spi(51, 0x90);
	raise(50);
	show_ack("two steps");
	raise(50);
	raise(51);
	show("before the drop", 50);
	eoi(50);
	show("dropped", 50);
	show_ack("the other");
	eoi(51);
	show("both dropped", 50);
	show_ack("both dropped");
	cpu_put(GICC_DIR, 50);
	show("deactivated", 50);
	show("deactivated", 51);
	show_ack("again");
	cpu_put(GICC_DIR, 50); // before the drop
	show("deactivated first", 50);
	eoi(50);
	show("dropped", 50);
	cpu_put(GICC_DIR, 51);
	cpu_put(GICC_CTLR, ENABLE_GROUP0);
	raise(50);
	show_ack("one step");
	cpu_put(GICC_DIR, 50); // nothing, in this mode
	show("not deactivated", 50);
	eoi(50);
	show("ended", 50);
}

static void ends_that_do_not_fit(void)
{
	static const uint32_t wrong[] = { SPURIOUS, 1022, 1020 };

	prepare_spi(50, 0x80);
	set_bit(GICD_ISACTIVER, 50);
	eoi(50);
	show("end with nothing running", 50);
	set_bit(GICD_ICACTIVER, 50);
	raise(50);
	ack();
	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++)
		eoi(wrong[i]);
	show("ends of no interrupt", 50);
	eoi(50);
	show("end", 50);
}

static void active_bits(void)
{
	prepare_spi(50, 0x80);
	raise(50);
	set_bit(GICD_ISACTIVER, 50);
	show("active by the register", 50);
	print("highest %x\n", (uint64_t)cpu_get(GICC_HPPIR));
	set_bit(GICD_ICACTIVER, 50);
	show("inactive", 50);
	ack();
	set_bit(GICD_ICACTIVER, 50);
	show("inactive while it runs", 50);
	eoi(50);
	show("ended", 50);
	raise(50);
	cpu_put(GICC_APR + 4, 1U << 3);
	show("a running level by the register", 50);
	cpu_put(GICC_APR + 4, 0);
	show("and away", 50);
	eoi(show_ack("taken"));
}

// -- taken as interrupts --

static unsigned depth;

// The higher ones raise the next one and let it in.
static void nest(bool is_fiq)
{
	uint32_t value = ack();

	depth++;
	print("%s %d at depth %d, running %x\n", is_fiq ? "fiq" : "irq", (uint64_t)value,
	      (uint64_t)depth, (uint64_t)cpu_get(GICC_RPR));
	if (value == 50)
		raise(49); // waits
	if (value >= 50 && value < 55)
		raise(value + 1);
	open_interrupts();
	depth--;
	eoi(value);
	print("end %d, running %x\n", (uint64_t)value, (uint64_t)cpu_get(GICC_RPR));
	set_bit(GICD_ICENABLER, value);
}

static void handlers(void)
{
	this_cpu()->on_interrupt = nest;
	for (unsigned i = 49; i <= 55; i++)
		prepare_spi(i, (uint8_t)(0xf0 - 0x10 * (i - 48)));
	raise(50);
	open_interrupts();
	open_interrupts();
	for (unsigned i = 49; i <= 55; i++)
		set_bit(GICD_ICPENDR, i);
}

int main(void)
{
	gic_init();
	dist_put(GICD_CTLR, ENABLE_GROUP0);
	gic_open();
	one_interrupt();
	mask();
	order();
	nesting();
	binary_point();
	two_steps();
	ends_that_do_not_fit();
	active_bits();
	handlers();
	return 0;
}
