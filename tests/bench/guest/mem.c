// SPDX-License-Identifier: MIT-0
// Memory: copies, streams, and pointer chases that miss caches and TLBs.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bench.h"

// @off: how far the buffers are from a power of two apart. With 0 each pair of pages
// collides in a direct-mapped software TLB.
static void copy(struct res *r, size_t off, u64 it)
{
	size_t n = 16 << 20;
	u8 *m = xmap(3 * n), *a = m, *b = m + n + off;
	for (size_t i = 0; i < n; i++)
		a[i] = (u8)(i * 131 >> 3);
	memset(b, 1, n);
	double t = now();
	for (u64 i = 0; i < it; i++) {
		memcpy(b, a, n);
		a[i] ^= b[i + 7];
		__asm__ volatile("" ::: "memory");
	}
	r->t = now() - t;
	u64 s = 0;
	for (size_t i = 0; i < n; i += 61)
		s = s * 33 + b[i];
	munmap(m, 3 * n);
	r->sum = s;
	r->work = it * n;
	r->unit = "bytes";
}

void bench_memcpy(struct res *r)
{
	copy(r, 37 * 4096 + 64, sc(60));
}

void bench_alias(struct res *r)
{
	copy(r, 0, sc(20));
}

// An integer triad, 24 MiB a pass.
void bench_stream(struct res *r)
{
	size_t n = 1 << 20;
	u64 it = sc(40);
	size_t pad = 45 * 4096;
	u8 *m = xmap(n * 24 + 2 * pad);
	u64 *a = (u64 *)m, *b = (u64 *)(m + n * 8 + pad), *c = (u64 *)(m + n * 16 + 2 * pad);
	for (size_t i = 0; i < n; i++) {
		a[i] = i;
		b[i] = i ^ 5;
		c[i] = i * 3;
	}
	double t = now();
	for (u64 k = 0; k < it; k++)
		for (size_t i = 0; i < n; i++) {
			a[i] = b[i] + c[i] * (k | 3);
			__asm__ volatile("" : "+r"(i));
		}
	r->t = now() - t;
	u64 s = 0;
	for (size_t i = 0; i < n; i++)
		s = s * 31 + a[i];
	munmap(m, n * 24 + 2 * pad);
	r->sum = s;
	r->work = it * n;
	r->unit = "elements";
}

static void chase(struct res *r, size_t bytes, size_t stride, u64 steps, int huge)
{
	size_t n = bytes / stride;
	u8 *base = xmap(bytes);
	u32 *perm = xmap(n * 4);
	if (!huge)
		madvise(base, bytes, MADV_NOHUGEPAGE);
	rng_seed(777);
	for (size_t i = 0; i < n; i++)
		perm[i] = (u32)i;
	for (size_t i = n - 1; i > 0; i--) {
		size_t j = rng() % i;
		u32 x = perm[i];
		perm[i] = perm[j];
		perm[j] = x;
	}
	for (size_t i = 0; i < n; i++) {
		size_t nx = perm[(i + 1) % n];
		*(u64 *)(base + perm[i] * stride) = nx * stride;
	}
	u64 p = 0;
	for (size_t i = 0; i < n; i++)
		p = *(u64 *)(base + p); // warm
	double t = now();
	for (u64 i = 0; i < steps; i++)
		p = *(u64 *)(base + p);
	r->t = now() - t;
	munmap(base, bytes);
	munmap(perm, n * 4);
	r->sum = p;
	r->work = steps;
	r->unit = "loads";
}

void bench_chase64(struct res *r)
{
	chase(r, 64 << 20, 64, sc(4000000), 0);
}

void bench_chasepg(struct res *r)
{
	chase(r, 64 << 20, 4096 + 64, sc(10000000), 0);
}

void bench_chase1m(struct res *r)
{
	chase(r, 1 << 20, 64, sc(20000000), 0);
}

void bench_chase16k(struct res *r)
{
	chase(r, 16 << 10, 64, sc(100000000), 0);
}
