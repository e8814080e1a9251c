// SPDX-License-Identifier: GPL-2.0-or-later
// Harts as the machine sees them: traps, interrupts, waiting, fences between harts,
// and the services behind SBI (TIME, IPI, RFENCE, HSM).
#include "hart.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "code.h"
#include "exec.h"
#include "fpu.h"
#include "loop.h"
#include "mmu.h"

#define STVEC_VECTORED 1
#define CAUSE_INTERRUPT (1ULL << 63)

// -- traps and interrupts: own thread --

void hart_select_fp(struct hart *h)
{
	h->fp_gate = (h->fs == FS_DIRTY ? 0 : FP_GATE_STATE) |
		     (h->frm < FPU_RMM ? 0 : FP_GATE_MODE);
}

void hart_count_instructions(struct hart *h, bool on)
{
	h->counting = on;
	memcpy(h->handlers, on ? exec_counting_handlers : exec_handlers, sizeof(h->handlers));
}

// Of causes there are no others; see take_interrupt() and enum trap_cause.
static void count_trap(struct hart *h, uint64_t cause)
{
	if (cause & CAUSE_INTERRUPT)
		soft_add(&h->counters.interrupts[(cause & ~CAUSE_INTERRUPT) % SOFT_INTERRUPTS], 1);
	else
		soft_add(&h->counters.exceptions[cause % SOFT_EXCEPTIONS], 1);
}

void hart_trap(struct hart *h, uint64_t pc, uint64_t cause, uint64_t tval)
{
	uint64_t base = h->stvec & ~3ULL;
	bool vectored = (h->stvec & 3) == STVEC_VECTORED && cause & CAUSE_INTERRUPT;

	count_trap(h, cause);
	h->sepc = pc;
	h->scause = cause;
	h->stval = tval;
	h->sstatus &= ~(SSTATUS_SPP | SSTATUS_SPIE);
	if (h->priv == PRIV_S)
		h->sstatus |= SSTATUS_SPP;
	if (h->sstatus & SSTATUS_SIE)
		h->sstatus |= SSTATUS_SPIE;
	h->sstatus &= ~SSTATUS_SIE;
	h->priv = PRIV_S;
	h->resv_va = RESERVATION_NONE;
	h->pc = base + (vectored ? 4 * (cause & ~CAUSE_INTERRUPT) : 0);
	mmu_select(h);
}

static uint32_t due_interrupts(const struct hart *h)
{
	return atomic_load(&h->sip) & h->sie;
}

static void take_interrupt(struct hart *h, uint32_t due)
{
	// External before software before timer (privileged ISA 12.1.3).
	unsigned cause = due & IP_SEIP ? 9 : due & IP_SSIP ? 1 : 5;

	hart_trap(h, h->pc, CAUSE_INTERRUPT | cause, 0);
}

// Does the fences of the queue. Under h->lock.
static void do_fences(struct hart *h)
{
	soft_add(&h->counters.counts[SOFT_FENCES], h->fence_count);
	for (unsigned i = 0; i < h->fence_count; i++) {
		const struct fence *fence = &h->fences[i];

		switch (fence->kind) {
		case FENCE_VMA:
			mmu_flush(h, fence);
			break;
		case FENCE_DROP_WRITES:
			mmu_drop_writes(h, (const void *)(uintptr_t)fence->start);
			break;
		case FENCE_FETCH:
			mmu_flush_fetch(h);
			break;
		case FENCE_EVERYTHING:
			mmu_flush_all(h);
			break;
		}
	}
	h->fence_count = 0;
	h->done_seq = h->posted_seq;
	pthread_cond_broadcast(&h->fence_done);
}

bool hart_service(struct hart *h)
{
	uint32_t bits = atomic_exchange(&h->pending, 0);
	uint32_t due;

	if (bits & PENDING_FENCE) {
		pthread_mutex_lock(&h->lock);
		do_fences(h);
		pthread_mutex_unlock(&h->lock);
	}
	if (bits & PENDING_KICK) {
		h->exit = VCPU_EXIT_KICKED;
		return false;
	}
	due = due_interrupts(h);
	if (due && interrupts_enabled(h))
		take_interrupt(h, due);
	return true;
}

// -- waiting --

static void park_locked(struct hart *h)
{
	h->parked = true;
	pthread_cond_broadcast(&h->fence_done);
}

