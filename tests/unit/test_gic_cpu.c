// SPDX-License-Identifier: GPL-2.0-or-later
// The GIC's CPU interface: acknowledge, end, priorities, preemption, groups.

#include "gic-fixture.h"

// A signalled SPI of this priority, by an edge.
static void raise_spi(struct gic_fixture *f, unsigned intid, uint8_t priority)
{
	set_edge(f, 0, intid, true);
	prepare(f, intid, priority);
	line(f, intid, true);
	line(f, intid, false);
}

static void test_registers(void **state)
{
	struct gic_fixture *f = *state;

	assert_int_equal(cpu_get(f, 0, GICC_IIDR), 0x0002043b);
	assert_int_equal(cpu_get(f, 0, GICC_CTLR), 0);
	assert_int_equal(cpu_get(f, 0, GICC_PMR), 0);
	assert_int_equal(cpu_get(f, 0, GICC_BPR), 0);
	assert_int_equal(cpu_get(f, 0, GICC_ABPR), 1);
	assert_int_equal(cpu_get(f, 0, GICC_RPR), 0xff);
	assert_int_equal(cpu_get(f, 0, GICC_IAR), SPURIOUS);
	assert_int_equal(cpu_get(f, 0, GICC_HPPIR), SPURIOUS);
	assert_int_equal(cpu_get(f, 0, GICC_AIAR), SPURIOUS);
	assert_int_equal(cpu_get(f, 0, GICC_AHPPIR), SPURIOUS);
	cpu_put(f, 0, GICC_CTLR, ~0U);
	cpu_put(f, 0, GICC_PMR, 0x1a5);
	cpu_put(f, 0, GICC_BPR, 0xfd);
	cpu_put(f, 0, GICC_ABPR, 0xfe);
	assert_int_equal(cpu_get(f, 0, GICC_CTLR), 0x21f);
	assert_int_equal(cpu_get(f, 0, GICC_PMR), 0xa5);
	assert_int_equal(cpu_get(f, 0, GICC_BPR), 5);
	assert_int_equal(cpu_get(f, 0, GICC_ABPR), 6);
	// Its smallest value (4.4.8).
	cpu_put(f, 0, GICC_ABPR, 0);
	assert_int_equal(cpu_get(f, 0, GICC_ABPR), 1);
}

static void test_every_cpu_has_its_own(void **state)
{
	static const unsigned offsets[] = { GICC_PMR, GICC_BPR, GICC_ABPR, GICC_APR + 8,
					    GICC_NSAPR + 4 };
	struct gic_fixture *f = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(offsets); i++) {
		for (unsigned cpu = 0; cpu < CPUS; cpu++)
			cpu_put(f, cpu, offsets[i], 1 + cpu);
		for (unsigned cpu = 0; cpu < CPUS; cpu++)
			assert_int_equal(cpu_get(f, cpu, offsets[i]), 1 + cpu);
	}
}

static void test_what_is_reserved_reads_zero(void **state)
{
	static const unsigned offsets[] = { GICC_EOIR, GICC_AEOIR, 0x2c,     0x40,  0xcc,
					    0xf0,      0xf8,       GICC_DIR, 0x100, 0x1ffc };
	struct gic_fixture *f = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(offsets); i++) {
		cpu_put(f, 0, offsets[i], ~0U);
		assert_int_equal(cpu_get(f, 0, offsets[i]), 0);
	}
}

static void test_other_sizes_than_32_bits_do_nothing(void **state)
{
	struct gic_fixture *f = *state;

	open_all(f);
	raise_spi(f, 40, 0x80);
	for (unsigned offset = 0; offset < 0x100; offset += 4) {
		for (unsigned size = 1; size <= 8; size *= 2) {
			uint64_t addr = CPU_BASE + (offset & ~(size - 1));

			if (size == 4)
				addr += 2; // not aligned
			assert_int_equal(gic_get_sized(f, 0, addr, size), 0);
			gic_put_sized(f, 0, addr, size, ~0ULL);
		}
	}
	assert_int_equal(cpu_get(f, 0, GICC_CTLR), ENABLE_GROUP0);
	assert_int_equal(cpu_get(f, 0, GICC_APR), 0);
	assert_int_equal(ack(f, 0), 40); // nobody has acknowledged it
}

