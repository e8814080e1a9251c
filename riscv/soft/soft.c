// SPDX-License-Identifier: GPL-2.0-or-later
// The software engine as an accelerator: its table of struct accel_ops.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "code.h"
#include "cpu-view.h"
#include "exec.h"
#include "fpu.h"
#include "loop.h"
#include "riscv-soft.h"
#include "vm-config.h"

static int soft_available(struct accel *accel, char *why, size_t size)
{
	return 0;
}

static int soft_vm_init(struct accel *accel)
{
	struct soft_vm *vm = calloc(1, sizeof(*vm));
	unsigned bits = accel->config->satp_mode;

	if (!vm)
		return -ENOMEM;
	vm->accel = accel;
	vm->memory = accel->memory;
	vm->clock_ns = clock_monotonic_ns;
	vm->epoch_ns = vm->clock_ns();
	vm->tlb_limit = accel->config->soft_tlb_entries;
	vm->max_satp_mode = bits == 57 ? RISCV_SATP_SV57 :
			    bits == 48 ? RISCV_SATP_SV48 :
					 RISCV_SATP_SV39;
	vm->hart_count = accel->config->cpus;
	vm->harts = calloc(vm->hart_count, sizeof(struct hart *));
	accel->priv = vm;
	return vm->harts ? 0 : -ENOMEM;
}

static void soft_vm_exit(struct accel *accel)
{
	struct soft_vm *vm = accel->priv;

	if (!vm)
		return;
	timer_free(vm);
	code_free(vm);
	free(vm->harts);
	free(vm);
	accel->priv = NULL;
}

static int soft_map_ram(struct accel *accel)
{
	return code_create(accel->priv, accel->config->soft_code_cache_bytes);
}

static int soft_vcpu_init(struct vcpu *vcpu)
{
	struct soft_vm *vm = vcpu->accel->priv;
	struct hart *h = aligned_alloc(64, align_up(sizeof(*h), 64));
	int ret;

	if (!h)
		return -ENOMEM;
	memset(h, 0, sizeof(*h));
	h->vm = vm;
	h->vcpu = vcpu;
	h->index = vcpu->index;
	h->parked = true;
	h->state = RISCV_HART_STOPPED;
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->wake, NULL);
	pthread_cond_init(&h->fence_done, NULL);
	ret = mmu_create(h);
	if (ret) {
		free(h);
		return ret;
	}
	hart_reset(h, false, 0, 0, 0);
	vm->harts[h->index] = h;
	vcpu->priv = h;
	// The timer looks at all harts, so it starts with the last.
	if (h->index == vm->hart_count - 1)
		return timer_create_thread(vm);
	return 0;
}

static void soft_vcpu_exit(struct vcpu *vcpu)
{
	struct hart *h = vcpu->priv;

	if (!h)
		return;
	timer_free(h->vm);
	mmu_free(h);
	pthread_cond_destroy(&h->fence_done);
	pthread_cond_destroy(&h->wake);
	pthread_mutex_destroy(&h->lock);
	h->vm->harts[h->index] = NULL;
	free(h);
	vcpu->priv = NULL;
}

// What was due in the meantime comes later by as much.
static void soft_hold_clock(struct accel *accel, bool hold)
{
	struct soft_vm *vm = accel->priv;
	uint64_t gap_ns;

	if (hold) {
		timer_hold(vm, true);
		vm->held_since_ns = vm->clock_ns();
		return;
	}
	gap_ns = vm->clock_ns() - vm->held_since_ns;
	vm->epoch_ns += gap_ns;
	for (unsigned i = 0; i < vm->hart_count; i++)
		hart_delay_timer(vm->harts[i], gap_ns);
	timer_hold(vm, false);
}