static void unpark_locked(struct hart *h)
{
	do_fences(h);
	h->parked = false;
}

void hart_park(struct hart *h)
{
	pthread_mutex_lock(&h->lock);
	park_locked(h);
	pthread_mutex_unlock(&h->lock);
}

void hart_unpark(struct hart *h)
{
	pthread_mutex_lock(&h->lock);
	unpark_locked(h);
	pthread_mutex_unlock(&h->lock);
}

static bool must_wait(struct hart *h)
{
	return !(atomic_load(&h->pending) & PENDING_KICK) && !due_interrupts(h);
}

// Lock held.
static void sleep_until_due(struct hart *h)
{
	uint64_t since_ns = clock_monotonic_ns();

	while (must_wait(h))
		pthread_cond_wait(&h->wake, &h->lock);
	soft_count_halt(&h->counters, clock_monotonic_ns() - since_ns);
}

void hart_wait(struct hart *h)
{
	hart_count(h, SOFT_WFI);
	hart_count_retired(h);
	pthread_mutex_lock(&h->lock);
	park_locked(h);
	atomic_store(&h->waiting, true);
	if (must_wait(h))
		sleep_until_due(h);
	atomic_store(&h->waiting, false);
	unpark_locked(h);
	pthread_mutex_unlock(&h->lock);
}

void hart_notify(struct hart *h, uint32_t pending_bits)
{
	atomic_fetch_or(&h->pending, pending_bits);
	if (atomic_load(&h->waiting)) {
		pthread_mutex_lock(&h->lock);
		pthread_cond_signal(&h->wake);
		pthread_mutex_unlock(&h->lock);
	}
}

void hart_set_ip(struct hart *h, uint32_t bits, bool high)
{
	if (!high)
		atomic_fetch_and(&h->sip, ~bits);
	else if ((atomic_fetch_or(&h->sip, bits) & bits) != bits)
		hart_notify(h, PENDING_IRQ);
}

// -- fences between harts --

uint64_t hart_post_fence(struct hart *target, const struct fence *fence)
{
	uint64_t seq;
	bool parked;

	pthread_mutex_lock(&target->lock);
	if (target->fence_count == FENCE_QUEUE) {
		target->fences[0] = (struct fence){ .kind = FENCE_EVERYTHING };
		target->fence_count = 1;
	} else {
		target->fences[target->fence_count++] = *fence;
	}
	seq = ++target->posted_seq;
	parked = target->parked;
	pthread_mutex_unlock(&target->lock);
	if (parked)
		return 0;
	hart_notify(target, PENDING_FENCE);
	return seq;
}

void hart_await_fence(struct hart *target, uint64_t seq)
{
	pthread_mutex_lock(&target->lock);
	while (target->done_seq < seq && !target->parked)
		pthread_cond_wait(&target->fence_done, &target->lock);
	pthread_mutex_unlock(&target->lock);
}

bool hart_has_fences(struct hart *target)
{
	bool has;

	pthread_mutex_lock(&target->lock);
	has = target->fence_count && !target->parked;
	pthread_mutex_unlock(&target->lock);
	return has;
}

// -- time --

uint64_t hart_time(const struct hart *h)
{
	return soft_elapsed_ns(h->vm) / NSEC_PER_TICK;
}

// CLOCK_MONOTONIC when the time CSR reaches @deadline; UINT64_MAX: never.
static uint64_t deadline_ns(const struct hart *h, uint64_t deadline)
{
	if (deadline >= UINT64_MAX / 2 / NSEC_PER_TICK)
		return UINT64_MAX;
	return h->vm->epoch_ns + deadline * NSEC_PER_TICK;
}

// STIP and the deadline change together under the lock, or the timer thread could
// raise the interrupt for a deadline that the hart has just moved.
void hart_set_timer(struct hart *h, uint64_t deadline)
{
	bool due = deadline <= hart_time(h);
	uint64_t when_ns = due ? UINT64_MAX : deadline_ns(h, deadline);

	pthread_mutex_lock(&h->lock);
	h->stimecmp = deadline;
	atomic_store(&h->deadline_ns, when_ns);
	if (!due)
		atomic_fetch_and(&h->sip, ~IP_STIP);
	pthread_mutex_unlock(&h->lock);
	if (due)
		hart_set_ip(h, IP_STIP, true);
	timer_rearm(h->vm, when_ns);
}