static void test_acknowledge_and_end(void **state)
{
	struct gic_fixture *f = *state;

	open_all(f);
	raise_spi(f, 40, 0x80);
	assert_true(irq_high(f, 0));
	assert_int_equal(cpu_get(f, 0, GICC_HPPIR), 40);
	assert_true(is_pending(f, 40)); // looking changes nothing
	assert_int_equal(ack(f, 0), 40);
	assert_false(irq_high(f, 0));
	assert_false(is_pending(f, 40));
	assert_true(is_active(f, 40));
	assert_int_equal(cpu_get(f, 0, GICC_RPR), 0x80);
	assert_int_equal(ack(f, 0), SPURIOUS);
	eoi(f, 0, 40);
	assert_false(is_active(f, 40));
	assert_int_equal(cpu_get(f, 0, GICC_RPR), 0xff);
	assert_int_equal(ack(f, 0), SPURIOUS);
}

// Both the distributor and the CPU interface have a switch for it.
static void test_nothing_while_disabled(void **state)
{
	struct gic_fixture *f = *state;

	open_all(f);
	dist_put(f, 0, GICD_CTLR, 0);
	raise_spi(f, 40, 0x80);
	assert_true(is_pending(f, 40));
	assert_false(irq_high(f, 0));
	assert_int_equal(ack(f, 0), SPURIOUS);
	assert_int_equal(cpu_get(f, 0, GICC_HPPIR), SPURIOUS);
	dist_put(f, 0, GICD_CTLR, ENABLE_GROUP0);
	assert_true(irq_high(f, 0));
	cpu_put(f, 0, GICC_CTLR, 0);
	assert_false(irq_high(f, 0));
	assert_int_equal(ack(f, 0), SPURIOUS);
	assert_int_equal(cpu_get(f, 0, GICC_HPPIR), SPURIOUS);
	cpu_put(f, 0, GICC_CTLR, ENABLE_GROUP0);
	set_bit(f, 0, GICD_ICENABLER, 40);
	assert_false(irq_high(f, 0));
	assert_true(is_pending(f, 40)); // all the same
	assert_int_equal(ack(f, 0), SPURIOUS);
	set_bit(f, 0, GICD_ISENABLER, 40);
	assert_true(irq_high(f, 0));
	assert_int_equal(ack(f, 0), 40);
}

static void test_mask(void **state)
{
	struct gic_fixture *f = *state;

	open_all(f);
	raise_spi(f, 40, 0x80);
	cpu_put(f, 0, GICC_PMR, 0x80);
	assert_false(irq_high(f, 0));
	assert_int_equal(ack(f, 0), SPURIOUS);
	assert_int_equal(cpu_get(f, 0, GICC_HPPIR), 40); // pending all the same
	cpu_put(f, 0, GICC_PMR, 0x81);
	assert_true(irq_high(f, 0));
	cpu_put(f, 0, GICC_PMR, 0);
	assert_false(irq_high(f, 0));
	set_priority(f, 0, 40, 0);
	assert_false(irq_high(f, 0)); // 0 masks all
	cpu_put(f, 0, GICC_PMR, 1);
	assert_true(irq_high(f, 0));
	// The lowest priority of all is never signalled.
	set_priority(f, 0, 40, 0xff);
	cpu_put(f, 0, GICC_PMR, 0xff);
	assert_false(irq_high(f, 0));
	assert_int_equal(ack(f, 0), SPURIOUS);
}

static void test_highest_priority_then_lowest_id(void **state)
{
	struct gic_fixture *f = *state;
	const unsigned ids[] = { 70, 33, 99, 34 };
	const uint8_t priorities[] = { 0x60, 0x20, 0x60, 0x20 };

	open_all(f);
	cpu_put(f, 0, GICC_CTLR, ENABLE_GROUP0 | EOI_MODE);
	for (unsigned i = 0; i < ARRAY_SIZE(ids); i++)
		raise_spi(f, ids[i], priorities[i]);
	assert_int_equal(ack(f, 0), 33);
	eoi(f, 0, 33);
	assert_int_equal(ack(f, 0), 34);
	eoi(f, 0, 34);
	assert_int_equal(ack(f, 0), 70);
	eoi(f, 0, 70);
	assert_true(irq_high(f, 0));
	assert_int_equal(ack(f, 0), 99);
	assert_false(irq_high(f, 0));
}

