// SPDX-License-Identifier: MIT-0
// Integer work: hashing, sorting, lists, matrices, calls, division.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bench.h"

// int-sha256
static const u32 K256[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
	0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
	0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
	0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
	0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
	0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
	0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
	0xc67178f2
};

#define ROR(x, n) (((x) >> (n)) | ((x) << (32 - (n))))
static NOINLINE void sha_block(u32 h[8], const u8 *p)
{
	u32 w[64], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4], f = h[5], g = h[6], k = h[7];
	for (int i = 0; i < 16; i++)
		w[i] = (u32)p[4 * i] << 24 | (u32)p[4 * i + 1] << 16 | (u32)p[4 * i + 2] << 8 |
		       p[4 * i + 3];
	for (int i = 16; i < 64; i++) {
		u32 s0 = ROR(w[i - 15], 7) ^ ROR(w[i - 15], 18) ^ (w[i - 15] >> 3);
		u32 s1 = ROR(w[i - 2], 17) ^ ROR(w[i - 2], 19) ^ (w[i - 2] >> 10);
		w[i] = w[i - 16] + s0 + w[i - 7] + s1;
	}
	for (int i = 0; i < 64; i++) {
		u32 t1 = k + (ROR(e, 6) ^ ROR(e, 11) ^ ROR(e, 25)) + ((e & f) ^ (~e & g)) +
			 K256[i] + w[i];
		u32 t2 = (ROR(a, 2) ^ ROR(a, 13) ^ ROR(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
		k = g;
		g = f;
		f = e;
		e = d + t1;
		d = c;
		c = b;
		b = a;
		a = t1 + t2;
	}
	h[0] += a;
	h[1] += b;
	h[2] += c;
	h[3] += d;
	h[4] += e;
	h[5] += f;
	h[6] += g;
	h[7] += k;
}

void bench_sha256(struct res *r)
{
	u64 blocks = sc(400000);
	u32 h[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
		     0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };
	static u8 buf[64 * 64];
	for (unsigned i = 0; i < sizeof buf; i++)
		buf[i] = (u8)(i * 7 + 3);
	double t = now();
	for (u64 i = 0; i < blocks; i++)
		sha_block(h, buf + (i & 63) * 64);
	r->t = now() - t;
	r->sum = (u64)h[0] << 32 | h[7];
	r->work = blocks * 64;
	r->unit = "bytes";
}

// int-qsort
static NOINLINE void qs(u32 *a, long lo, long hi)
{
	while (hi - lo > 12) {
		u32 x = a[lo], y = a[(lo + hi) / 2], z = a[hi], p, tmp;
		if (x > y) {
			tmp = x;
			x = y;
			y = tmp;
		}
		if (y > z)
			y = z;
		p = x > y ? x : y;
		long i = lo, j = hi;
		while (i <= j) {
			while (a[i] < p)
				i++;
			while (a[j] > p)
				j--;
			if (i <= j) {
				tmp = a[i];
				a[i] = a[j];
				a[j] = tmp;
				i++;
				j--;
			}
		}
		if (j - lo < hi - i) {
			qs(a, lo, j);
			lo = i;
		} else {
			qs(a, i, hi);
			hi = j;
		}
	}
	for (long i = lo + 1; i <= hi; i++) {
		u32 v = a[i];
		long j = i - 1;
		while (j >= lo && a[j] > v) {
			a[j + 1] = a[j];
			j--;
		}
		a[j + 1] = v;
	}
}

void bench_qsort(struct res *r)
{
	u64 n = sc(2000000), s = 0;
	u32 *a = xmap(n * 4);
	rng_seed(12345);
	for (u64 i = 0; i < n; i++)
		a[i] = (u32)rng();
	double t = now();
	qs(a, 0, (long)n - 1);
	r->t = now() - t;
	for (u64 i = 0; i < n; i++)
		s = s * 31 + a[i];
	munmap(a, n * 4);
	r->sum = s;
	r->work = n;
	r->unit = "elements";
}

// int-mix: linked list walk/reverse, small integer matrix product, text state machine
// and CRC: the kind of code general integer scores are made of.
struct node {
	struct node *next;
	u32 key, val;
};
static NOINLINE struct node *lrev(struct node *p)
{
	struct node *q = NULL;
	while (p) {
		struct node *n = p->next;
		p->next = q;
		q = p;
		p = n;
	}
	return q;
}

static NOINLINE u32 lfind(struct node *p, u32 key)
{
	for (; p; p = p->next)
		if (p->key == key)
			return p->val;
	return 0;
}

static NOINLINE u32 crc(u32 c, u32 v)
{
	for (int i = 0; i < 16; i++) {
		c = ((c ^ v) & 1) ? (c >> 1) ^ 0xa001 : c >> 1;
		v >>= 1;
	}
	return c;
}

static NOINLINE u32 mat(int *A, int *B, int *C, int n)
{
	u32 s = 0;
	for (int i = 0; i < n; i++)
		for (int j = 0; j < n; j++) {
			int acc = 0;
			for (int k = 0; k < n; k++)
				acc += A[i * n + k] * B[k * n + j];
			C[i * n + j] = acc;
			s += (u32)(acc >> 2 & 0x7f);
		}
	return s;
}

static NOINLINE u32 fsm(const char *p)
{
	u32 st = 0, cnt[8] = { 0 };
	for (; *p; p++) {
		char c = *p;
		switch (st) {
		case 0:
			if (c >= '0' && c <= '9')
				st = 1;
			else if (c == '+' || c == '-')
				st = 2;
			else if (c == '.')
				st = 3;
			else
				st = 7;
			break;
		case 1:
			if (c == '.')
				st = 3;
			else if (c == ',')
				st = 0;
			else if (!(c >= '0' && c <= '9'))
				st = 7;
			break;
		case 2:
			if (c >= '0' && c <= '9')
				st = 1;
			else if (c == '.')
				st = 3;
			else
				st = 7;
			break;
		case 3:
			if (c == 'e' || c == 'E')
				st = 4;
			else if (c == ',')
				st = 0;
			else if (!(c >= '0' && c <= '9'))
				st = 7;
			break;
		case 4:
			if (c == '+' || c == '-')
				st = 5;
			else
				st = 7;
			break;
		case 5:
			if (c >= '0' && c <= '9')
				st = 6;
			else
				st = 7;
			break;
		case 6:
			if (c == ',')
				st = 0;
			else if (!(c >= '0' && c <= '9'))
				st = 7;
			break;
		default:
			if (c == ',')
				st = 0;
			break;
		}
		cnt[st]++;
	}
	u32 s = 0;
	for (int i = 0; i < 8; i++)
		s = s * 17 + cnt[i];
	return s;
}

void bench_mix(struct res *r)
{
	static struct node nd[64];
	static int A[100], B[100], C[100];
	static const char txt[] =
		"5012,+120,1234,-874,.1.2,+.3e-10,122.5e+2,-110.700,T0.3e-1F,-T.T++Tq,1T3.4e4z,34.0e-T^,5.500e+3,-.123e-2,-87e+832,+0.6e-12";
	u64 n = sc(60000);
	u32 c = 0xffff;
	for (int i = 0; i < 64; i++) {
		nd[i].next = i < 63 ? &nd[i + 1] : NULL;
		nd[i].key = (u32)i * 7 % 64;
		nd[i].val = (u32)i;
	}
	for (int i = 0; i < 100; i++) {
		A[i] = i * 3 % 17;
		B[i] = i * 5 % 23;
	}
	struct node *h = nd;
	double t = now();
	for (u64 i = 0; i < n; i++) {
		for (u32 k = 0; k < 8; k++)
			c = crc(c, lfind(h, (u32)(i * 5 + k * 11) & 63));
		h = lrev(h);
		A[i % 100] += (int)(c & 3);
		c = crc(c, mat(A, B, C, 10));
		c = crc(c, fsm(txt));
	}
	r->t = now() - t;
	r->sum = c;
	r->work = n;
	r->unit = "iters";
}

// int-fib
static NOINLINE u64 fib(u64 n)
{
	u64 v = n;
	if (n >= 2)
		v = fib(n - 1) + fib(n - 2);
	__asm__ volatile("" : "+r"(v));
	return v;
}

void bench_fib(struct res *r)
{
	u64 n = is_full() ? 34 : 26;
	double t = now();
	r->sum = fib(n);
	r->t = now() - t;
	r->work = r->sum;
	r->unit = "calls";
}

// int-div
void bench_div(struct res *r)
{
	u64 n = sc(20000000), s = 0, x = 0x9e3779b97f4a7c15ull;
	double t = now();
	for (u64 i = 1; i <= n; i++) {
		u64 d = (i & 0xffff) | 1;
		s += x / d;
		s ^= x % (d + 2);
		s += (u64)(((unsigned __int128)x * (i | 1)) >> 64);
		x += s | 1;
	}
	r->t = now() - t;
	r->sum = s;
	r->work = n;
	r->unit = "iters";
}
