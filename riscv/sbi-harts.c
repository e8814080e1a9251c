// SPDX-License-Identifier: GPL-2.0-or-later
// SBI calls about harts: TIME, IPI, RFENCE, HSM, SUSP (SBI 2.0 ch. 6 to 9, 13) and
// their legacy forms (ch. 5). What they do is the accelerator's; here is what may
// be asked.
#include <errno.h>

#include "memory.h"
#include "sbi-internal.h"

#define ALL_HARTS UINT64_MAX // as hart_mask_base
#define MASK_WORDS (SBI_MAX_HARTS / 64)

// A set of vCPUs by index.
struct targets {
	uint64_t bits[MASK_WORDS];
};

static const struct riscv_hart_ops *harts(const struct sbi_context *context)
{
	return context->sbi->riscv->harts;
}

static struct vcpu *find_hart(const struct sbi_context *context, uint64_t hart_id)
{
	const struct vcpu_set *set = context->sbi->vcpus;

	return hart_id < set->count ? &set->vcpus[hart_id] : NULL;
}

static void add_target(struct targets *targets, uint64_t hart_id)
{
	targets->bits[hart_id / 64] |= 1ULL << (hart_id % 64);
}

static bool is_target(const struct targets *targets, unsigned hart_id)
{
	return targets->bits[hart_id / 64] >> (hart_id % 64) & 1;
}

static void target_all(const struct sbi_context *context, struct targets *targets)
{
	*targets = (struct targets){ 0 };
	for (unsigned i = 0; i < context->sbi->vcpus->count; i++)
		add_target(targets, i);
}

// hart_mask and hart_mask_base, the first two arguments (ch. 3.1).
static enum sbi_error read_targets(const struct sbi_context *context, struct targets *targets)
{
	uint64_t mask = context->args[0];
	uint64_t base = context->args[1];

	if (base == ALL_HARTS) {
		target_all(context, targets);
		return SBI_SUCCESS;
	}
	*targets = (struct targets){ 0 };
	if (!find_hart(context, base))
		return SBI_ERR_INVALID_PARAM;
	for (; mask; mask &= mask - 1) {
		uint64_t hart_id = base + __builtin_ctzll(mask);

		if (!find_hart(context, hart_id))
			return SBI_ERR_INVALID_PARAM;
		add_target(targets, hart_id);
	}
	return SBI_SUCCESS;
}

// -- TIME (ch. 6) --

static enum sbi_error set_timer(struct sbi_context *context)
{
	harts(context)->set_timer(context->vcpu, context->args[0]);
	return SBI_SUCCESS;
}

// -- IPI (ch. 7) --

static void send_to(const struct sbi_context *context, const struct targets *targets)
{
	const struct vcpu_set *set = context->sbi->vcpus;

	for (unsigned i = 0; i < set->count; i++)
		if (is_target(targets, i))
			harts(context)->send_ipi(context->vcpu, &set->vcpus[i]);
}

static enum sbi_error send_ipi(struct sbi_context *context)
{
	struct targets targets;
	enum sbi_error error = read_targets(context, &targets);

	if (!error)
		send_to(context, &targets);
	return error;
}

// -- RFENCE (ch. 8) --

static void fence_on(const struct sbi_context *context, const struct targets *targets,
		     const struct riscv_fence *fence)
{
	harts(context)->remote_fence(context->vcpu, targets->bits,
				     (context->sbi->vcpus->count + 63) / 64, fence);
}

static enum sbi_error fence(const struct sbi_context *context, const struct riscv_fence *what)
{
	struct targets targets;
	enum sbi_error error = read_targets(context, &targets);
	bool whole = !what->size_bytes || what->size_bytes == UINT64_MAX;

	if (error)
		return error;
	if (!whole && what->size_bytes - 1 > UINT64_MAX - what->start)
		return SBI_ERR_INVALID_ADDRESS;
	fence_on(context, &targets, what);
	return SBI_SUCCESS;
}