static void test_preemption_nests(void **state)
{
	struct gic_fixture *f = *state;

	open_all(f);
	raise_spi(f, 40, 0x80);
	assert_int_equal(ack(f, 0), 40);
	raise_spi(f, 41, 0x80); // equal: no preemption
	assert_false(irq_high(f, 0));
	assert_int_equal(ack(f, 0), SPURIOUS);
	assert_int_equal(cpu_get(f, 0, GICC_HPPIR), 41);
	raise_spi(f, 42, 0x40);
	assert_true(irq_high(f, 0));
	assert_int_equal(ack(f, 0), 42);
	assert_int_equal(cpu_get(f, 0, GICC_RPR), 0x40);
	raise_spi(f, 43, 0x10);
	assert_int_equal(ack(f, 0), 43);
	assert_int_equal(cpu_get(f, 0, GICC_RPR), 0x10);
	assert_int_equal(cpu_get(f, 0, GICC_APR), 1U << 8);
	assert_int_equal(cpu_get(f, 0, GICC_APR + 4), 1U << 0);
	assert_int_equal(cpu_get(f, 0, GICC_APR + 8), 1U << 0);
	eoi(f, 0, 43);
	assert_int_equal(cpu_get(f, 0, GICC_RPR), 0x40);
	assert_int_equal(ack(f, 0), SPURIOUS);
	eoi(f, 0, 42);
	assert_int_equal(cpu_get(f, 0, GICC_RPR), 0x80);
	eoi(f, 0, 40);
	assert_int_equal(cpu_get(f, 0, GICC_RPR), 0xff);
	assert_int_equal(ack(f, 0), 41);
}

// Two of them are bits of one active priorities register.
static void test_preemption_by_the_next_level(void **state)
{
	struct gic_fixture *f = *state;

	open_all(f);
	raise_spi(f, 40, 0x44);
	assert_int_equal(ack(f, 0), 40);
	raise_spi(f, 41, 0x42);
	assert_int_equal(ack(f, 0), 41);
	assert_int_equal(cpu_get(f, 0, GICC_APR + 4), 3U << 1);
	eoi(f, 0, 41);
	assert_int_equal(cpu_get(f, 0, GICC_RPR), 0x44);
	raise_spi(f, 41, 0x45); // of the same level as 40
	assert_false(irq_high(f, 0));
	eoi(f, 0, 40);
	assert_int_equal(ack(f, 0), 41);
	assert_int_equal(cpu_get(f, 0, GICC_RPR), 0x44);
}

// The binary point splits off the part that does not preempt (table 3-2).
static void test_binary_point(void **state)
{
	struct gic_fixture *f = *state;

	for (unsigned point = 0; point < 8; point++) {
		uint8_t step = 1U << point; // within the subpriority

		gic_reset(f->gic);
		open_all(f);
		cpu_put(f, 0, GICC_BPR, point);
		raise_spi(f, 40, 0x7f);
		assert_int_equal(ack(f, 0), 40);
		assert_int_equal(cpu_get(f, 0, GICC_RPR), point == 7 ? 0 : 0x7f & ~(2U * step - 1));
		raise_spi(f, 41, 0x7f - step);
		assert_false(irq_high(f, 0));
		if (point < 6) {
			set_priority(f, 0, 41, 0x7f - 2 * step);
			assert_true(irq_high(f, 0));
		} else {
			set_priority(f, 0, 41, point == 7 ? 0 : 0x40);
			assert_false(irq_high(f, 0));
		}
		eoi(f, 0, 40);
		assert_int_equal(ack(f, 0), 41);
		eoi(f, 0, 41);
		line(f, 40, false);
		line(f, 41, false);
	}
}

// The subpriority still decides which one comes first.
static void test_subpriority_orders_what_is_pending(void **state)
{
	struct gic_fixture *f = *state;

	open_all(f);
	cpu_put(f, 0, GICC_BPR, 7);
	raise_spi(f, 40, 0x90);
	raise_spi(f, 41, 0x30);
	assert_int_equal(ack(f, 0), 41);
	eoi(f, 0, 41);
	assert_int_equal(ack(f, 0), 40);
}

