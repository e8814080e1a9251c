// SPDX-License-Identifier: GPL-2.0-or-later
// Both interrupt groups: enables, FIQ, AckCtl, their binary points.
#include "lib/gic.h"

static void raise(unsigned intid, bool group1, uint8_t priority)
{
	prepare_spi(intid, priority);
	set_group1(intid, group1);
	set_bit(GICD_ISENABLER, intid);
	set_bit(GICD_ISPENDR, intid);
}

static void control(uint32_t more)
{
	cpu_put(GICC_CTLR, ENABLE_GROUP0 | ENABLE_GROUP1 | more);
}

static void enables(void)
{
	for (unsigned group = 0; group < 2; group++) {
		control(ACK_CTL);
		raise(50, group, 0x40);
		for (unsigned both = 0; both < 4; both++) {
			dist_put(GICD_CTLR, both);
			print("group %d, distributor %x: inputs %s\n", (uint64_t)group,
			      (uint64_t)both, inputs());
		}
		for (unsigned both = 0; both < 4; both++) {
			cpu_put(GICC_CTLR, both | ACK_CTL);
			print("group %d, CPU interface %x: inputs %s\n", (uint64_t)group,
			      (uint64_t)both, inputs());
		}
	}
	// The best one hides the other, also when its group is switched off here.
	raise(51, false, 0x80);
	cpu_put(GICC_CTLR, ENABLE_GROUP0 | ACK_CTL);
	print("group 0 behind group 1: inputs %s\n", inputs());
	control(ACK_CTL);
	print("highest %d\n", (uint64_t)cpu_get(GICC_HPPIR));
	eoi(show_ack("group 1"));
	eoi(show_ack("group 0"));
}

static void ack_ctl(void)
{
	control(0);
	raise(50, true, 0x40);
	show("without AckCtl", 50);
	print("highest %d\n", (uint64_t)cpu_get(GICC_HPPIR));
	show_ack("without AckCtl");
	show("still there", 50);
	control(ACK_CTL);
	print("highest %d\n", (uint64_t)cpu_get(GICC_HPPIR));
	show_ack("with AckCtl");
	print("levels %x %x\n", (uint64_t)cpu_get(GICC_APR + 4), (uint64_t)cpu_get(GICC_NSAPR + 4));
	raise(51, false, 0x20);
	show_ack("group 0 on top of it");
	print("levels %x %x\n", (uint64_t)cpu_get(GICC_APR), (uint64_t)cpu_get(GICC_NSAPR + 4));
	eoi(51);
	show("one ended", 50);
	eoi(50);
	show("both ended", 50);
}

static void fiq(void)
{
	control(ACK_CTL | FIQ_EN);
	raise(51, false, 0x80);
	show("group 0 by FIQ", 51);
	raise(50, true, 0x40);
	show("group 1 before it", 50);
	ack();
	show("taken", 50);
	eoi(50);
	show("ended", 51);
	control(ACK_CTL);
	show("without FIQEn", 51);
	control(ACK_CTL | FIQ_EN);
	eoi(show_ack("FIQ"));
	show("ended", 51);
}

static void binary_points(void)
{
	control(ACK_CTL);
	cpu_put(GICC_BPR, 0);
	for (unsigned point = 0; point < 8; point++) {
		cpu_put(GICC_ABPR, point);
		raise(50, true, 0x7f);
		ack();
		print("point %d: running %x", (uint64_t)point, (uint64_t)cpu_get(GICC_RPR));
		eoi(50);
		cpu_put(GICC_BPR, point);
		control(ACK_CTL | CBPR);
		raise(50, true, 0x7f);
		ack();
		print(", common: running %x\n", (uint64_t)cpu_get(GICC_RPR));
		eoi(50);
		control(ACK_CTL);
		cpu_put(GICC_BPR, 0);
	}
	cpu_put(GICC_ABPR, 1);
}

static void handle(bool is_fiq)
{
	uint32_t value = ack();

	print("%s %d\n", is_fiq ? "fiq" : "irq", (uint64_t)value);
	eoi(value);
}

static void handlers(void)
{
	this_cpu()->on_interrupt = handle;
	control(ACK_CTL | FIQ_EN);
	raise(50, true, 0x40);
	raise(51, false, 0x80);
	raise(52, false, 0x20);
	open_interrupts();
	open_interrupts();
	open_interrupts();
	show("all taken", 50);
}

int main(void)
{
	gic_init();
	cpu_put(GICC_PMR, 0xff);
	enables();
	dist_put(GICD_CTLR, ENABLE_GROUP0 | ENABLE_GROUP1);
	ack_ctl();
	fiq();
	binary_points();
	handlers();
	return 0;
}