static size_t soft_dump(struct vcpu *vcpu, char *text, size_t size)
{
	const struct hart *h = vcpu->priv;
	size_t used = 0;

	for (unsigned i = 0; i < 32 && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, "x%-2u %016llx%s", i,
					 (unsigned long long)h->x[i], i % 4 == 3 ? "\n" : "  ");
	if (used < size)
		used += (size_t)snprintf(text + used, size - used,
					 "pc  %016llx  sepc %016llx  scause %llx  stval %016llx\n"
					 "satp %016llx  sstatus %llx  stvec %016llx  mode %s\n",
					 (unsigned long long)h->pc, (unsigned long long)h->sepc,
					 (unsigned long long)h->scause,
					 (unsigned long long)h->stval, (unsigned long long)h->satp,
					 (unsigned long long)h->sstatus,
					 (unsigned long long)h->stvec,
					 h->priv == PRIV_S ? "S" : "U");
	return MIN(used, size);
}

static bool soft_view(struct vcpu *vcpu, struct cpu_view *view)
{
	const struct hart *h = vcpu->priv;

	view->ops = &riscv_view_ops;
	view->pc = h->pc;
	view->link = h->x[1];
	view->sp = h->x[2];
	view->frame = h->x[8];
	view->entry = h->stvec & ~3ULL; // its MODE
	view->in_kernel = h->priv == PRIV_S;
	view->riscv.satp = h->satp;
	return true;
}

static enum vcpu_exit soft_run(struct vcpu *vcpu)
{
	struct hart *h = vcpu->priv;
	enum vcpu_exit exit = VCPU_EXIT_KICKED;

	fpu_init_thread();
	fpu_set_flags(h->fflags);
	if (h->frm < FPU_RMM)
		fpu_set_rounding(h->frm);
	do {
		if (!hart_make_ready(h)) {
			atomic_fetch_and(&h->pending, ~PENDING_KICK);
			exit = VCPU_EXIT_KICKED;
			break;
		}
		// An interrupt that came with the last kick is looked at again.
		atomic_fetch_or(&h->pending, PENDING_IRQ);
		exit = exec_run(h);
		hart_park(h);
	} while (exit == HART_EXIT_STATE);
	h->fflags = fpu_get_flags();
	hart_count(h, SOFT_EXITS);
	hart_count_retired(h);
	return exit;
}

static void soft_kick(struct vcpu *vcpu)
{
	hart_notify(vcpu->priv, PENDING_KICK);
}

static void soft_irq(struct vcpu *vcpu, unsigned line, bool high)
{
	hart_set_ip(vcpu->priv, 1u << line, high);
}

// What riscv,isa-extensions says: only what the tests hold against a reference.
static const char *const extensions[] = { "i",        "m",           "a",       "f",       "d",
					  "c",        "zicboz",      "zicntr",  "zicond",  "zicsr",
					  "zifencei", "zihintpause", "zawrs",   "zba",     "zbb",
					  "zbs",      "sstc",        "svinval", "svnapot", "svpbmt",
					  "svvptc",   NULL };

static int soft_cpu_info(struct vcpu *vcpu, struct riscv_cpu_info *info)
{
	const struct hart *h = vcpu->priv;

	*info = (struct riscv_cpu_info){
		.extensions = extensions,
		.timebase_hz = TIMEBASE_HZ,
		.cboz_block_bytes = PAGE_BYTES,
		.satp_mode = h->vm->max_satp_mode,
	};
	return 0;
}

static int soft_reset(struct vcpu *vcpu, bool started, uint64_t pc, uint64_t a0, uint64_t a1)
{
	struct hart *h = vcpu->priv;

	if (h->index == 0)
		code_reset(h->vm);
	hart_reset(h, started, pc, a0, a1);
	mmu_flush_fetch(h);
	return 0;
}

static const struct riscv_accel_ops soft_riscv_ops = {
	.cpu_info = soft_cpu_info,
	.reset = soft_reset,
	.harts = &soft_hart_ops,
};

const struct accel_ops soft_accel_ops = {
	.name = "soft",
	.available = soft_available,
	.vm_init = soft_vm_init,
	.vm_exit = soft_vm_exit,
	.map_ram = soft_map_ram,
	.vcpu_init = soft_vcpu_init,
	.vcpu_exit = soft_vcpu_exit,
	.dump = soft_dump,
	.view = soft_view,
	.metrics = soft_metrics,
	.run = soft_run,
	.kick = soft_kick,
	.irq = soft_irq,
	.hold_clock = soft_hold_clock,
	.riscv = &soft_riscv_ops,
};
