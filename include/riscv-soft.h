// SPDX-License-Identifier: GPL-2.0-or-later
// The software engine: the accelerator that runs riscv64 S and U modes anywhere.
#ifndef KVIK_RISCV_SOFT_H
#define KVIK_RISCV_SOFT_H

#include "vcpu.h"

extern const struct accel_ops soft_accel_ops;

#endif
