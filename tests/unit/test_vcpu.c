// SPDX-License-Identifier: GPL-2.0-or-later
// vCPU threads: pause, resume, stop, exits; and the dispatch of accesses.

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "device.h"
#include "fake-accel.h"
#include "loop.h"
#include "util.h"
#include "vcpu.h"

#include <cmocka.h>

#define FOREVER UINT64_MAX

static int setup(void **state)
{
	alarm(60); // a hang is a failure
	return 0;
}

// A guest that is always busy: it counts what it does, and whether it is inside.
struct busy {
	atomic_uint calls;
	atomic_uint inside;
};

static void be_busy(struct vcpu *vcpu, void *arg)
{
	struct busy *busy = arg;

	busy->inside++;
	busy->calls++;
	sched_yield();
	busy->inside--;
}

static void await_calls(struct busy *busy, unsigned calls)
{
	while (busy->calls < calls)
		sched_yield();
}

static void test_exit_names(void **state)
{
	assert_string_equal(vcpu_exit_name(VCPU_EXIT_KICKED), "kicked");
	assert_string_equal(vcpu_exit_name(VCPU_EXIT_FAILED), "failed");
	assert_string_equal(vcpu_exit_name(VCPU_EXIT_COUNT), "unknown");
}

static void test_start_is_paused(void **state)
{
	struct fake_vm vm;

	fake_vm_init(&vm, 2);
	vcpu_set_pause(&vm.vcpus); // once more: nothing happens
	usleep(10000);
	assert_int_equal(fake_vcpu_runs(&vm.vcpus.vcpus[0]), 0);
	assert_int_equal(fake_vcpu_runs(&vm.vcpus.vcpus[1]), 0);
	fake_vm_exit(&vm);
}

