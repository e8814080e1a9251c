// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzzes what a riscv64 guest reaches besides virtio: the PLIC, the serial port, the
// clock, the system controller, and SBI calls; and beside them an arm64 guest's clock.
//
// The input is a script of 12-byte steps for one hart of two.

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../riscv/riscv-machine.h"
#include "bus.h"
#include "fuzz-machine.h"
#include "loop.h"
#include "memory.h"
#include "riscv-accel.h"
#include "vm-config.h"

#define HARTS 2
#define RAM_BYTES (8 * MIB)
#define PL031_BASE 0x70000000ULL // where nothing else is

// -- harts that do nothing --

static void set_timer(struct vcpu *self, uint64_t deadline)
{
}

static void send_ipi(struct vcpu *self, struct vcpu *target)
{
	if (target->index >= HARTS)
		abort();
}

static void clear_ipi(struct vcpu *self)
{
}

static void remote_fence(struct vcpu *self, const uint64_t *targets, unsigned words,
			 const struct riscv_fence *fence)
{
	if (words != 1 || targets[0] >> HARTS)
		abort();
}

static int start(struct vcpu *target, uint64_t pc, uint64_t opaque)
{
	return target->index ? 0 : -EALREADY;
}

static void stop(struct vcpu *self)
{
}

static void suspend(struct vcpu *self, bool retentive, uint64_t pc, uint64_t opaque)
{
}

static enum riscv_hart_state state(struct vcpu *target)
{
	return target->index ? RISCV_HART_STOPPED : RISCV_HART_STARTED;
}

static int cpu_info(struct vcpu *vcpu, struct riscv_cpu_info *info)
{
	static const char *const extensions[] = { "i", NULL };

	*info = (struct riscv_cpu_info){ .extensions = extensions };
	return 0;
}

static void drive_irq(struct vcpu *vcpu, unsigned line, bool high)
{
	bool *level = vcpu->priv;

	if (vcpu->index >= HARTS || *level == high)
		abort();
	*level = high;
}

static const struct riscv_hart_ops hart_ops = {
	.set_timer = set_timer,
	.send_ipi = send_ipi,
	.clear_ipi = clear_ipi,
	.remote_fence = remote_fence,
	.start = start,
	.stop = stop,
	.suspend = suspend,
	.state = state,
};
static const struct riscv_accel_ops riscv_ops = { .cpu_info = cpu_info, .harts = &hart_ops };
static const struct accel_ops accel_ops = { .name = "fuzz", .irq = drive_irq, .riscv = &riscv_ops };

// -- the machine around them --

struct rig {
	struct vm_config config;
	struct term term;
	struct memory memory;
	struct bus mmio;
	struct accel accel;
	struct vcpu vcpus[HARTS];
	bool levels[HARTS];
	struct vcpu_set set;
	struct device_list devices;
	struct loop loop;
	struct machine machine;
	struct sbi sbi;
};

static void init_parts(struct rig *rig)
{
	rig->config = (struct vm_config){ .memory_bytes = RAM_BYTES, .cpus = HARTS };
	rig->accel.ops = &accel_ops;
	for (unsigned i = 0; i < HARTS; i++)
		rig->vcpus[i] = (struct vcpu){ .index = i, .priv = &rig->levels[i] };
	rig->set = (struct vcpu_set){ .vcpus = rig->vcpus, .count = HARTS, .accel = &rig->accel };
	memory_init(&rig->memory);
	bus_init(&rig->mmio);
	if (loop_init(&rig->loop))
		abort();
	rig->sbi = (struct sbi){
		.memory = &rig->memory, .term = &rig->term, .vcpus = &rig->set, .riscv = &riscv_ops
	};
}

static int add_pl031(struct rig *rig)
{
	struct irq_line line = { rig->machine.irqchip, RISCV_IRQ_VIRTIO + 1 };
	struct device *dev;
	int rc = pl031_create(&dev, PL031_BASE, line, &rig->loop, 1);

	return rc ? rc : device_list_add(&rig->devices, &rig->mmio, dev);
}