static void test_end_in_two_steps(void **state)
{
	struct gic_fixture *f = *state;

	open_all(f);
	cpu_put(f, 0, GICC_CTLR, ENABLE_GROUP0 | EOI_MODE);
	raise_spi(f, 40, 0x80);
	assert_int_equal(ack(f, 0), 40);
	raise_spi(f, 41, 0x90);
	raise_spi(f, 40, 0x80); // active and pending
	assert_false(irq_high(f, 0));
	eoi(f, 0, 40);
	assert_int_equal(cpu_get(f, 0, GICC_RPR), 0xff);
	assert_true(is_active(f, 40));
	assert_true(is_pending(f, 40));
	// 40 would come first, were it not active.
	assert_int_equal(ack(f, 0), 41);
	eoi(f, 0, 41);
	assert_int_equal(ack(f, 0), SPURIOUS);
	cpu_put(f, 0, GICC_DIR, 40);
	assert_false(is_active(f, 40));
	assert_true(irq_high(f, 0));
	assert_true(is_active(f, 41));
	assert_int_equal(ack(f, 0), 40);
}

static void test_deactivation_may_come_before_the_drop_and_from_elsewhere(void **state)
{
	struct gic_fixture *f = *state;

	open_all(f);
	cpu_put(f, 0, GICC_CTLR, ENABLE_GROUP0 | EOI_MODE);
	raise_spi(f, 40, 0x80);
	assert_int_equal(ack(f, 0), 40);
	cpu_put(f, 1, GICC_DIR, 40); // EOImode is not set there
	assert_true(is_active(f, 40));
	cpu_put(f, 1, GICC_CTLR, ENABLE_GROUP0 | EOI_MODE);
	cpu_put(f, 1, GICC_DIR, 40);
	assert_false(is_active(f, 40));
	assert_int_equal(cpu_get(f, 0, GICC_RPR), 0x80);
	eoi(f, 0, 40);
	assert_int_equal(cpu_get(f, 0, GICC_RPR), 0xff);
}

static void test_deactivate_does_nothing_without_eoimode(void **state)
{
	struct gic_fixture *f = *state;

	open_all(f);
	raise_spi(f, 40, 0x80);
	assert_int_equal(ack(f, 0), 40);
	cpu_put(f, 0, GICC_DIR, 40);
	assert_true(is_active(f, 40));
}

static void test_end_of_what_is_not_running(void **state)
{
	struct gic_fixture *f = *state;
	const uint32_t wrong[] = { SPURIOUS, 1022, 1020, LINES, 1019 };

	open_all(f);
	set_bit(f, 0, GICD_ISACTIVER, 50);
	eoi(f, 0, 50); // nothing runs
	assert_true(is_active(f, 50));
	raise_spi(f, 40, 0x80);
	assert_int_equal(ack(f, 0), 40);
	for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
		eoi(f, 0, wrong[i]);
		cpu_put(f, 0, GICC_DIR, wrong[i]);
	}
	assert_int_equal(cpu_get(f, 0, GICC_RPR), 0x80);
	assert_true(is_active(f, 40));
	// Only the ID and the CPU count: the rest is reserved.
	eoi(f, 0, 0xffffe000 | 40);
	assert_false(is_active(f, 40));
}

// Active by the register: not delivered, and the running priority does not know.
static void test_active_bits(void **state)
{
	struct gic_fixture *f = *state;

	open_all(f);
	raise_spi(f, 40, 0x80);
	set_bit(f, 0, GICD_ISACTIVER, 40);
	assert_false(irq_high(f, 0));
	assert_int_equal(cpu_get(f, 0, GICC_RPR), 0xff);
	assert_int_equal(cpu_get(f, 0, GICC_HPPIR), SPURIOUS);
	set_bit(f, 0, GICD_ICACTIVER, 40);
	assert_true(irq_high(f, 0));
	assert_int_equal(ack(f, 0), 40);
	set_bit(f, 0, GICD_ICACTIVER, 40);
	assert_int_equal(cpu_get(f, 0, GICC_RPR), 0x80);
}

