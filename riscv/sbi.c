// SPDX-License-Identifier: GPL-2.0-or-later
// SBI dispatch, and the extensions that concern the machine as a whole: Base, SRST.
//
// One table of extensions serves both the calls and Base's probe, so that they
// cannot disagree.
#include "sbi.h"

#include <stddef.h>

#include "sbi-internal.h"

// -- Base (ch. 4) --

static const struct sbi_extension *find_extension(const struct sbi *sbi, uint64_t id);

static enum sbi_error get_spec_version(struct sbi_context *context)
{
	context->value = SBI_SPEC_VERSION;
	return SBI_SUCCESS;
}

static enum sbi_error get_impl_id(struct sbi_context *context)
{
	context->value = SBI_IMPL_ID;
	return SBI_SUCCESS;
}

static enum sbi_error get_impl_version(struct sbi_context *context)
{
	context->value = SBI_IMPL_VERSION;
	return SBI_SUCCESS;
}

static enum sbi_error probe_extension(struct sbi_context *context)
{
	context->value = find_extension(context->sbi, context->args[0]) ? 1 : 0;
	return SBI_SUCCESS;
}

static enum sbi_error get_machine_id(struct sbi_context *context, size_t field)
{
	struct riscv_cpu_info info = { 0 };

	// 0, which stands for "not implemented", is always a legal answer.
	if (!context->sbi->riscv->cpu_info(context->vcpu, &info))
		context->value = *(const uint64_t *)((const char *)&info + field);
	return SBI_SUCCESS;
}

static enum sbi_error get_mvendorid(struct sbi_context *context)
{
	return get_machine_id(context, offsetof(struct riscv_cpu_info, mvendorid));
}

static enum sbi_error get_marchid(struct sbi_context *context)
{
	return get_machine_id(context, offsetof(struct riscv_cpu_info, marchid));
}

static enum sbi_error get_mimpid(struct sbi_context *context)
{
	return get_machine_id(context, offsetof(struct riscv_cpu_info, mimpid));
}

static enum sbi_error (*const base_functions[])(struct sbi_context *) = {
	get_spec_version, get_impl_id, get_impl_version, probe_extension,
	get_mvendorid,    get_marchid, get_mimpid,
};

// -- SRST (ch. 10) and legacy shutdown (5.9) --

enum { SRST_SHUTDOWN, SRST_COLD_REBOOT, SRST_WARM_REBOOT, SRST_TYPE_COUNT };
enum { SRST_NO_REASON, SRST_SYSTEM_FAILURE, SRST_REASON_COUNT };

static enum sbi_error system_reset(struct sbi_context *context)
{
	// Both are uint32_t: the register's upper half does not count.
	uint32_t type = context->args[0];
	uint32_t reason = context->args[1];

	if (type >= SRST_TYPE_COUNT || reason >= SRST_REASON_COUNT)
		return SBI_ERR_INVALID_PARAM;
	if (type != SRST_SHUTDOWN)
		context->exit = VCPU_EXIT_RESET;
	else
		context->exit = reason == SRST_SYSTEM_FAILURE ? VCPU_EXIT_CRASH :
								VCPU_EXIT_SHUTDOWN;
	return SBI_SUCCESS;
}

static enum sbi_error legacy_shutdown(struct sbi_context *context)
{
	context->exit = VCPU_EXIT_SHUTDOWN;
	return SBI_SUCCESS;
}

static enum sbi_error (*const srst_functions[])(struct sbi_context *) = { system_reset };
static enum sbi_error (*const shutdown_functions[])(struct sbi_context *) = { legacy_shutdown };

static const struct sbi_extension system_extensions[] = {
	{ SBI_EXTENSION(SBI_EXT_BASE, base_functions) },
	{ SBI_EXTENSION(SBI_EXT_SRST, srst_functions) },
	{ SBI_EXTENSION(SBI_EXT_SHUTDOWN, shutdown_functions), .legacy = true },
};

// -- dispatch --

static const struct sbi_extension *find_in(const struct sbi_extension *list, unsigned count,
					   uint64_t id)
{
	for (unsigned i = 0; i < count; i++)
		if (list[i].id == id)
			return &list[i];
	return NULL;
}

static const struct sbi_extension *find_extension(const struct sbi *sbi, uint64_t id)
{
	const struct sbi_extension *found =
		find_in(sbi_hart_extensions, sbi_hart_extension_count, id);

	if (!found)
		found = find_in(sbi_console_extensions, sbi_console_extension_count, id);
	if (!found)
		found = find_in(system_extensions, ARRAY_SIZE(system_extensions), id);
	return found && found->needs_harts && !sbi->riscv->harts ? NULL : found;
}

enum vcpu_exit sbi_call(const struct sbi *sbi, struct vcpu *vcpu, struct guest_call *call)
{
	const struct sbi_extension *extension = find_extension(sbi, call->extension);
	struct sbi_context context = {
		.sbi = sbi,
		.vcpu = vcpu,
		.args = call->args,
		.exit = VCPU_EXIT_KICKED,
	};
	uint64_t function = extension && extension->legacy ? 0 : call->function;
	enum sbi_error error = SBI_ERR_NOT_SUPPORTED;

	if (extension && function < extension->function_count)
		error = extension->functions[function](&context);
	call->legacy = extension && extension->legacy;
	call->ret[0] = (int64_t)error;
	call->ret[1] = context.value;
	if (call->legacy && error == SBI_SUCCESS)
		call->ret[0] = context.value;
	return context.exit;
}
