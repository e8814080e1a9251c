// SPDX-License-Identifier: GPL-2.0-or-later
// The values of kvik run's options, for struct option_spec: each parser sets what @value
// points to, whose type stands behind it. They return 0, or -EINVAL or -ENOMEM after a
// message that names option, value and remedy. Main thread.
#ifndef KVIK_RUN_VALUES_H
#define KVIK_RUN_VALUES_H

#include "util.h"

#define RUN_CPUS_MAX 64

int run_parse_cpus(void *value, const char *argument) MUST_CHECK;       // unsigned
int run_parse_cpu_list(void *value, const char *argument) MUST_CHECK;   // cpu_set_t
int run_parse_memory(void *value, const char *argument) MUST_CHECK;     // uint64_t, bytes
int run_parse_console(void *value, const char *argument) MUST_CHECK;    // enum console_kind
int run_parse_accel(void *value, const char *argument) MUST_CHECK;      // enum accel_kind
int run_parse_satp_mode(void *value, const char *argument) MUST_CHECK;  // unsigned, bits
int run_parse_kaslr_seed(void *value, const char *argument) MUST_CHECK; // uint64_t
int run_parse_sve_max_vl(void *value, const char *argument) MUST_CHECK; // unsigned, bits
int run_parse_name(void *value, const char *argument) MUST_CHECK;       // const char *
int run_parse_loglevel(void *value, const char *argument) MUST_CHECK;   // nothing: it is the log's
int run_parse_id(void *value, const char *argument) MUST_CHECK;         // uint64_t
int run_parse_soft_tlb(void *value, const char *argument) MUST_CHECK;   // unsigned, entries
int run_parse_soft_code_cache(void *value, const char *argument) MUST_CHECK; // uint64_t, bytes
// Keeps @argument itself, in a struct name_list.
int run_add_name(void *value, const char *argument) MUST_CHECK;

#endif