static enum sbi_error remote_fence_i(struct sbi_context *context)
{
	return fence(context, &(struct riscv_fence){ .kind = RISCV_FENCE_I });
}

static enum sbi_error remote_sfence_vma(struct sbi_context *context)
{
	return fence(context, &(struct riscv_fence){
				      .kind = RISCV_FENCE_VMA,
				      .start = context->args[2],
				      .size_bytes = context->args[3],
			      });
}

static enum sbi_error remote_sfence_vma_asid(struct sbi_context *context)
{
	return fence(context, &(struct riscv_fence){
				      .kind = RISCV_FENCE_VMA_ASID,
				      .start = context->args[2],
				      .size_bytes = context->args[3],
				      .asid = context->args[4],
			      });
}

// -- HSM (ch. 9) --

// Bit 31 set: registers are lost and the hart begins anew (table 9.4).
#define SUSPEND_RETENTIVE 0x00000000
#define SUSPEND_NON_RETENTIVE 0x80000000

// Where a hart shall begin: an instruction in RAM.
static bool is_start_address(const struct sbi_context *context, uint64_t gpa)
{
	return !(gpa & 1) && memory_ptr(context->sbi->memory, gpa, 2);
}

static enum sbi_error hart_start(struct sbi_context *context)
{
	struct vcpu *target = find_hart(context, context->args[0]);

	if (!target)
		return SBI_ERR_INVALID_PARAM;
	if (!is_start_address(context, context->args[1]))
		return SBI_ERR_INVALID_ADDRESS;
	switch (harts(context)->start(target, context->args[1], context->args[2])) {
	case 0:
		return SBI_SUCCESS;
	case -EALREADY:
		return SBI_ERR_ALREADY_AVAILABLE;
	default:
		return SBI_ERR_FAILED;
	}
}

static enum sbi_error hart_stop(struct sbi_context *context)
{
	harts(context)->stop(context->vcpu);
	return SBI_SUCCESS;
}

static enum sbi_error hart_get_status(struct sbi_context *context)
{
	struct vcpu *target = find_hart(context, context->args[0]);

	if (!target)
		return SBI_ERR_INVALID_PARAM;
	context->value = harts(context)->state(target);
	return SBI_SUCCESS;
}

static enum sbi_error hart_suspend(struct sbi_context *context)
{
	uint32_t type = context->args[0];

	switch (type) {
	case SUSPEND_RETENTIVE:
		harts(context)->suspend(context->vcpu, true, 0, 0);
		return SBI_SUCCESS;
	case SUSPEND_NON_RETENTIVE:
		if (!is_start_address(context, context->args[1]))
			return SBI_ERR_INVALID_ADDRESS;
		harts(context)->suspend(context->vcpu, false, context->args[1], context->args[2]);
		return SBI_SUCCESS;
	default: // reserved, or a platform's own that this one has not
		return SBI_ERR_INVALID_PARAM;
	}
}

// -- SUSP (ch. 13) --

#define SUSPEND_TO_RAM 0

static bool others_stopped(const struct sbi_context *context)
{
	const struct vcpu_set *set = context->sbi->vcpus;

	for (unsigned i = 0; i < set->count; i++)
		if (&set->vcpus[i] != context->vcpu &&
		    harts(context)->state(&set->vcpus[i]) != RISCV_HART_STOPPED)
			return false;
	return true;
}

// With all other harts stopped this is the last hart's deep sleep; an interrupt
// that it left enabled (the RTC's, the console's) wakes the system.
static enum sbi_error system_suspend(struct sbi_context *context)
{
	if ((uint32_t)context->args[0] != SUSPEND_TO_RAM)
		return SBI_ERR_INVALID_PARAM;
	if (!is_start_address(context, context->args[1]))
		return SBI_ERR_INVALID_ADDRESS;
	if (!others_stopped(context))
		return SBI_ERR_DENIED;
	harts(context)->suspend(context->vcpu, false, context->args[1], context->args[2]);
	return SBI_SUCCESS;
}

