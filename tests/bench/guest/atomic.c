// SPDX-License-Identifier: MIT-0
// Atomics: one thread, and two on one lock.
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bench.h"

static u64 at_ctr __attribute__((aligned(64)));
static u64 at_n;
static u32 at_lock __attribute__((aligned(64)));
static u64 at_prot;
void bench_amo(struct res *r)
{
	u64 n = sc(50000000);
	at_ctr = 0;
	double t = now();
	for (u64 i = 0; i < n; i++)
		__atomic_fetch_add(&at_ctr, 3, __ATOMIC_RELAXED);
	r->t = now() - t;
	r->sum = at_ctr;
	r->work = n;
	r->unit = "amoadd";
}

void bench_cas(struct res *r)
{
	u64 n = sc(30000000);
	at_ctr = 0;
	double t = now();
	for (u64 i = 0; i < n; i++) {
		u64 o = __atomic_load_n(&at_ctr, __ATOMIC_RELAXED);
		while (!__atomic_compare_exchange_n(&at_ctr, &o, o * 3 + 1, 1, __ATOMIC_ACQ_REL,
						    __ATOMIC_RELAXED))
			;
	}
	r->t = now() - t;
	r->sum = at_ctr;
	r->work = n;
	r->unit = "lr/sc";
}

static void *at_th(void *arg)
{
	(void)arg;
	for (u64 i = 0; i < at_n; i++) {
		while (__atomic_exchange_n(&at_lock, 1, __ATOMIC_ACQUIRE))
			sched_yield();
		at_prot++;
		__atomic_store_n(&at_lock, 0, __ATOMIC_RELEASE);
		__atomic_fetch_add(&at_ctr, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

void bench_mt(struct res *r)
{
	pthread_t th[2];
	at_ctr = 0;
	at_prot = 0;
	at_n = sc(2000000);
	double t = now();
	for (int i = 0; i < 2; i++)
		pthread_create(&th[i], NULL, at_th, NULL);
	for (int i = 0; i < 2; i++)
		pthread_join(th[i], NULL);
	r->t = now() - t;
	r->sum = at_ctr * 3 + at_prot;
	r->work = at_n * 2;
	r->unit = "lock+add";
}