void hart_expire_timer(struct hart *h, uint64_t now_ns)
{
	bool due;

	pthread_mutex_lock(&h->lock);
	due = atomic_load(&h->deadline_ns) <= now_ns;
	if (due) {
		atomic_store(&h->deadline_ns, UINT64_MAX);
		atomic_fetch_or(&h->sip, IP_STIP);
	}
	pthread_mutex_unlock(&h->lock);
	if (due)
		hart_notify(h, PENDING_IRQ);
}

void hart_delay_timer(struct hart *h, uint64_t gap_ns)
{
	uint64_t when_ns;

	pthread_mutex_lock(&h->lock);
	when_ns = atomic_load(&h->deadline_ns);
	if (when_ns < UINT64_MAX - gap_ns)
		atomic_store(&h->deadline_ns, when_ns + gap_ns);
	pthread_mutex_unlock(&h->lock);
}

// -- SBI services --

static struct hart *hart_of(struct vcpu *vcpu)
{
	return vcpu->priv;
}

static void sbi_set_timer(struct vcpu *self, uint64_t deadline)
{
	hart_set_timer(hart_of(self), deadline);
}

static void sbi_send_ipi(struct vcpu *self, struct vcpu *target)
{
	hart_set_ip(hart_of(target), IP_SSIP, true);
}

static void sbi_clear_ipi(struct vcpu *self)
{
	hart_set_ip(hart_of(self), IP_SSIP, false);
}

// From this size on, flushing everything is cheaper than page by page.
#define FENCE_MAX_BYTES (64 * PAGE_BYTES)

static struct fence fence_of(const struct riscv_fence *request)
{
	uint64_t start = request->start & PAGE_MASK;
	uint64_t size = align_up(request->size_bytes + (request->start - start), PAGE_BYTES);
	struct fence fence = {
		.kind = FENCE_VMA,
		.all_asids = request->kind != RISCV_FENCE_VMA_ASID,
		.asid = (uint16_t)request->asid,
		.start = start,
		.size_bytes = size,
	};

	// size 0 with start 0, and size ~0, mean everything (SBI 2.0 8.1).
	fence.all_addresses = !request->size_bytes || request->size_bytes > FENCE_MAX_BYTES ||
			      size > FENCE_MAX_BYTES + PAGE_BYTES;
	return fence;
}

static bool is_target(const uint64_t *targets, unsigned words, unsigned index)
{
	return index / 64 < words && targets[index / 64] >> (index % 64) & 1;
}

static void sbi_remote_fence(struct vcpu *self, const uint64_t *targets, unsigned words,
			     const struct riscv_fence *request)
{
	struct hart *h = hart_of(self);
	struct soft_vm *vm = h->vm;
	uint64_t seq[HARTS_MAX];
	struct fence fence;

	// Decoded code is shared, so one hart does it for all; see code.c.
	if (request->kind == RISCV_FENCE_I) {
		code_fence_i(h);
		return;
	}
	fence = fence_of(request);
	if (is_target(targets, words, h->index))
		mmu_flush(h, &fence);
	hart_park(h);
	for (unsigned i = 0; i < vm->hart_count; i++)
		seq[i] = i != h->index && is_target(targets, words, i) ?
				 hart_post_fence(vm->harts[i], &fence) :
				 0;
	for (unsigned i = 0; i < vm->hart_count; i++)
		if (seq[i])
			hart_await_fence(vm->harts[i], seq[i]);
	hart_unpark(h);
}

static int sbi_hart_start(struct vcpu *target, uint64_t pc, uint64_t opaque)
{
	struct hart *h = hart_of(target);
	int ret = 0;

	pthread_mutex_lock(&h->lock);
	if (h->state != RISCV_HART_STOPPED) {
		ret = -EALREADY;
	} else {
		h->state = RISCV_HART_START_PENDING;
		h->start_pc = pc;
		h->start_opaque = opaque;
		pthread_cond_signal(&h->wake);
	}
	pthread_mutex_unlock(&h->lock);
	return ret;
}

static void set_state(struct hart *h, enum riscv_hart_state state)
{
	pthread_mutex_lock(&h->lock);
	h->state = state;
	pthread_mutex_unlock(&h->lock);
}

static void sbi_hart_stop(struct vcpu *self)
{
	set_state(hart_of(self), RISCV_HART_STOP_PENDING);
}