// -- legacy (ch. 5) --
//
// Their hart masks lie at a virtual address of the caller's. All harts are taken
// instead: more than was asked for never harms, as an IPI or fence nobody needs
// has no effect that a guest could rely on the absence of.

static enum sbi_error legacy_clear_ipi(struct sbi_context *context)
{
	harts(context)->clear_ipi(context->vcpu);
	return SBI_SUCCESS;
}

static enum sbi_error legacy_send_ipi(struct sbi_context *context)
{
	struct targets all;

	target_all(context, &all);
	send_to(context, &all);
	return SBI_SUCCESS;
}

static enum sbi_error legacy_fence(struct sbi_context *context, const struct riscv_fence *what)
{
	struct targets all;

	target_all(context, &all);
	fence_on(context, &all, what);
	return SBI_SUCCESS;
}

static enum sbi_error legacy_fence_i(struct sbi_context *context)
{
	return legacy_fence(context, &(struct riscv_fence){ .kind = RISCV_FENCE_I });
}

// Whole address spaces, so that a bad range needs no error code.
static enum sbi_error legacy_sfence_vma(struct sbi_context *context)
{
	return legacy_fence(context, &(struct riscv_fence){ .kind = RISCV_FENCE_VMA });
}

static enum sbi_error (*const time_functions[])(struct sbi_context *) = { set_timer };
static enum sbi_error (*const ipi_functions[])(struct sbi_context *) = { send_ipi };
// The fences of the hypervisor extension, 3 to 6, are not supported.
static enum sbi_error (*const rfence_functions[])(struct sbi_context *) = {
	remote_fence_i,
	remote_sfence_vma,
	remote_sfence_vma_asid,
};
static enum sbi_error (*const hsm_functions[])(struct sbi_context *) = {
	hart_start,
	hart_stop,
	hart_get_status,
	hart_suspend,
};
static enum sbi_error (*const susp_functions[])(struct sbi_context *) = { system_suspend };
static enum sbi_error (*const clear_ipi_functions[])(struct sbi_context *) = { legacy_clear_ipi };
static enum sbi_error (*const send_ipi_functions[])(struct sbi_context *) = { legacy_send_ipi };
static enum sbi_error (*const fence_i_functions[])(struct sbi_context *) = { legacy_fence_i };
static enum sbi_error (*const sfence_functions[])(struct sbi_context *) = { legacy_sfence_vma };

const struct sbi_extension sbi_hart_extensions[] = {
	{ SBI_EXTENSION(SBI_EXT_TIME, time_functions), .needs_harts = true },
	{ SBI_EXTENSION(SBI_EXT_IPI, ipi_functions), .needs_harts = true },
	{ SBI_EXTENSION(SBI_EXT_RFENCE, rfence_functions), .needs_harts = true },
	{ SBI_EXTENSION(SBI_EXT_HSM, hsm_functions), .needs_harts = true },
	{ SBI_EXTENSION(SBI_EXT_SUSP, susp_functions), .needs_harts = true },
	{ SBI_EXTENSION(SBI_EXT_SET_TIMER, time_functions), .needs_harts = true, .legacy = true },
	{ SBI_EXTENSION(SBI_EXT_CLEAR_IPI, clear_ipi_functions), .needs_harts = true,
	  .legacy = true },
	{ SBI_EXTENSION(SBI_EXT_SEND_IPI, send_ipi_functions), .needs_harts = true,
	  .legacy = true },
	{ SBI_EXTENSION(SBI_EXT_REMOTE_FENCE_I, fence_i_functions), .needs_harts = true,
	  .legacy = true },
	{ SBI_EXTENSION(SBI_EXT_REMOTE_SFENCE_VMA, sfence_functions), .needs_harts = true,
	  .legacy = true },
	{ SBI_EXTENSION(SBI_EXT_REMOTE_SFENCE_VMA_ASID, sfence_functions), .needs_harts = true,
	  .legacy = true },
};
const unsigned sbi_hart_extension_count = ARRAY_SIZE(sbi_hart_extensions);
