// SPDX-License-Identifier: MIT-0
// What the benchmarks share: one function each, which fills in a struct res.
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>
#include <stdint.h>

typedef uint64_t u64;
typedef uint32_t u32;
typedef uint8_t u8;

#define NOINLINE __attribute__((noinline))

// The checksum must be the same on every machine; 0 where there is nothing to check.
struct res {
	u64 sum;
	u64 work; // how much was done, in units
	const char *unit;
	double t; // seconds
};

u64 sc(u64 n);     // @n, scaled by -s; at least 1
int is_full(void); // not scaled down
double now(void);  // seconds
void rng_seed(u64 seed);
u64 rng(void);
void *xmap(size_t n); // zeroed memory, or the end of the program

void bench_sha256(struct res *r);
void bench_qsort(struct res *r);
void bench_mix(struct res *r);
void bench_fib(struct res *r);
void bench_div(struct res *r);
void bench_memcpy(struct res *r);
void bench_alias(struct res *r);
void bench_stream(struct res *r);
void bench_chase16k(struct res *r);
void bench_chase1m(struct res *r);
void bench_chase64(struct res *r);
void bench_chasepg(struct res *r);
void bench_nbody(struct res *r);
void bench_mandel(struct res *r);
void bench_sgemm(struct res *r);
void bench_interp(struct res *r);
void bench_icall(struct res *r);
void bench_getpid(struct res *r);
void bench_clock(struct res *r);
void bench_fork(struct res *r);
void bench_exec(struct res *r);
void bench_pipe(struct res *r);
void bench_fault(struct res *r);
void bench_mprot(struct res *r);
void bench_smc(struct res *r);
void bench_amo(struct res *r);
void bench_cas(struct res *r);
void bench_mt(struct res *r);
void bench_blk_seq_write(struct res *r);
void bench_blk_seq_read(struct res *r);
void bench_blk_rand_write(struct res *r);
void bench_blk_rand_read(struct res *r);
void bench_blk_rand_write_32(struct res *r);
void bench_blk_rand_read_32(struct res *r);
void bench_blk_flush(struct res *r);
void bench_qcow2_seq_write(struct res *r);
void bench_qcow2_seq_read(struct res *r);
void bench_qcow2_rand_write(struct res *r);
void bench_qcow2_rand_read(struct res *r);
void bench_qcow2_rand_write_32(struct res *r);
void bench_qcow2_rand_read_32(struct res *r);
void bench_direct_seq_write(struct res *r);
void bench_direct_seq_read(struct res *r);
void bench_direct_rand_write(struct res *r);
void bench_direct_rand_read(struct res *r);
void bench_direct_rand_write_32(struct res *r);
void bench_direct_rand_read_32(struct res *r);
void bench_net_send(struct res *r);
void bench_net_receive(struct res *r);
void bench_net_trips(struct res *r);

#endif
