// SPDX-License-Identifier: GPL-2.0-or-later
// The supervisor binary interface (SBI 2.0): what an ecall from S mode asks for.
//
// There is no firmware below the guest. The software engine hands every call to
// sbi_call(); KVM answers most in the kernel and forwards the rest.
#ifndef KVIK_RISCV_SBI_H
#define KVIK_RISCV_SBI_H

#include <stdint.h>

#include "vcpu.h"

struct memory;
struct term;

#define SBI_MAX_HARTS 512

// Constant while vCPUs run: the calls work on what it points to.
struct sbi {
	struct memory *memory;
	struct term *term; // the debug console; NULL: output is dropped
	const struct vcpu_set *vcpus;
	const struct riscv_accel_ops *riscv;
};

// Error codes (SBI 2.0 ch. 3, table 1).
enum sbi_error {
	SBI_SUCCESS = 0,
	SBI_ERR_FAILED = -1,
	SBI_ERR_NOT_SUPPORTED = -2,
	SBI_ERR_INVALID_PARAM = -3,
	SBI_ERR_DENIED = -4,
	SBI_ERR_INVALID_ADDRESS = -5,
	SBI_ERR_ALREADY_AVAILABLE = -6,
	SBI_ERR_ALREADY_STARTED = -7,
	SBI_ERR_ALREADY_STOPPED = -8,
	SBI_ERR_NO_SHMEM = -9,
};

// Extension ids.
enum {
	SBI_EXT_SET_TIMER = 0x0, // legacy, to 0x8
	SBI_EXT_PUTCHAR = 0x1,
	SBI_EXT_GETCHAR = 0x2,
	SBI_EXT_CLEAR_IPI = 0x3,
	SBI_EXT_SEND_IPI = 0x4,
	SBI_EXT_REMOTE_FENCE_I = 0x5,
	SBI_EXT_REMOTE_SFENCE_VMA = 0x6,
	SBI_EXT_REMOTE_SFENCE_VMA_ASID = 0x7,
	SBI_EXT_SHUTDOWN = 0x8,
	SBI_EXT_BASE = 0x10,
	SBI_EXT_TIME = 0x54494d45,
	SBI_EXT_IPI = 0x735049,
	SBI_EXT_RFENCE = 0x52464e43,
	SBI_EXT_HSM = 0x48534d,
	SBI_EXT_SRST = 0x53525354,
	SBI_EXT_DBCN = 0x4442434e,
	SBI_EXT_SUSP = 0x53555350,
};

#define SBI_SPEC_VERSION 0x02000000 // 2.0
// The registry of implementation ids (SBI 2.0 ch. 4.9) hands out small numbers;
// this one, "kvik" in ASCII, keeps clear of them.
#define SBI_IMPL_ID 0x6b76696b
#define SBI_IMPL_VERSION 1

// Answers @call for @vcpu, on its thread. As vcpu_host.guest_call; a call that is
// unknown or wrong gets its error code and the guest goes on.
enum vcpu_exit sbi_call(const struct sbi *sbi, struct vcpu *vcpu, struct guest_call *call);

#endif