static void test_pinned(void **state)
{
	cpu_set_t allowed, one, found;
	struct fake_vm vm;
	unsigned cpu = 0;

	assert_int_equal(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
	while (!CPU_ISSET(cpu, &allowed))
		cpu++;
	CPU_ZERO(&one);
	fake_vm_init(&vm, 2);
	assert_int_equal(vcpu_set_pin(&vm.vcpus, &one), -EINVAL);
	CPU_SET(cpu, &one);
	assert_int_equal(vcpu_set_pin(&vm.vcpus, &one), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(
			pthread_getaffinity_np(vm.vcpus.vcpus[i].thread, sizeof(found), &found), 0);
		assert_true(CPU_EQUAL(&found, &one));
	}
	fake_vm_exit(&vm);
}

static void test_stop_without_start_and_start_again(void **state)
{
	struct fake_vm vm;
	struct busy busy = { 0 };
	const struct fake_step script[] = { FAKE_FUNCTION(be_busy, &busy) };

	fake_vm_init(&vm, 2);
	vcpu_set_stop(&vm.vcpus);
	vcpu_set_stop(&vm.vcpus);
	assert_int_equal(vcpu_set_start(&vm.vcpus), 0);
	fake_vm_script(&vm, 0, script, ARRAY_SIZE(script));
	fake_vm_run(&vm);
	assert_int_equal(busy.calls, 1);
	fake_vm_exit(&vm);
}

static void test_nothing_runs_during_a_pause(void **state)
{
	struct busy busy = { 0 };
	const struct fake_step script[] = {
		{ .op = FAKE_OP_FUNCTION, .function = be_busy, .arg = &busy, .repeat = FOREVER },
	};
	struct fake_vm vm;

	fake_vm_init(&vm, 4);
	for (unsigned i = 0; i < 4; i++)
		fake_vm_script(&vm, i, script, ARRAY_SIZE(script));
	for (unsigned round = 0; round < 200; round++) {
		unsigned calls;

		vcpu_set_resume(&vm.vcpus);
		if (round % 2)
			await_calls(&busy, busy.calls + 5);
		vcpu_set_pause(&vm.vcpus);
		calls = busy.calls;
		assert_int_equal(busy.inside, 0);
		sched_yield();
		assert_int_equal(busy.calls, calls);
	}
	fake_vm_exit(&vm);
}

// Each vCPU sleeps in run() until it is kicked: a lost kick hangs the pause.
static void test_kicks_are_never_lost(void **state)
{
	static const struct fake_step script[] = {
		{ .op = FAKE_OP_WAIT_KICK, .repeat = FOREVER },
	};
	struct fake_vm vm;

	fake_vm_init(&vm, 4);
	for (unsigned i = 0; i < 4; i++)
		fake_vm_script(&vm, i, script, ARRAY_SIZE(script));
	for (unsigned round = 0; round < 1000; round++) {
		vcpu_set_resume(&vm.vcpus);
		vcpu_set_pause(&vm.vcpus);
	}
	for (unsigned round = 0; round < 50; round++) {
		vcpu_set_resume(&vm.vcpus);
		vcpu_set_stop(&vm.vcpus);
		assert_int_equal(vcpu_set_start(&vm.vcpus), 0);
	}
	fake_vm_exit(&vm);
}

static void kick_everyone(struct vcpu *vcpu, void *arg)
{
	struct vcpu_set *set = vcpu->set;

	for (unsigned i = 0; i < set->count; i++)
		set->accel->ops->kick(&set->vcpus[i]);
	be_busy(vcpu, arg);
}

static void test_kicks_between_vcpus_do_not_disturb(void **state)
{
	struct busy busy = { 0 };
	const struct fake_step script[] = {
		{ .op = FAKE_OP_FUNCTION, .function = kick_everyone, .arg = &busy, .repeat = 999 },
	};
	struct fake_vm vm;

	fake_vm_init(&vm, 4);
	for (unsigned i = 0; i < 4; i++)
		fake_vm_script(&vm, i, script, ARRAY_SIZE(script));
	fake_vm_run(&vm);
	assert_int_equal(busy.calls, 4000);
	fake_vm_exit(&vm);
}

// What the host was told.
struct exits {
	atomic_uint count;
	atomic_uint last;
	atomic_uint index;
};

static void note_exit(void *opaque, struct vcpu *vcpu, enum vcpu_exit exit)
{
	struct exits *exits = opaque;

	exits->last = exit;
	exits->index = vcpu->index;
	exits->count++;
}

static void await_exits(struct exits *exits, unsigned count)
{
	while (exits->count < count)
		sched_yield();
}

static void test_exit_is_told_once_and_waits_for_resume(void **state)
{
	static const struct fake_step leaver[] = {
		FAKE_EXIT(VCPU_EXIT_SHUTDOWN),
		FAKE_EXIT(VCPU_EXIT_DEBUG),
	};
	struct busy busy = { 0 };
	const struct fake_step worker[] = {
		{ .op = FAKE_OP_FUNCTION, .function = be_busy, .arg = &busy, .repeat = FOREVER },
	};
	struct exits exits = { 0 };
	struct vcpu_host host = { .exited = note_exit, .opaque = &exits };
	struct fake_vm vm;

	fake_vm_init_host(&vm, 2, &host);
	fake_vm_script(&vm, 0, worker, ARRAY_SIZE(worker));
	fake_vm_script(&vm, 1, leaver, ARRAY_SIZE(leaver));
	vcpu_set_resume(&vm.vcpus);
	await_exits(&exits, 1);
	await_calls(&busy, busy.calls + 100); // the other goes on meanwhile
	assert_int_equal(exits.count, 1);
	assert_int_equal(exits.last, VCPU_EXIT_SHUTDOWN);
	assert_int_equal(exits.index, 1);
	vcpu_set_pause(&vm.vcpus); // a pause alone keeps it where it is
	assert_int_equal(exits.count, 1);
	vcpu_set_resume(&vm.vcpus);
	await_exits(&exits, 2);
	assert_int_equal(exits.last, VCPU_EXIT_DEBUG);
	fake_vm_exit(&vm); // while one has left and one is busy
}

static void test_resume_right_after_exit_is_not_lost(void **state)
{
	static const struct fake_step script[] = {
		{ .op = FAKE_OP_EXIT, .exit = VCPU_EXIT_DEBUG, .repeat = 499 },
	};
	struct exits exits = { 0 };
	struct vcpu_host host = { .exited = note_exit, .opaque = &exits };
	struct fake_vm vm;

	fake_vm_init_host(&vm, 1, &host);
	fake_vm_script(&vm, 0, script, ARRAY_SIZE(script));
	for (unsigned i = 0; i < 500; i++) {
		vcpu_set_resume(&vm.vcpus);
		await_exits(&exits, i + 1);
	}
	vcpu_set_resume(&vm.vcpus);
	assert_true(fake_vcpu_wait_done(&vm.vcpus.vcpus[0], 5000));
	fake_vm_exit(&vm);
}

static enum vcpu_exit answer_call(void *opaque, struct vcpu *vcpu, struct guest_call *call)
{
	if (call->extension == 0xdead)
		return VCPU_EXIT_CRASH;
	call->ret[1] = call->extension + call->function;
	return VCPU_EXIT_KICKED;
}

static void test_guest_calls_reach_the_host(void **state)
{
	static const struct fake_step script[] = {
		FAKE_CALL(0x10, 3, 0x13),
		FAKE_CALL(0x20, 1, 0x21),
	};
	static const struct fake_step crash[] = { FAKE_CALL(0xdead, 0, 0) };
	struct exits exits = { 0 };
	struct vcpu_host host = {
		.guest_call = answer_call,
		.exited = note_exit,
		.opaque = &exits,
	};
	struct fake_vm vm;

	fake_vm_init_host(&vm, 1, &host);
	fake_vm_script(&vm, 0, script, ARRAY_SIZE(script));
	fake_vm_run(&vm);
	fake_vm_script(&vm, 0, crash, ARRAY_SIZE(crash));
	vcpu_set_resume(&vm.vcpus);
	await_exits(&exits, 1);
	assert_int_equal(exits.last, VCPU_EXIT_CRASH);
	fake_vm_exit(&vm);
}

// A device of one register that keeps what was written.
struct cell {
	struct device dev;
	uint64_t value;
};

static uint64_t cell_read(struct io_region *region, uint64_t offset, unsigned size)
{
	return container_of(region->device, struct cell, dev)->value;
}

static void cell_write(struct io_region *region, uint64_t offset, uint64_t value, unsigned size)
{
	container_of(region->device, struct cell, dev)->value = value;
}

static void cell_free(struct device *dev)
{
	device_exit(dev);
	free(container_of(dev, struct cell, dev));
}

static const struct io_ops cell_io = { cell_read, cell_write, 1, 8 };
static const struct device_ops cell_ops = { .free = cell_free };

static struct device *cell_create(uint64_t base)
{
	struct cell *cell = calloc(1, sizeof(*cell));

	device_init(&cell->dev, "cell", &cell_ops, &cell_io, base, 8, (struct irq_line){ 0 });
	return &cell->dev;
}

static void test_mmio_and_pio_are_separate(void **state)
{
	static const struct fake_step script[] = {
		FAKE_MMIO_WRITE(0x60, 8, 0x1122334455667788),
		FAKE_MMIO_READ(0x60, 4, 0x55667788),
		FAKE_PIO_READ(0x60, 1, 0),
		FAKE_PIO_WRITE(0x60, 1, 0x42),
		FAKE_PIO_READ(0x60, 1, 0x42),
		FAKE_MMIO_READ(0x60, 8, 0x1122334455667788),
		{ .op = FAKE_OP_MMIO_READ, .addr = 0x100, .len = 8, .result = -ENXIO },
		{ .op = FAKE_OP_MMIO_WRITE, .addr = 0x100, .len = 8, .result = -ENXIO },
		{ .op = FAKE_OP_PIO_READ, .addr = 0x100, .len = 4, .result = -ENXIO },
	};
	struct fake_vm vm;

	fake_vm_init(&vm, 1);
	fake_vm_add(&vm, cell_create(0x60));
	assert_int_equal(device_list_add(&vm.devices, &vm.pio, cell_create(0x60)), 0);
	fake_vm_script(&vm, 0, script, ARRAY_SIZE(script));
	fake_vm_run(&vm);
	fake_vm_exit(&vm);
}

static void test_no_port_bus(void **state)
{
	static const struct fake_step script[] = {
		{ .op = FAKE_OP_PIO_READ, .addr = 0x60, .len = 4, .result = -ENXIO },
		{ .op = FAKE_OP_PIO_WRITE, .addr = 0x60, .len = 4, .result = -ENXIO },
	};
	struct fake_vm vm;

	fake_vm_init(&vm, 1);
	vm.vcpus.pio = NULL;
	fake_vm_script(&vm, 0, script, ARRAY_SIZE(script));
	fake_vm_run(&vm);
	fake_vm_exit(&vm);
}

// A device that keeps who accessed it, read or write.
struct witness {
	struct device dev;
	struct vcpu *readers[2]; // by the vCPU's index
	struct vcpu *writers[2];
};

static uint64_t witness_read(struct io_region *region, uint64_t offset, unsigned size)
{
	container_of(region->device, struct witness, dev)->readers[offset] = vcpu_accessing();
	return 0;
}

static void witness_write(struct io_region *region, uint64_t offset, uint64_t value, unsigned size)
{
	container_of(region->device, struct witness, dev)->writers[offset] = vcpu_accessing();
}

static void witness_free(struct device *dev)
{
	device_exit(dev);
}

static void test_a_register_handler_knows_the_vcpu(void **state)
{
	static const struct io_ops io = { witness_read, witness_write, 1, 8 };
	static const struct device_ops ops = { .free = witness_free };
	static const struct fake_step scripts[][3] = {
		{ FAKE_MMIO_READ(0x60, 1, 0), FAKE_MMIO_WRITE(0x60, 1, 0),
		  FAKE_MMIO_READ(0x60, 1, 0) },
		{ FAKE_MMIO_READ(0x61, 1, 0), FAKE_MMIO_WRITE(0x61, 1, 0),
		  FAKE_PIO_READ(0x61, 1, 0) },
	};
	struct witness mmio = { 0 }, pio = { 0 };
	struct fake_vm vm;

	fake_vm_init(&vm, 2);
	device_init(&mmio.dev, "mmio", &ops, &io, 0x60, 8, (struct irq_line){ 0 });
	device_init(&pio.dev, "pio", &ops, &io, 0x60, 8, (struct irq_line){ 0 });
	fake_vm_add(&vm, &mmio.dev);
	assert_int_equal(device_list_add(&vm.devices, &vm.pio, &pio.dev), 0);
	for (unsigned i = 0; i < 2; i++)
		fake_vm_script(&vm, i, scripts[i], ARRAY_SIZE(scripts[i]));
	fake_vm_run(&vm);
	for (unsigned i = 0; i < 2; i++) {
		assert_ptr_equal(mmio.readers[i], &vm.vcpus.vcpus[i]);
		assert_ptr_equal(mmio.writers[i], &vm.vcpus.vcpus[i]);
	}
	assert_ptr_equal(pio.readers[1], &vm.vcpus.vcpus[1]);
	assert_null(vcpu_accessing());
	// Nor does it stay after an access of this thread's own.
	assert_int_equal(vcpu_mmio(&vm.vcpus.vcpus[1], 0x60, (uint8_t[1]){ 0 }, 1, true), 0);
	assert_ptr_equal(mmio.writers[0], &vm.vcpus.vcpus[1]);
	assert_null(vcpu_accessing());
	fake_vm_exit(&vm);
}

static void test_interrupts_reach_the_vcpu(void **state)
{
	static const struct fake_step script[] = {
		FAKE_WAIT_IRQ(9, true),
		FAKE_WAIT_IRQ(9, false),
		FAKE_WAIT_IRQ(9, true),
	};
	struct fake_vm vm;
	struct irq_line line;

	fake_vm_init(&vm, 1);
	line = fake_vm_irq(&vm, 9);
	fake_vm_script(&vm, 0, script, ARRAY_SIZE(script));
	irq_set(&line, true);
	vcpu_set_resume(&vm.vcpus);
	for (unsigned i = 0; !fake_vcpu_wait_done(&vm.vcpus.vcpus[0], 1); i++)
		irq_set(&line, i % 2);
	assert_true(fake_vcpu_irq_level(&vm.vcpus.vcpus[0], 9));
	assert_true(fake_vcpu_irq_edges(&vm.vcpus.vcpus[0], 9) >= 2);
	fake_vm_exit(&vm);
}

struct identity {
	char names[3][16];
	bool sigterm_blocked;
};

static void note_identity(struct vcpu *vcpu, void *arg)
{
	struct identity *identity = arg;
	sigset_t blocked;

	pthread_getname_np(pthread_self(), identity->names[vcpu->index], 16);
	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	if (vcpu->index == 0)
		identity->sigterm_blocked = sigismember(&blocked, SIGTERM);
}

static void test_threads_are_named_and_take_no_signals(void **state)
{
	struct identity identity = { 0 };
	const struct fake_step script[] = { FAKE_FUNCTION(note_identity, &identity) };
	struct fake_vm vm;

	fake_vm_init(&vm, 3);
	for (unsigned i = 0; i < 3; i++)
		fake_vm_script(&vm, i, script, ARRAY_SIZE(script));
	fake_vm_run(&vm);
	assert_string_equal(identity.names[0], "kvik-vcpu-0");
	assert_string_equal(identity.names[2], "kvik-vcpu-2");
	assert_true(identity.sigterm_blocked);
	fake_vm_exit(&vm);
}

static void nothing(void *arg)
{
}

static void call_main_loop(struct vcpu *vcpu, void *arg)
{
	loop_call(arg, nothing, NULL);
}

// As a virtio reset does: the register handler waits for the main loop.
static void test_pause_serves_the_loop_that_a_handler_waits_for(void **state)
{
	struct loop loop;
	struct vcpu_host host = { .exited = note_exit, .loop = &loop };
	const struct fake_step script[] = {
		{ .op = FAKE_OP_FUNCTION,
		  .function = call_main_loop,
		  .arg = &loop,
		  .repeat = FOREVER },
	};
	struct fake_vm vm;

	assert_int_equal(loop_init(&loop), 0);
	fake_vm_init_host(&vm, 2, &host);
	fake_vm_script(&vm, 0, script, ARRAY_SIZE(script));
	fake_vm_script(&vm, 1, script, ARRAY_SIZE(script));
	for (unsigned round = 0; round < 200; round++) {
		vcpu_set_resume(&vm.vcpus);
		sched_yield();
		vcpu_set_pause(&vm.vcpus);
	}
	vcpu_set_resume(&vm.vcpus);
	fake_vm_exit(&vm);
	loop_exit(&loop);
}

static int refuse_second(struct vcpu *vcpu)
{
	return vcpu->index == 1 ? -ENODEV : fake_accel_ops.vcpu_init(vcpu);
}

static unsigned exited_vcpus;

static void count_vcpu_exit(struct vcpu *vcpu)
{
	exited_vcpus++;
	fake_accel_ops.vcpu_exit(vcpu);
}

static void test_failed_init_frees_what_was_made(void **state)
{
	struct accel_ops ops = fake_accel_ops;
	struct accel accel = { .ops = &ops };
	struct vcpu_set set;

	ops.vcpu_init = refuse_second;
	ops.vcpu_exit = count_vcpu_exit;
	exited_vcpus = 0;
	assert_int_equal(vcpu_set_init(&set, &accel, 3, NULL, NULL, (struct vcpu_host){ 0 }),
			 -ENODEV);
	assert_int_equal(exited_vcpus, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exit_names),
		cmocka_unit_test(test_start_is_paused),
		cmocka_unit_test(test_pinned),
		cmocka_unit_test(test_stop_without_start_and_start_again),
		cmocka_unit_test(test_nothing_runs_during_a_pause),
		cmocka_unit_test(test_kicks_are_never_lost),
		cmocka_unit_test(test_kicks_between_vcpus_do_not_disturb),
		cmocka_unit_test(test_exit_is_told_once_and_waits_for_resume),
		cmocka_unit_test(test_resume_right_after_exit_is_not_lost),
		cmocka_unit_test(test_guest_calls_reach_the_host),
		cmocka_unit_test(test_mmio_and_pio_are_separate),
		cmocka_unit_test(test_a_register_handler_knows_the_vcpu),
		cmocka_unit_test(test_no_port_bus),
		cmocka_unit_test(test_interrupts_reach_the_vcpu),
		cmocka_unit_test(test_threads_are_named_and_take_no_signals),
		cmocka_unit_test(test_pause_serves_the_loop_that_a_handler_waits_for),
		cmocka_unit_test(test_failed_init_frees_what_was_made),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
