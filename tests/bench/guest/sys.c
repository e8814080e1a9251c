// SPDX-License-Identifier: MIT-0
// The kernel: system calls, processes, pipes, faults.
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

void bench_getpid(struct res *r)
{
	u64 n = sc(1000000);
	double t = now();
	for (u64 i = 0; i < n; i++)
		syscall(SYS_getppid);
	r->t = now() - t;
	r->sum = 0;
	r->work = n;
	r->unit = "syscalls";
}

void bench_clock(struct res *r)
{
	u64 n = sc(1000000);
	struct timespec ts;
	double t = now();
	for (u64 i = 0; i < n; i++)
		clock_gettime(CLOCK_MONOTONIC, &ts);
	r->t = now() - t;
	r->sum = 0;
	r->work = n;
	r->unit = "vdso-calls";
}

void bench_fork(struct res *r)
{
	u64 n = sc(1000);
	double t = now();
	for (u64 i = 0; i < n; i++) {
		pid_t p = fork();
		int st;
		if (p == 0)
			_exit(0);
		waitpid(p, &st, 0);
	}
	r->t = now() - t;
	r->sum = 0;
	r->work = n;
	r->unit = "forks";
}

void bench_exec(struct res *r)
{
	u64 n = sc(500), bad = 0;
	const char *bb = access("/bin/busybox", X_OK) == 0 && !getenv("NOBB") ? "/bin/busybox" :
										NULL;
	double t = now();
	for (u64 i = 0; i < n; i++) {
		pid_t p = fork();
		int st = 0;
		if (p == 0) {
			if (bb)
				execl(bb, "true", (char *)NULL);
			execl("/proc/self/exe", "rvbench", "--true", (char *)NULL);
			_exit(1);
		}
		waitpid(p, &st, 0);
		bad += st != 0;
	}
	r->t = now() - t;
	r->sum = bad;
	r->work = n;
	r->unit = bb ? "fork+exec-busybox" : "fork+exec-self";
}

void bench_pipe(struct res *r)
{
	u64 n = sc(20000);
	int a[2], b[2];
	char c = 'x';
	if (pipe(a) || pipe(b)) {
		perror("pipe");
		exit(1);
	}
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(0, &set); // both on one CPU
	cpu_set_t old;
	sched_getaffinity(0, sizeof old, &old);
	sched_setaffinity(0, sizeof set, &set);
	pid_t p = fork();
	if (p == 0) {
		close(a[1]);
		close(b[0]);
		while (read(a[0], &c, 1) == 1)
			if (write(b[1], &c, 1) != 1)
				break;
		_exit(0);
	}
	close(a[0]);
	close(b[1]);
	double t = now();
	for (u64 i = 0; i < n; i++) {
		if (write(a[1], &c, 1) != 1 || read(b[0], &c, 1) != 1) {
			perror("pipe io");
			exit(1);
		}
	}
	r->t = now() - t;
	close(a[1]);
	close(b[0]);
	int st;
	waitpid(p, &st, 0);
	sched_setaffinity(0, sizeof old, &old);
	r->sum = 0;
	r->work = n;
	r->unit = "round-trips";
}

void bench_fault(struct res *r)
{
	size_t n = 16 << 20;
	u64 it = sc(10);
	double t = now();
	for (u64 k = 0; k < it; k++) {
		u8 *p = xmap(n);
		madvise(p, n, MADV_NOHUGEPAGE);
		for (size_t i = 0; i < n; i += 4096)
			p[i] = 1;
		munmap(p, n);
	}
	r->t = now() - t;
	r->sum = 0;
	r->work = it * (n >> 12);
	r->unit = "faults";
}

void bench_mprot(struct res *r)
{
	u64 n = sc(20000);
	u8 *p = xmap(8 * 4096);
	memset(p, 1, 8 * 4096);
	double t = now();
	for (u64 i = 0; i < n; i++) {
		mprotect(p + 4096, 4096, PROT_READ);
		mprotect(p + 4096, 4096, PROT_READ | PROT_WRITE);
		p[4096] = (u8)i;
	}
	r->t = now() - t;
	munmap(p, 8 * 4096);
	r->sum = 0;
	r->work = n;
	r->unit = "mprotect-pairs";
}
