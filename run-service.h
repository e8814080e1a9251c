// SPDX-License-Identifier: GPL-2.0-or-later
// What kvik run is for those who do not sit in front of it: in the background, with a log,
// a file with its process id, and word to the service manager.
#ifndef KVIK_RUN_SERVICE_H
#define KVIK_RUN_SERVICE_H

#include <stdbool.h>

#include "notify.h"
#include "pidfile.h"
#include "vm.h"

struct run_service {
	// As given.
	bool detach;
	const char *log_path;     // NULL: none
	const char *pidfile_path; // NULL: none

	const char *vm_name;
	int ready_fd;  // where the one who waits is told; -1: nobody waits
	int log_fd;    // of log_path; -1: none
	bool made_log; // it is for nothing until the VM runs
	struct pidfile pidfile;
	struct notify notify;
};

// Opens what was asked for and detaches. Returns 0 in the process that is to run the VM
// called @vm_name; -errno after a message; or 1 in the one that has waited for it, with the
// status to exit with in *status. Before there are threads.
int run_service_begin(struct run_service *service, const char *vm_name, int *status) MUST_CHECK;
// Descriptors of the console, and the watcher that tells whoever is to know.
void run_service_adapt(struct run_service *service, struct vm_parts *parts);
// After run_service_begin() returned 0 or failed.
void run_service_end(struct run_service *service);

#endif