static void init_rig(struct rig *rig)
{
	init_parts(rig);
	rig->machine = (struct machine){
		.ops = &riscv_machine,
		.config = &rig->config,
		.memory = &rig->memory,
		.mmio = &rig->mmio,
		.accel = &rig->accel,
		.vcpus = &rig->set,
		.devices = &rig->devices,
		.loop = &rig->loop,
		.term = &rig->term,
		.power = { .request = request_power },
	};
	if (riscv_machine.layout(&rig->machine) || riscv_machine.init_irqchip(&rig->machine) ||
	    riscv_machine.add_platform_devices(&rig->machine) || add_pl031(rig))
		abort();
	plic_set_edge(((struct riscv_machine *)rig->machine.priv)->plic, RISCV_IRQ_VIRTIO);
}

static void exit_rig(struct rig *rig)
{
	device_list_free(&rig->devices);
	riscv_machine.free(&rig->machine);
	loop_exit(&rig->loop);
	bus_exit(&rig->mmio);
	memory_exit(&rig->memory);
}

// -- the script --

static uint64_t step_address(const struct step *step)
{
	static const uint64_t bases[] = {
		RISCV_PLIC_BASE,
		RISCV_PLIC_BASE + 0x1000,
		RISCV_PLIC_BASE + 0x2000,
		RISCV_PLIC_BASE + 0x200000,
		RISCV_SERIAL_BASE,
		RISCV_SYSCON_BASE,
		RISCV_RTC_BASE,
		RISCV_PLIC_BASE + 0x1ff000,
		PL031_BASE,
	};

	return bases[step->choice % ARRAY_SIZE(bases)] + step->offset % 0x2000;
}

static void access_bus(struct rig *rig, const struct step *step)
{
	unsigned size = 1 << (step->op >> 6);
	uint64_t data = step->value;
	int rc;

	rc = step->op & 1 ? bus_write(&rig->mmio, step_address(step), &data, size) :
			    bus_read(&rig->mmio, step_address(step), &data, size);
	if (rc && rc != -ENXIO)
		abort();
}

static void call_sbi(struct rig *rig, const struct step *step)
{
	static const uint64_t extensions[] = {
		0,
		1,
		2,
		3,
		4,
		5,
		6,
		7,
		8,
		SBI_EXT_BASE,
		SBI_EXT_TIME,
		SBI_EXT_IPI,
		SBI_EXT_RFENCE,
		SBI_EXT_HSM,
		SBI_EXT_SRST,
		SBI_EXT_DBCN,
		SBI_EXT_SUSP,
		0x504d55,
	};
	const uint64_t spots[] = { step->value, RISCV_RAM_BASE + step->offset, step->offset, ~0ULL,
				   0 };
	struct guest_call call = {
		.extension = extensions[step->choice % ARRAY_SIZE(extensions)],
		.function = step->op >> 4,
	};

	for (unsigned i = 0; i < ARRAY_SIZE(call.args); i++)
		call.args[i] = spots[(step->offset >> (3 * i) & 7) % ARRAY_SIZE(spots)];
	// A console that takes nothing has a byte wait; that is no hang, but slow.
	rig->term.room = MAX(rig->term.room, 64U);
	sbi_call(&rig->sbi, &rig->vcpus[0], &call);
}

static void run_step(struct rig *rig, const struct step *step)
{
	struct irq_line line = { rig->machine.irqchip, step->offset % 12 };

	switch (step->op % 8) {
	default: // half of all steps
		access_bus(rig, step);
		break;
	case 4:
		irq_set(&line, step->choice & 1);
		break;
	case 5:
		call_sbi(rig, step);
		break;
	case 6:
		use_terminal(&rig->term, step);
		break;
	case 7:
		loop_stop(&rig->loop);
		loop_run(&rig->loop);
		if (step->choice == 0xff) {
			device_list_reset(&rig->devices);
			riscv_machine.reset(&rig->machine);
		}
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rig rig = { 0 };

	init_rig(&rig);
	run_script(&rig, run_step, data, size);
	exit_rig(&rig);
	return 0;
}
