// SPDX-License-Identifier: MIT-0
// rvbench: small benchmarks of a machine's CPU, memory, kernel, disks and network.
//
//   rvbench            run every test
//   rvbench -l         list them
//   rvbench NAME...    run those whose names begin so ("mem")
//   rvbench -s N ...   do N percent of the usual work
//   rvbench -r N ...   repeat each N times and report the shortest
//
// One line each: BENCH name seconds checksum work unit
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "bench.h"

static unsigned scale = 100;
static u64 rng_state;

u64 sc(u64 n)
{
	u64 scaled = n * scale / 100;

	return scaled ? scaled : 1;
}

int is_full(void)
{
	return scale >= 100;
}

double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

void rng_seed(u64 seed)
{
	rng_state = seed;
}

u64 rng(void)
{
	rng_state ^= rng_state << 13;
	rng_state ^= rng_state >> 7;
	rng_state ^= rng_state << 17;
	return rng_state;
}

void *xmap(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return p;
}

// The order matters to machines whose TLB grows with use: keep it.
static const struct {
	const char *name;
	void (*run)(struct res *r);
} tests[] = {
	{ "int-sha256", bench_sha256 },
	{ "int-qsort", bench_qsort },
	{ "int-mix", bench_mix },
	{ "int-fib", bench_fib },
	{ "int-div", bench_div },
	{ "mem-memcpy", bench_memcpy },
	{ "mem-alias", bench_alias },
	{ "mem-triad", bench_stream },
	{ "mem-chase16k", bench_chase16k },
	{ "mem-chase1m", bench_chase1m },
	{ "mem-chase64m", bench_chase64 },
	{ "mem-chasepage", bench_chasepg },
	{ "fp-nbody", bench_nbody },
	{ "fp-mandel", bench_mandel },
	{ "fp-sgemm", bench_sgemm },
	{ "br-interp", bench_interp },
	{ "br-icall", bench_icall },
	{ "sys-getppid", bench_getpid },
	{ "sys-clock", bench_clock },
	{ "sys-fork", bench_fork },
	{ "sys-forkexec", bench_exec },
	{ "sys-pipe", bench_pipe },
	{ "sys-fault", bench_fault },
	{ "sys-mprotect", bench_mprot },
	{ "jit-smc", bench_smc },
	{ "at-amo", bench_amo },
	{ "at-cas", bench_cas },
	{ "at-mt2", bench_mt },
	{ "blk-seq-write", bench_blk_seq_write },
	{ "blk-seq-read", bench_blk_seq_read },
	{ "blk-rand-write", bench_blk_rand_write },
	{ "blk-rand-read", bench_blk_rand_read },
	{ "blk-rand-write-32", bench_blk_rand_write_32 },
	{ "blk-rand-read-32", bench_blk_rand_read_32 },
	{ "blk-flush", bench_blk_flush },
	{ "qcow2-seq-write", bench_qcow2_seq_write },
	{ "qcow2-seq-read", bench_qcow2_seq_read },
	{ "qcow2-rand-write", bench_qcow2_rand_write },
	{ "qcow2-rand-read", bench_qcow2_rand_read },
	{ "qcow2-rand-write-32", bench_qcow2_rand_write_32 },
	{ "qcow2-rand-read-32", bench_qcow2_rand_read_32 },
	{ "direct-seq-write", bench_direct_seq_write },
	{ "direct-seq-read", bench_direct_seq_read },
	{ "direct-rand-write", bench_direct_rand_write },
	{ "direct-rand-read", bench_direct_rand_read },
	{ "direct-rand-write-32", bench_direct_rand_write_32 },
	{ "direct-rand-read-32", bench_direct_rand_read_32 },
	{ "net-send", bench_net_send },
	{ "net-receive", bench_net_receive },
	{ "net-trips", bench_net_trips },
};

#define TESTS (sizeof(tests) / sizeof(tests[0]))

static int is_wanted(const char *name, char **wanted)
{
	if (!*wanted)
		return 1;
	for (; *wanted; wanted++)
		if (!strncmp(name, *wanted, strlen(*wanted)))
			return 1;
	return 0;
}

static void run_test(unsigned i, int repeats)
{
	struct res best = { .t = 1e30, .unit = "" };

	while (repeats-- > 0) {
		struct res r = { .unit = "" };

		tests[i].run(&r);
		if (r.t < best.t)
			best = r;
	}
	if (best.t == 0) // nothing there to be measured
		return;
	printf("BENCH %-19s %9.4f %016llx %llu %s\n", tests[i].name, best.t,
	       (unsigned long long)best.sum, (unsigned long long)best.work, best.unit);
}

static int list_tests(void)
{
	for (unsigned i = 0; i < TESTS; i++)
		puts(tests[i].name);
	return 0;
}

int main(int argc, char **argv)
{
	int repeats = 1;
	int arg = 1;

	(void)argc;
	// What the fork and exec test starts.
	if (argv[1] && !strcmp(argv[1], "--true"))
		return 0;
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (; argv[arg] && argv[arg][0] == '-'; arg++) {
		if (!strcmp(argv[arg], "-l"))
			return list_tests();
		if (!strcmp(argv[arg], "-s") && argv[arg + 1])
			scale = (unsigned)atoi(argv[++arg]);
		else if (!strcmp(argv[arg], "-r") && argv[arg + 1])
			repeats = atoi(argv[++arg]);
		else
			return 2;
	}
	for (unsigned i = 0; i < TESTS; i++)
		if (is_wanted(tests[i].name, argv + arg))
			run_test(i, repeats);
	return 0;
}