// Software that saves and restores a CPU's state writes them (4.4.12).
static void test_active_priorities_can_be_written(void **state)
{
	struct gic_fixture *f = *state;

	open_all(f);
	raise_spi(f, 40, 0x80);
	cpu_put(f, 0, GICC_APR + 4, 1U << 3);
	assert_int_equal(cpu_get(f, 0, GICC_RPR), 0x46);
	assert_false(irq_high(f, 0));
	cpu_put(f, 0, GICC_NSAPR, 1U << 31);
	assert_int_equal(cpu_get(f, 0, GICC_RPR), 0x3e);
	cpu_put(f, 0, GICC_NSAPR, 0);
	cpu_put(f, 0, GICC_APR + 4, 0);
	cpu_put(f, 0, GICC_APR + 12, 1U << 31);
	assert_int_equal(cpu_get(f, 0, GICC_RPR), 0xfe);
	assert_true(irq_high(f, 0));
}

// -- groups (3.8) --

static void open_groups(struct gic_fixture *f, uint32_t control)
{
	open_all(f);
	dist_put(f, 0, GICD_CTLR, ENABLE_GROUP0 | ENABLE_GROUP1);
	cpu_put(f, 0, GICC_CTLR, ENABLE_GROUP0 | ENABLE_GROUP1 | control);
}

static void raise_group1(struct gic_fixture *f, unsigned intid, uint8_t priority)
{
	set_group1(f, 0, intid);
	raise_spi(f, intid, priority);
}

static void test_group1_through_the_aliased_registers(void **state)
{
	struct gic_fixture *f = *state;

	open_groups(f, 0);
	raise_group1(f, 40, 0x80);
	assert_true(irq_high(f, 0));
	assert_int_equal(cpu_get(f, 0, GICC_HPPIR), 1022);
	assert_int_equal(cpu_get(f, 0, GICC_AHPPIR), 40);
	assert_int_equal(ack(f, 0), 1022);
	assert_false(is_active(f, 40));
	assert_int_equal(cpu_get(f, 0, GICC_AIAR), 40);
	assert_true(is_active(f, 40));
	assert_int_equal(cpu_get(f, 0, GICC_NSAPR + 8), 1);
	assert_int_equal(cpu_get(f, 0, GICC_APR + 8), 0);
	// Group 0 preempts it, and is not seen there.
	raise_spi(f, 41, 0x40);
	assert_int_equal(cpu_get(f, 0, GICC_AHPPIR), SPURIOUS);
	assert_int_equal(cpu_get(f, 0, GICC_AIAR), SPURIOUS);
	assert_int_equal(ack(f, 0), 41);
	cpu_put(f, 0, GICC_AEOIR, 41); // not of group 1
	assert_true(is_active(f, 41));
	eoi(f, 0, 41);
	assert_int_equal(cpu_get(f, 0, GICC_RPR), 0x80);
	cpu_put(f, 0, GICC_AEOIR, 40);
	assert_int_equal(cpu_get(f, 0, GICC_RPR), 0xff);
	assert_false(is_active(f, 40));
}

static void test_group1_with_ackctl(void **state)
{
	struct gic_fixture *f = *state;

	open_groups(f, ACK_CTL);
	raise_group1(f, 40, 0x80);
	assert_int_equal(cpu_get(f, 0, GICC_HPPIR), 40);
	assert_int_equal(ack(f, 0), 40);
	eoi(f, 0, 40);
	assert_false(is_active(f, 40));
	assert_int_equal(cpu_get(f, 0, GICC_NSAPR + 8), 0);
}

