// SPDX-License-Identifier: GPL-2.0-or-later
// Stores that KVM collects: when it is told to, and that none is late, lost or out of
// order.

#include "kvm-fixture.h"
#include "loop.h"

#define MANY 32 // stores that were exits, before KVM is to collect
#define ENTRIES \
	((4096 - sizeof(struct kvm_coalesced_mmio_ring)) / sizeof(struct kvm_coalesced_mmio))

struct posted_rig {
	struct kvm_rig rig;
	struct loop loop;
};

static int setup(void **state)
{
	struct posted_rig *p = calloc(1, sizeof(*p));

	alarm(30); // a hang is a failure
	assert_int_equal(loop_init(&p->loop), 0);
	rig_start(&p->rig);
	p->rig.set.host.loop = &p->loop;
	p->rig.port.region.posted_bytes = 1;
	p->rig.dev.region.posted_bytes = 4;
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct posted_rig *p = *state;

	rig_stop(&p->rig);
	loop_exit(&p->loop);
	free(p);
	return 0;
}

// -- what a guest does --

static uint16_t out_port = DEVICE_PORT;

static void fill_out(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = KVM_EXIT_IO_OUT;
	run->io.port = out_port;
	run->io.size = 1;
	run->io.count = 1;
	run->io.data_offset = sizeof(*run);
	*((uint8_t *)run + sizeof(*run)) = 'e';
}

static void fill_in(struct kvm_run *run)
{
	fill_out(run);
	run->io.direction = KVM_EXIT_IO_IN;
}

static void fill_store(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.phys_addr = DEVICE_GPA;
	run->mmio.len = 4;
	run->mmio.is_write = 1;
}

static void exit_with(struct posted_rig *p, void (*fill)(struct kvm_run *run), unsigned times)
{
	for (unsigned i = 0; i < times; i++) {
		const struct fake_run script[] = { { .fill = fill } };

		kvm.script = script;
		kvm.script_length = 1;
		atomic_store(&kvm.runs, 0);
		kvm_run_vcpu(&p->rig.set.vcpus[0]);
		kvm.script_length = 0;
	}
}

static struct kvm_coalesced_mmio_ring *ring(void)
{
	return (struct kvm_coalesced_mmio_ring *)((char *)kvm.run + 4096);
}

// As KVM, while it collects.
static void collect(uint8_t byte)
{
	struct kvm_coalesced_mmio *entry = &ring()->coalesced_mmio[ring()->last];

	*entry = (struct kvm_coalesced_mmio){ .phys_addr = DEVICE_PORT, .len = 1, .pio = 1 };
	entry->data[0] = byte;
	ring()->last = (ring()->last + 1) % ENTRIES;
}

static void serve_posts(struct posted_rig *p)
{
	loop_stop(&p->loop);
	loop_run(&p->loop);
}

struct until {
	struct loop *loop;
	struct loop_timer timer;
	const unsigned *counter;
	unsigned value;
};

static void look(struct loop_timer *timer)
{
	struct until *until = container_of(timer, struct until, timer);

	if (*until->counter >= until->value)
		loop_stop(until->loop);
	else
		loop_arm_timer(until->loop, timer, clock_monotonic_ns() + 1000000);
}

static void run_loop_until(struct posted_rig *p, const unsigned *counter, unsigned value)
{
	struct until until = { &p->loop, { .expired = look }, counter, value };

	loop_arm_timer(&p->loop, &until.timer, clock_monotonic_ns());
	loop_run(&p->loop);
}

// -- tests --

static void test_begins_with_many(void **state)
{
	struct posted_rig *p = *state;

	exit_with(p, fill_out, MANY - 1);
	assert_int_equal(kvm.zones_added, 0);
	exit_with(p, fill_in, 1); // a look in between is what drivers do
	exit_with(p, fill_out, 1);
	assert_int_equal(kvm.zones_added, 1);
	assert_int_equal(kvm.zone.addr, DEVICE_PORT);
	assert_int_equal(kvm.zone.size, 1);
	assert_int_equal(kvm.zone.pio, 1);
	assert_int_equal(p->rig.writes, MANY);
	exit_with(p, fill_out, MANY);
	assert_int_equal(kvm.zones_added, 1);
}

static void test_memory_too(void **state)
{
	exit_with(*state, fill_store, MANY);
	assert_int_equal(kvm.zones_added, 1);
	assert_int_equal(kvm.zone.addr, DEVICE_GPA);
	assert_int_equal(kvm.zone.size, 4);
	assert_int_equal(kvm.zone.pio, 0);
}