static void sbi_hart_suspend(struct vcpu *self, bool retentive, uint64_t pc, uint64_t opaque)
{
	struct hart *h = hart_of(self);

	pthread_mutex_lock(&h->lock);
	h->state = RISCV_HART_SUSPEND_PENDING;
	h->suspend_retentive = retentive;
	h->start_pc = pc;
	h->start_opaque = opaque;
	pthread_mutex_unlock(&h->lock);
}

static enum riscv_hart_state sbi_hart_state(struct vcpu *target)
{
	struct hart *h = hart_of(target);
	enum riscv_hart_state state;

	pthread_mutex_lock(&h->lock);
	state = h->state;
	pthread_mutex_unlock(&h->lock);
	return state;
}

const struct riscv_hart_ops soft_hart_ops = {
	.set_timer = sbi_set_timer,
	.send_ipi = sbi_send_ipi,
	.clear_ipi = sbi_clear_ipi,
	.remote_fence = sbi_remote_fence,
	.start = sbi_hart_start,
	.stop = sbi_hart_stop,
	.suspend = sbi_hart_suspend,
	.state = sbi_hart_state,
};

// -- HSM: from one state to the next, on the hart's own thread --

static void begin_at(struct hart *h, uint64_t pc, uint64_t a0, uint64_t a1)
{
	h->pc = pc;
	h->x[10] = a0;
	h->x[11] = a1;
	h->priv = PRIV_S;
	h->sstatus &= ~SSTATUS_SIE;
	mmu_set_satp(h, 0);
}

static bool is_kicked(struct hart *h)
{
	return atomic_load(&h->pending) & PENDING_KICK;
}

// Sleeps while the hart is stopped, or suspended without an interrupt. Lock held.
static void sleep_by_state(struct hart *h)
{
	atomic_store(&h->waiting, true);
	while (!is_kicked(h) && (h->state == RISCV_HART_STOPPED ||
				 (h->state == RISCV_HART_SUSPENDED && !due_interrupts(h))))
		pthread_cond_wait(&h->wake, &h->lock);
	atomic_store(&h->waiting, false);
}

bool hart_make_ready(struct hart *h)
{
	bool start, resume, ready;

	pthread_mutex_lock(&h->lock);
	if (h->state == RISCV_HART_STOP_PENDING)
		h->state = RISCV_HART_STOPPED;
	if (h->state == RISCV_HART_SUSPEND_PENDING)
		h->state = RISCV_HART_SUSPENDED;
	park_locked(h);
	sleep_by_state(h);
	start = h->state == RISCV_HART_START_PENDING;
	resume = h->state == RISCV_HART_SUSPENDED && due_interrupts(h);
	if (start || resume)
		h->state = RISCV_HART_STARTED;
	ready = h->state == RISCV_HART_STARTED;
	if (ready)
		unpark_locked(h);
	pthread_mutex_unlock(&h->lock);
	if (start || (resume && !h->suspend_retentive))
		begin_at(h, h->start_pc, h->index, h->start_opaque);
	return ready;
}

void hart_reset(struct hart *h, bool started, uint64_t pc, uint64_t a0, uint64_t a1)
{
	memset(h->x, 0, sizeof(h->x));
	memset(h->f, 0, sizeof(h->f));
	h->sstatus = 0;
	h->fs = FS_OFF;
	h->fflags = h->frm = 0;
	h->stvec = h->sscratch = h->sepc = h->scause = h->stval = 0;
	h->senvcfg = 0;
	h->scounteren = 7; // U mode reads time: Linux counts on its environment for that
	h->sie = 0;
	hart_select_fp(h);
	hart_count_instructions(h, false);
	h->resv_va = RESERVATION_NONE;
	// The timer thread never stops: under the lock, it cannot raise STIP afterwards.
	pthread_mutex_lock(&h->lock);
	h->stimecmp = UINT64_MAX;
	atomic_store(&h->deadline_ns, UINT64_MAX);
	atomic_store(&h->sip, 0);
	pthread_mutex_unlock(&h->lock);
	h->fence_count = 0;
	h->done_seq = h->posted_seq;
	mmu_flush_all(h);
	begin_at(h, pc, a0, a1);
	h->state = started ? RISCV_HART_STARTED : RISCV_HART_STOPPED;
}
