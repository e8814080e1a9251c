// SPDX-License-Identifier: GPL-2.0-or-later
// Looking into a guest that is in trouble: registers, NMI, the magic SysRq key.

#include <errno.h>
#include <string.h>

#include "control.h"
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
	const char *problem = NULL;

	if (request->sysrq && strlen(request->sysrq) != 1)
		problem = "sysrq is one character";
	else if (request->nmi >= (json_int_t)vm->config->cpus)
		problem = "there is no such vCPU to interrupt";
	else if (!request->dump && request->nmi < 0 && !request->sysrq)
		problem = "the arguments are dump, nmi or sysrq";
	if (problem)
		control_fail(call, "invalid-argument", "%s", problem);
	return !problem;
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

static json_t *dump_vcpus(struct vm *vm)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < vm->vcpus.count && vm->accel.ops->dump; i++) {
		char text[4096];

		if (vm->accel.ops->dump(&vm->vcpus.vcpus[i], text, sizeof(text)))
			json_array_append_new(list, json_pack("{s:i, s:s}", "vcpu", (int)i,
							      "registers", text));
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