static void test_not_for_other_registers(void **state)
{
	out_port = DEVICE_PORT + 1;
	exit_with(*state, fill_out, 3 * MANY);
	out_port = DEVICE_PORT;
	assert_int_equal(kvm.zones_added, 0);
}

// Two registers in turn: neither has many in a row.
static void test_not_for_registers_in_turn(void **state)
{
	for (unsigned i = 0; i < 2 * MANY; i++) {
		exit_with(*state, fill_out, 1);
		exit_with(*state, fill_store, 1);
	}
	assert_int_equal(kvm.zones_added, 0);
}

static void test_not_when_they_come_slowly(void **state)
{
	exit_with(*state, fill_out, MANY - 1);
	usleep(150000);
	exit_with(*state, fill_out, 1);
	assert_int_equal(kvm.zones_added, 0);
}

static void test_a_refusal_is_final(void **state)
{
	kvm.zone_error = ENOSPC;
	exit_with(*state, fill_out, 3 * MANY);
	assert_int_equal(kvm.zones_added, 1);
	assert_int_equal(((struct posted_rig *)*state)->rig.writes, 3 * MANY);
}

static void test_delivered_before_the_exit(void **state)
{
	struct posted_rig *p = *state;

	exit_with(p, fill_out, MANY);
	p->rig.writes = 0;
	collect('a');
	collect('b');
	exit_with(p, fill_out, 1);
	assert_int_equal(p->rig.writes, 3);
	assert_int_equal(p->rig.written[0], 'a');
	assert_int_equal(p->rig.written[1], 'b');
	assert_int_equal(p->rig.written[2], 'e');
	assert_int_equal(ring()->first, ring()->last);
}

static void test_delivered_when_the_vcpu_stops(void **state)
{
	struct posted_rig *p = *state;

	exit_with(p, fill_out, MANY);
	p->rig.writes = 0;
	collect('a');
	kvm_kick(&p->rig.set.vcpus[0]);
	kvm_run_vcpu(&p->rig.set.vcpus[0]);
	assert_int_equal(p->rig.writes, 1);
}

static void test_ring_wraps(void **state)
{
	struct posted_rig *p = *state;

	exit_with(p, fill_out, MANY);
	for (unsigned i = 0; i < 3 * ENTRIES; i += 10) {
		p->rig.writes = 0;
		for (unsigned k = 0; k < 10; k++)
			collect(k);
		exit_with(p, fill_in, 1);
		assert_int_equal(p->rig.writes, 10);
		assert_int_equal(p->rig.written[7], 7);
	}
}

// The guest has no more exits: the main loop looks.
static void test_delivered_without_an_exit(void **state)
{
	struct posted_rig *p = *state;

	exit_with(p, fill_out, MANY);
	serve_posts(p);
	p->rig.writes = 0;
	collect('a');
	run_loop_until(p, &p->rig.writes, 1);
	assert_int_equal(p->rig.written[0], 'a');
	assert_int_equal(kvm.zones_removed, 0);
}

static void test_ends_when_idle(void **state)
{
	struct posted_rig *p = *state;

	exit_with(p, fill_out, MANY);
	run_loop_until(p, &kvm.zones_removed, 1);
	assert_int_equal(kvm.zone.addr, DEVICE_PORT);
	assert_null(p->loop.timers); // an idle guest costs nothing
	exit_with(p, fill_out, MANY);
	assert_int_equal(kvm.zones_added, 2);
}

static void test_without_the_capability(void **state)
{
	struct kvm_rig rig;

	rig_init(&rig);
	kvm.caps_missing = KVM_CAP_COALESCED_MMIO;
	assert_int_equal(kvm_vm_init(&rig.accel), 0);
	assert_null(kvm_vm(&rig.accel)->posted);
	kvm_vm_exit(&rig.accel);
	rig_exit(&rig);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_begins_with_many),
		TEST(test_memory_too),
		TEST(test_not_for_other_registers),
		TEST(test_not_for_registers_in_turn),
		TEST(test_not_when_they_come_slowly),
		TEST(test_a_refusal_is_final),
		TEST(test_delivered_before_the_exit),
		TEST(test_delivered_when_the_vcpu_stops),
		TEST(test_ring_wraps),
		TEST(test_delivered_without_an_exit),
		TEST(test_ends_when_idle),
		cmocka_unit_test(test_without_the_capability),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
