// SPDX-License-Identifier: GPL-2.0-or-later
// Software TLBs: filling, choosing and flushing them. Own thread.
#ifndef KVIK_SOFT_TLB_H
#define KVIK_SOFT_TLB_H

#include "mmu.h"

// Enters the page of @va into the TLB for @access of the hart's present mode.
// @target: the host page, or for MMU_FETCH the page's first slot; @level: that of the
// leaf, as in struct translation.
void tlb_fill(struct hart *h, enum mmu_access access, uint64_t va, const void *target, bool global,
	      unsigned level);

#endif