static void test_groups_have_their_own_enables(void **state)
{
	struct gic_fixture *f = *state;

	open_groups(f, ACK_CTL);
	raise_group1(f, 40, 0x40);
	raise_spi(f, 41, 0x80);
	dist_put(f, 0, GICD_CTLR, ENABLE_GROUP0);
	assert_int_equal(cpu_get(f, 0, GICC_HPPIR), 41); // 40 is not forwarded
	dist_put(f, 0, GICD_CTLR, ENABLE_GROUP1);
	assert_int_equal(cpu_get(f, 0, GICC_HPPIR), 40);
	dist_put(f, 0, GICD_CTLR, ENABLE_GROUP0 | ENABLE_GROUP1);
	// In the CPU interface the best one hides the rest, also when it is switched off.
	cpu_put(f, 0, GICC_CTLR, ENABLE_GROUP0 | ACK_CTL);
	assert_false(irq_high(f, 0));
	assert_int_equal(ack(f, 0), SPURIOUS);
	assert_int_equal(cpu_get(f, 0, GICC_HPPIR), SPURIOUS);
	cpu_put(f, 0, GICC_CTLR, ENABLE_GROUP1 | ACK_CTL);
	assert_true(irq_high(f, 0));
	assert_int_equal(ack(f, 0), 40);
}

static void test_group0_by_fiq(void **state)
{
	struct gic_fixture *f = *state;

	open_groups(f, FIQ_EN | ACK_CTL);
	raise_spi(f, 41, 0x80);
	assert_true(fiq_high(f, 0));
	assert_false(irq_high(f, 0));
	raise_group1(f, 40, 0x40);
	assert_false(fiq_high(f, 0));
	assert_true(irq_high(f, 0));
	assert_int_equal(ack(f, 0), 40);
	assert_false(irq_high(f, 0));
	eoi(f, 0, 40);
	assert_true(fiq_high(f, 0));
	cpu_put(f, 0, GICC_CTLR, ENABLE_GROUP0 | ENABLE_GROUP1);
	assert_false(fiq_high(f, 0));
	assert_true(irq_high(f, 0));
}

static void test_binary_point_of_group1(void **state)
{
	struct gic_fixture *f = *state;

	open_groups(f, ACK_CTL);
	cpu_put(f, 0, GICC_BPR, 0);
	cpu_put(f, 0, GICC_ABPR, 5); // [7:5], one bit more than group 0 at 5
	raise_group1(f, 40, 0x7f);
	assert_int_equal(ack(f, 0), 40);
	assert_int_equal(cpu_get(f, 0, GICC_RPR), 0x60);
	raise_group1(f, 41, 0x60);
	assert_false(irq_high(f, 0));
	set_priority(f, 0, 41, 0x5f);
	assert_true(irq_high(f, 0));
	set_priority(f, 0, 41, 0x60);
	eoi(f, 0, 40);
	// CBPR: group 0's register for both.
	cpu_put(f, 0, GICC_CTLR, ENABLE_GROUP0 | ENABLE_GROUP1 | ACK_CTL | CBPR);
	cpu_put(f, 0, GICC_BPR, 2);
	assert_int_equal(ack(f, 0), 41);
	raise_group1(f, 40, 0x5f);
	assert_true(irq_high(f, 0));
	assert_int_equal(ack(f, 0), 40);
	assert_int_equal(cpu_get(f, 0, GICC_RPR), 0x58);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		GIC_TEST(test_registers),
		GIC_TEST(test_every_cpu_has_its_own),
		GIC_TEST(test_what_is_reserved_reads_zero),
		GIC_TEST(test_other_sizes_than_32_bits_do_nothing),
		GIC_TEST(test_acknowledge_and_end),
		GIC_TEST(test_nothing_while_disabled),
		GIC_TEST(test_mask),
		GIC_TEST(test_highest_priority_then_lowest_id),
		GIC_TEST(test_preemption_nests),
		GIC_TEST(test_preemption_by_the_next_level),
		GIC_TEST(test_binary_point),
		GIC_TEST(test_subpriority_orders_what_is_pending),
		GIC_TEST(test_end_in_two_steps),
		GIC_TEST(test_deactivation_may_come_before_the_drop_and_from_elsewhere),
		GIC_TEST(test_deactivate_does_nothing_without_eoimode),
		GIC_TEST(test_end_of_what_is_not_running),
		GIC_TEST(test_active_bits),
		GIC_TEST(test_active_priorities_can_be_written),
		GIC_TEST(test_group1_through_the_aliased_registers),
		GIC_TEST(test_group1_with_ackctl),
		GIC_TEST(test_groups_have_their_own_enables),
		GIC_TEST(test_group0_by_fiq),
		GIC_TEST(test_binary_point_of_group1),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
