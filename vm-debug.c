// SPDX-License-Identifier: GPL-2.0-or-later
// Looking into a guest that is in trouble: registers, NMI, the magic SysRq key.

#include <errno.h>
#include <string.h>

#include "control.h"
#include "cpu-view.h"
#include "log.h"
#include "term.h"
#include "vm-priv.h"

struct debug_request {
	int dump;          // bool
	json_int_t nmi;    // a vCPU; -1: none
	const char *sysrq; // one character; NULL: none
};

static int unpack_request(const struct control_call *call, struct debug_request *request)
{
	*request = (struct debug_request){ .nmi = -1 };
	return json_unpack(call->arguments, "{s?b, s?I, s?s !}", "dump", &request->dump, "nmi",
			   &request->nmi, "sysrq", &request->sysrq);
}

// False after an answer.
static bool check_request(struct vm *vm, struct control_call *call,
			  const struct debug_request *request)
{
	unsigned last = vm->config->cpus - 1;
	bool ok = false;

	if (request->sysrq && strlen(request->sysrq) != 1)
		control_fail(call, "invalid-argument", "sysrq is one character");
	else if (request->nmi > (json_int_t)last)
		control_fail(call, "invalid-argument",
			     "it has no vCPU %lld to interrupt; give 0 to %u",
			     (long long)request->nmi, last);
	else if (!request->dump && request->nmi < 0 && !request->sysrq)
		control_fail(call, "invalid-argument", "the arguments are dump, nmi or sysrq");
	else
		ok = true;
	return ok;
}

static bool press_sysrq(struct vm *vm, struct control_call *call, uint8_t key)
{
	int err = term_sysrq(vm->term, key);

	if (err == -EBUSY)
		control_fail(call, "busy", "its console takes no input now");
	else if (err)
		control_fail(call, "no-device", "it has no console that takes input");
	return !err;
}

// -- vCPUs stopped --

static bool inject_nmi(struct vm *vm, struct control_call *call, json_int_t cpu)
{
	int err;

	if (!vm->accel.ops->nmi) {
		control_fail(call, "no-device", "a vCPU of this VM has no NMI; try sysrq");
		return false;
	}
	err = vm->accel.ops->nmi(&vm->vcpus.vcpus[cpu]);
	if (err)
		control_fail(call, "host", "the host refused: %s", strerror(-err));
	return !err;
}

// Numbers of 64 bits are more than a JSON number is sure to hold.
static json_t *json_address(uint64_t address)
{
	return json_sprintf("%016llx", (unsigned long long)address);
}

static json_t *trace_vcpu(const struct cpu_view *view)
{
	struct trace_entry entries[TRACE_MAX];
	unsigned count = cpu_trace(view, entries);
	json_t *list = json_array();

	for (unsigned i = 0; i < count; i++)
		json_array_append_new(list, json_pack("{s:o, s:s}", "address",
						      json_address(entries[i].address), "from",
						      trace_source_name(entries[i].source)));
	return list;
}

// What there is beyond the registers' text.
static void add_view(struct vm *vm, struct vcpu *vcpu, json_t *object)
{
	struct cpu_view view = { .memory = &vm->memory };

	if (!vm->accel.ops->view || !vm->accel.ops->view(vcpu, &view))
		return;
	json_object_set_new(object, "mode", json_string(view.in_kernel ? "kernel" : "user"));
	if (view.entry)
		json_object_set_new(object, "entry", json_address(view.entry));
	json_object_set_new(object, "trace", trace_vcpu(&view));
}

static json_t *dump_vcpus(struct vm *vm)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < vm->vcpus.count && vm->accel.ops->dump; i++) {
		struct vcpu *vcpu = &vm->vcpus.vcpus[i];
		char text[4096];
		json_t *object;

		if (!vm->accel.ops->dump(vcpu, text, sizeof(text)))
			continue;
		object = json_pack("{s:i, s:s}", "vcpu", (int)i, "registers", text);
		add_view(vm, vcpu, object);
		json_array_append_new(list, object);
	}
	return list;
}

static void inspect(struct vm *vm, struct control_call *call)
{
	struct debug_request request;
	json_t *result = json_object();

	if (unpack_request(call, &request))
		return; // it was unpacked before
	if (request.dump)
		json_object_set_new(result, "vcpus", dump_vcpus(vm));
	if (request.nmi >= 0 && !inject_nmi(vm, call, request.nmi))
		json_decref(result);
	else
		control_reply(call, result);
}

void vm_inspect(struct vm *vm)
{
	struct control_call *call;

	vm->inspect = false;
	while ((call = vm_control_take(vm, "debug")))
		inspect(vm, call);
}

// -- main loop --

void vm_debug(struct vm *vm, struct control_call *call)
{
	struct debug_request request;

	if (unpack_request(call, &request)) {
		control_fail(call, "invalid-argument",
			     "the arguments are dump, a boolean, nmi, a number, and sysrq, a "
			     "character");
		return;
	}
	if (!check_request(vm, call, &request))
		return;
	if (request.sysrq && !press_sysrq(vm, call, (uint8_t)request.sysrq[0]))
		return;
	if (!request.dump && request.nmi < 0) {
		control_reply(call, NULL);
		return;
	}
	vm_control_keep(vm, call);
	vm->inspect = true;
	loop_stop(&vm->loop);
}
