// SPDX-License-Identifier: GPL-2.0-or-later
// Model-specific registers as after power on, and as firmware leaves them where a
// kernel counts on that.
//
// Which of them exist depends on the CPU: one that KVM refuses is not there, and needs
// no reset. Values: Intel SDM vol. 3A, table 10-1; AMD APM vol. 2, 14.1.
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "kvm-host.h"
#include "log.h"
#include "x86-kvm.h"

static const struct {
	uint32_t index;
	uint64_t value;
} msrs[] = {
	{ 0x10, 0 },                   // IA32_TSC: the same on every vCPU
	{ 0x3b, 0 },                   // IA32_TSC_ADJUST
	{ 0x48, 0 },                   // IA32_SPEC_CTRL
	{ 0x122, 0 },                  // IA32_TSX_CTRL
	{ 0x174, 0 },                  // IA32_SYSENTER_CS
	{ 0x175, 0 },                  // IA32_SYSENTER_ESP
	{ 0x176, 0 },                  // IA32_SYSENTER_EIP
	{ 0x1a0, 1 },                  // IA32_MISC_ENABLE: fast strings
	{ 0x277, 0x0007040600070406 }, // IA32_PAT
	{ 0x2ff, 0x806 },              // IA32_MTRR_DEF_TYPE: on, write-back
	{ 0x6a0, 0 },                  // IA32_U_CET
	{ 0x6a2, 0 },                  // IA32_S_CET
	{ 0x6e0, 0 },                  // IA32_TSC_DEADLINE
	{ 0xda0, 0 },                  // IA32_XSS
	{ 0x12, 0 },                   // KVM's own, all off (kvm/x86/msr.rst): old clock
	{ 0x4b564d01, 0 },             // clock
	{ 0x4b564d02, 0 },             // asynchronous page faults
	{ 0x4b564d03, 0 },             // steal time
	{ 0x4b564d04, 0 },             // end of interrupt
	{ 0x4b564d05, 1 },             // host may poll at HLT: the one that is on
	{ 0x4b564d06, 0 },             // interrupt of asynchronous page faults
	{ 0xc0000081, 0 },             // STAR
	{ 0xc0000082, 0 },             // LSTAR
	{ 0xc0000083, 0 },             // CSTAR
	{ 0xc0000084, 0 },             // SFMASK
	{ 0xc0010000, 0 },             // PERFEVTSEL0 to 3
	{ 0xc0010001, 0 },
	{ 0xc0010002, 0 },
	{ 0xc0010003, 0 },
	{ 0xc0000102, 0 },          // KERNEL_GS_BASE
	{ 0xc0000103, 0 },          // TSC_AUX
	{ 0xc0000104, 1ULL << 32 }, // TSC_RATIO: 1
};

// Sets those from @first on. KVM stops at one that it refuses, and says how many it has
// set.
static int set_from(const struct vcpu *vcpu, struct kvm_msrs *set, unsigned first)
{
	int done;

	set->nmsrs = 0;
	for (unsigned i = first; i < ARRAY_SIZE(msrs); i++)
		set->entries[set->nmsrs++] = (struct kvm_msr_entry){
			.index = msrs[i].index,
			.data = msrs[i].value,
		};
	done = ioctl(kvm_vcpu(vcpu)->fd, KVM_SET_MSRS, set);
	return done < 0 ? fail(errno, "KVM: set the MSRs of vCPU %u", vcpu->index) : done;
}

int x86_msr_reset(struct vcpu *vcpu)
{
	struct kvm_msrs *set;
	unsigned next = 0;
	int done = 0;

	set = calloc(1, sizeof(*set) + ARRAY_SIZE(msrs) * sizeof(set->entries[0]));
	if (!set)
		return fail(ENOMEM, "KVM: MSRs of vCPU %u", vcpu->index);
	while (next < ARRAY_SIZE(msrs) && done >= 0) {
		done = set_from(vcpu, set, next);
		next += (unsigned)done + 1;
	}
	free(set);
	return MIN(done, 0);
}
