// SPDX-License-Identifier: GPL-2.0-or-later
// A scripted accelerator: drives devices from real vCPU threads without a CPU.
//
//	static const struct fake_step script[] = {
//		FAKE_MMIO_WRITE(BASE + 4, 4, 1),
//		FAKE_MMIO_READ(BASE + 0, 4, 0x74726976),
//		FAKE_WAIT_IRQ(9, true),
//	};
//	struct fake_vm vm;
//
//	fake_vm_init(&vm, 2);
//	fake_vm_add(&vm, device);                 // on vm.mmio; takes ownership
//	fake_vm_script(&vm, 0, script, ARRAY_SIZE(script));
//	fake_vm_run(&vm);                         // fails the test on a wrong value
//	fake_vm_exit(&vm);
#ifndef KVIK_FAKE_ACCEL_H
#define KVIK_FAKE_ACCEL_H

#include <stdbool.h>
#include <stdint.h>

#include "bus.h"
#include "device.h"
#include "irq.h"
#include "memory.h"
#include "util.h"
#include "vcpu.h"

enum fake_op {
	FAKE_OP_MMIO_READ,
	FAKE_OP_MMIO_WRITE,
	FAKE_OP_PIO_READ,
	FAKE_OP_PIO_WRITE,
	FAKE_OP_CALL,      // a guest call; value is the ret[1] it must give
	FAKE_OP_WAIT_KICK, // sleeps until kicked, then goes on
	FAKE_OP_WAIT_IRQ,  // sleeps until input @addr of the vCPU is high or low
	FAKE_OP_FUNCTION,  // calls function(vcpu, arg)
	FAKE_OP_EXIT,      // run() returns @exit
};

struct fake_step {
	enum fake_op op;
	enum vcpu_exit exit;
	unsigned len;    // of an access; function of a guest call
	int result;      // expected of vcpu_mmio() and vcpu_pio()
	uint64_t addr;   // address, port, extension or interrupt line
	uint64_t value;  // to write, or expected
	uint64_t repeat; // how often more; 0: once
	void (*function)(struct vcpu *vcpu, void *arg);
	void *arg;
};

// clang-format off
#define FAKE_MMIO_READ(gpa, bytes, expected) \
	{ .op = FAKE_OP_MMIO_READ, .addr = (gpa), .len = (bytes), .value = (expected) }
#define FAKE_MMIO_WRITE(gpa, bytes, data) \
	{ .op = FAKE_OP_MMIO_WRITE, .addr = (gpa), .len = (bytes), .value = (data) }
#define FAKE_PIO_READ(port, bytes, expected) \
	{ .op = FAKE_OP_PIO_READ, .addr = (port), .len = (bytes), .value = (expected) }
#define FAKE_PIO_WRITE(port, bytes, data) \
	{ .op = FAKE_OP_PIO_WRITE, .addr = (port), .len = (bytes), .value = (data) }
#define FAKE_CALL(eid, fid, expected) \
	{ .op = FAKE_OP_CALL, .addr = (eid), .len = (fid), .value = (expected) }
#define FAKE_WAIT_KICK { .op = FAKE_OP_WAIT_KICK }
#define FAKE_WAIT_IRQ(line, high) { .op = FAKE_OP_WAIT_IRQ, .addr = (line), .value = (high) }
#define FAKE_FUNCTION(fn, data) { .op = FAKE_OP_FUNCTION, .function = (fn), .arg = (data) }
#define FAKE_EXIT(why) { .op = FAKE_OP_EXIT, .exit = (why) }
// clang-format on

extern const struct accel_ops fake_accel_ops;

// -- one vCPU --

// Gives @vcpu a new script, to be run from its first step; copied by reference.
// The vCPU is paused. At the end of its script it sleeps until it is kicked.
void fake_vcpu_script(struct vcpu *vcpu, const struct fake_step *steps, unsigned count);
// Waits until the script has ended; false after @timeout_ms. Any thread.
bool fake_vcpu_wait_done(struct vcpu *vcpu, unsigned timeout_ms);
// The first step that saw something unexpected, in words, or NULL.
const char *fake_vcpu_failure(struct vcpu *vcpu);
// Level of an interrupt input, and how often it rose. Any thread.
bool fake_vcpu_irq_level(struct vcpu *vcpu, unsigned line);
unsigned fake_vcpu_irq_edges(struct vcpu *vcpu, unsigned line);
unsigned fake_vcpu_runs(struct vcpu *vcpu); // how often run() was entered

// -- a whole machine around them --

// An interrupt controller of one wire a line: line n of the chip is input n of
// vCPU 0.
struct fake_irqchip {
	struct irqchip chip;
	struct vcpu *vcpu;
};

struct fake_vm {
	struct memory memory;
	struct bus mmio;
	struct bus pio;
	struct device_list devices;
	struct accel accel;
	struct vcpu_set vcpus;
	struct fake_irqchip irqchip;
};

// @host may be NULL: then guest calls return 0 in ret[] and exits are ignored.
// RAM is left to the test: memory_add_ram(&vm.memory, ...).
void fake_vm_init(struct fake_vm *vm, unsigned vcpu_count);
void fake_vm_init_host(struct fake_vm *vm, unsigned vcpu_count, const struct vcpu_host *host);
void fake_vm_add(struct fake_vm *vm, struct device *dev);
struct irq_line fake_vm_irq(struct fake_vm *vm, unsigned line);
void fake_vm_script(struct fake_vm *vm, unsigned vcpu, const struct fake_step *steps,
		    unsigned count);
// Runs every vCPU's script to its end, then pauses; fails the test after 10 s or
// when a step saw something unexpected. May be called again with new scripts.
void fake_vm_run(struct fake_vm *vm);
void fake_vm_exit(struct fake_vm *vm);

#endif
