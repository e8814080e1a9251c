// SPDX-License-Identifier: MIT-0
// Floating point: the same bits are asked for on every machine.
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bench.h"

// fp-nbody
struct body {
	double x, y, z, vx, vy, vz, m;
};
static NOINLINE void nb_step(struct body *b, double dt)
{
	for (int i = 0; i < 5; i++)
		for (int j = i + 1; j < 5; j++) {
			double dx = b[i].x - b[j].x, dy = b[i].y - b[j].y, dz = b[i].z - b[j].z;
			double d2 = dx * dx + dy * dy + dz * dz;
			double mag = dt / (d2 * __builtin_sqrt(d2));
			b[i].vx -= dx * b[j].m * mag;
			b[i].vy -= dy * b[j].m * mag;
			b[i].vz -= dz * b[j].m * mag;
			b[j].vx += dx * b[i].m * mag;
			b[j].vy += dy * b[i].m * mag;
			b[j].vz += dz * b[i].m * mag;
		}
	for (int i = 0; i < 5; i++) {
		b[i].x += dt * b[i].vx;
		b[i].y += dt * b[i].vy;
		b[i].z += dt * b[i].vz;
	}
}

void bench_nbody(struct res *r)
{
	struct body b[5] = { { 0, 0, 0, 0, 0, 0, 39.5 },
			     { 4.84, -1.16, -0.10, 0.606, 2.81, -0.02, 0.0377 },
			     { 8.34, 4.12, -0.4, -1.01, 1.82, 0.008, 0.0113 },
			     { 12.9, -15.1, -0.22, 1.08, 0.868, -0.01, 0.0017 },
			     { 15.4, -25.9, 0.18, 0.979, 0.594, -0.034, 0.002 } };
	u64 n = sc(300000), s;
	double t = now();
	for (u64 i = 0; i < n; i++)
		nb_step(b, 0.001);
	r->t = now() - t;
	memcpy(&s, &b[1].x, 8);
	r->sum = s;
	r->work = n;
	r->unit = "steps";
}

// fp-mandel
void bench_mandel(struct res *r)
{
	int n = 200;
	u64 it = sc(10), s = 0;
	double t = now();
	for (u64 k = 0; k < it; k++)
		for (int y = 0; y < n; y++)
			for (int x = 0; x < n; x++) {
				double cr = 3.0 * x / n - 2.0, ci = 2.0 * y / n - 1.0, a = 0, b = 0;
				int i = 0;
				while (i < 100) {
					double aa = a * a, bb = b * b;
					if (aa + bb > 4.0)
						break;
					b = 2 * a * b + ci;
					a = aa - bb + cr;
					i++;
				}
				s += (u64)i;
			}
	r->t = now() - t;
	r->sum = s;
	r->work = it;
	r->unit = "frames";
}

// fp-sgemm (float, fused multiply add where the target has one)
void bench_sgemm(struct res *r)
{
	enum { N = 96 };
	static float A[N][N], B[N][N], C[N][N];
	u64 it = sc(50);
	double tot = 0;
	for (int i = 0; i < N; i++)
		for (int j = 0; j < N; j++) {
			A[i][j] = (float)((i * 3 + j) % 7);
			B[i][j] = (float)((i + j * 5) % 11);
			C[i][j] = 0;
		}
	double t = now();
	for (u64 k = 0; k < it; k++)
		for (int i = 0; i < N; i++)
			for (int j = 0; j < N; j++) {
				float s = 0;
				for (int l = 0; l < N; l++) {
					s = __builtin_fmaf(A[i][l], B[l][j], s);
					__asm__ volatile("" : "+r"(l));
				}
				C[i][j] += s;
			}
	r->t = now() - t;
	for (int i = 0; i < N; i++)
		for (int j = 0; j < N; j++)
			tot += (double)C[i][j];
	r->sum = (u64)tot;
	r->work = it * N * N * N;
	r->unit = "fma";
}
